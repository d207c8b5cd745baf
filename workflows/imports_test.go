package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allowed is all that workflow code may import: what answers the same in every
// replay. Files, clocks, networks, environments and random numbers are for
// activities.
var allowed = []string{
	"encoding/json", "errors", "fmt", "path", "regexp", "slices", "strings",
	"time", // for durations; the clock is workflow.Now
	"go.temporal.io/api/enums/v1",
	"go.temporal.io/sdk/temporal",
	"go.temporal.io/sdk/workflow",
	"canvasback/activities", // for the names of its methods
	"canvasback/internal/failure",
	"canvasback/internal/human",
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

// What allowed packages and the language itself offer, and a replay would not
// repeat: the machine's clock, goroutines and channels of its own.
var forbidden = regexp.MustCompile(`time\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)\b|\bgo func\b|\bselect \{|\bchan\b`)

func TestClockAndGoroutinesAreNotUsed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		looked++
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Empty(t, forbidden.FindAllString(string(text), -1), file)
	}
	assert.Positive(t, looked)
	assert.Regexp(t, forbidden, "time.Now()")
}
