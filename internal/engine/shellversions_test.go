package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

// shellVersions are the engines of which a program behaves as DuckDB's shell.
var shellVersions = map[string]string{"duckdb11": "v1.1.3", "duckdb14": "v1.4.1", "duckdb15": "v1.5.6"}

var (
	buildingShells sync.Mutex
	shellPrograms  = map[string]string{}
	shellDir       string // removed by TestMain
)

// versionShell is the command of the shell of a version.
func versionShell(t *testing.T, name string) []string {
	t.Helper()
	buildingShells.Lock()
	defer buildingShells.Unlock()
	if shellPrograms[name] == "" {
		var err error
		if shellDir == "" {
			shellDir, err = os.MkdirTemp("", "canvasback-shells-")
			require.NoError(t, err)
		}
		program := filepath.Join(shellDir, name)
		build := exec.Command("go", "build", "-o", program, ".")
		build.Dir = filepath.Join("..", "livetest", "owners", name)
		build.Env = append(os.Environ(), "GOWORK=off")
		output, err := build.CombinedOutput()
		require.NoError(t, err, "%s", output)
		shellPrograms[name] = program
	}
	return []string{shellPrograms[name], "shell"}
}

// TestShell_fingerprints_are_those_of_every_version compares, for every type
// that the versions share and every value, what each engine says of one file.
func TestShell_fingerprints_are_those_of_every_version(t *testing.T) {
	values := append(values, newer[:2]...)
	var stmts []string
	for i, v := range values {
		table := fmt.Sprintf("t%03d", i)
		stmts = append(stmts, fmt.Sprintf("CREATE TABLE %s(n INTEGER, v %s)", table, v.typ))
		for n, value := range append([]string{"NULL"}, v.values...) {
			stmts = append(stmts, fmt.Sprintf("INSERT INTO %s SELECT %d, CAST(%s AS %s)", table, n, value, v.typ))
		}
	}
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.Create(t, path, stmts...)
	want := scan(t, path)
	require.Len(t, want, len(values))
	for name, version := range shellVersions {
		t.Run(version, func(t *testing.T) {
			req := request(t, path)
			req.Command = versionShell(t, name)
			report, err := engine.Scan(context.Background(), req)
			require.NoError(t, err)
			assert.Equal(t, version+" ("+req.Command[0]+")", report.Engine)
			assert.Empty(t, report.Missing)
			require.Len(t, report.Tables, len(values))
			for i, got := range report.Tables {
				assert.Equal(t, want[got.Name], got, values[i].typ)
			}
		})
	}
}
