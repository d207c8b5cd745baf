package workflows

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allowed is all that workflow code may import: what answers the same in every
// replay. Files, clocks, networks, environments and random numbers are for
// activities.
var allowed = []string{
	"errors", "fmt", "strings",
	"time", // for durations; the clock is workflow.Now
	"go.temporal.io/api/enums/v1",
	"go.temporal.io/sdk/temporal",
	"go.temporal.io/sdk/workflow",
	"canvasback/activities", // for the names of its methods
	"canvasback/internal/failure",
	"canvasback/internal/job",
}

func TestImportsAreAllowed(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, ".").Output()
	require.NoError(t, err)
	imports := strings.Fields(string(out))
	require.NotEmpty(t, imports)
	for _, i := range imports {
		assert.Contains(t, allowed, i)
	}
}

// The clock of the machine is reached through an allowed package.
func TestClockIsNotUsed(t *testing.T) {
	out, err := exec.Command("grep", "-nE", `time\.(Now|Since|Until|Sleep|After|Tick|NewTimer|NewTicker)|\bgo func\b|\bselect \{|\brange [a-z]+[mM]ap`, "-r", "--include=*.go", "--exclude=*_test.go", ".").CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "found:\n%s", out)
	assert.Equal(t, 1, exit.ExitCode(), "%s", out)
}
