package hotcopy_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
)

// TestCopyAfterAStorageUpgrade: the pair that DuckDB left behind does not open,
// the copy does, and says what was mended.
func TestCopyAfterAStorageUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.duckdb")
	enginetest.CreateStorage(t, path, "v1.0.0", "CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
	enginetest.CreateKilled(t, filepath.Join(filepath.Dir(path), "other.duckdb"),
		"ATTACH 'x.duckdb' AS up (STORAGE_VERSION 'latest')",
		"INSERT INTO up.t SELECT range FROM range(1000, 2000)", "CHECKPOINT up",
		"SET checkpoint_threshold = '1GB'", "INSERT INTO up.t VALUES (-7)")
	scan := func(path string) error {
		_, err := engine.Scan(context.Background(), engine.ScanRequest{Path: path, Level: engine.LevelFull, TempDir: t.TempDir()})
		return err
	}
	require.ErrorContains(t, scan(path), "WAL does not match database file", "the fault is there")
	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, "A", res.Rule)
	assert.Contains(t, res.Evidence["repaired"], "identifier was random after a storage upgrade")
	dest := filepath.Join(opts.Dir, "copy.duckdb")
	require.NoError(t, scan(dest))
	assert.Equal(t, "2001", enginetest.Query(t, dest, "SELECT count(*) FROM t"))
	require.ErrorContains(t, scan(path), "WAL does not match database file", "the live file is as it was")
}
