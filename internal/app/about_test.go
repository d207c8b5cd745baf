package app

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The server refuses what is longer.
func TestAboutFitsTheServer(t *testing.T) {
	name := strings.Repeat("x", 64)
	for _, task := range []Task{TaskBackup, TaskDrill, TaskRestore} {
		summary, details := Spec{Task: task, Database: name, Host: strings.Repeat("h", 253), Cron: strings.Repeat("1,", 200) + "1 * * * *", Timezone: "Europe/Amsterdam"}.about()
		assert.LessOrEqual(t, len(summary), 200)
		assert.LessOrEqual(t, len(details), 20_000)
		assert.Contains(t, details, name)
		assert.Contains(t, details, "(Europe/Amsterdam)")
	}
	_, details := Spec{Database: "shop", Host: "db1"}.about()
	assert.NotContains(t, details, "schedule")
}
