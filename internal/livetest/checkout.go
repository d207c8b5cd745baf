package livetest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// buildTimeout bounds one build or installation with cold caches.
const buildTimeout = 15 * time.Minute

// Root returns the directory of the main module above the test's own.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module canvasback\n") {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, parent, dir, "no directory above the test holds the main module")
		dir = parent
	}
}

// Build compiles the main package in dir, relative to the checkout, as it is
// released: without the workspace. It returns the program's path.
func Build(t testing.TB, dir string) string {
	t.Helper()
	return buildIn(t, t.TempDir(), dir)
}

// building is held while a program is built or installed, so that tests beside
// each other do not make the same one.
var building sync.Mutex

// buildIn is Build with the directory to put the program in, and does nothing
// where it is there already: linking an engine takes seconds.
func buildIn(t testing.TB, bin, dir string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	program := filepath.Join(bin, filepath.Base(dir))
	if _, err := os.Stat(program); err != nil {
		run(t, filepath.Join(Root(t), dir), "go", "build", "-o", program, ".")
	}
	return program
}

// run runs a command to its end in dir and fails the test with all that it
// printed where it does not succeed.
func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoErrorf(t, cmd.Run(), "%s %s in %s printed:\n%s", name, strings.Join(args, " "), dir, &output)
}
