package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

func TestMain(m *testing.M) {
	engine.AddTestRequests()
	if os.Args[0] == parentName {
		_ = engine.RunTest(context.Background(), "pid", os.Args[1], 0)
		os.Exit(1)
	}
	enginetest.RunIfChild()
	status := m.Run()
	if shellDir != "" {
		_ = os.RemoveAll(shellDir)
	}
	os.Exit(status)
}

// parentName is argv[0] of a process that waits for an engine child, which
// writes its process ID to the file of the first argument.
const parentName = "canvasback-test-parent"

// request is a full scan of path with everything it needs.
func request(t *testing.T, path string) engine.ScanRequest {
	return engine.ScanRequest{Path: path, Level: engine.LevelFull, TempDir: t.TempDir(), MemoryLimit: "500MB", Threads: 2, Timeout: time.Minute}
}

// scan reads path in full and returns its tables by name.
func scan(t *testing.T, path string) map[string]engine.Table {
	t.Helper()
	report, err := engine.Scan(context.Background(), request(t, path))
	require.NoError(t, err)
	tables := map[string]engine.Table{}
	for _, table := range report.Tables {
		tables[table.Name] = table
	}
	return tables
}

func database(t *testing.T, stmts ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.Create(t, path, stmts...)
	return path
}
