package hotcopy_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
)

// TestCopyThroughAHardLink has no WAL beside the name that it is told: the one
// that the owner has open is beside the other name.
func TestCopyThroughAHardLink(t *testing.T) {
	path, other := filepath.Join(t.TempDir(), "live.duckdb"), filepath.Join(t.TempDir(), "other.duckdb")
	enginetest.Create(t, path, "CREATE TABLE t AS SELECT 1 AS i")
	require.NoError(t, os.Link(path, other))
	o := enginetest.StartOwner(t, path, rarely)
	o.WaitCommits(t, 50)
	atLeast := o.Committed()
	opts := options(t, other)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, "A", res.Rule)
	enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
	o.Kill(t)

	// Nobody tells any more which name the WAL lies beside.
	_, err = hotcopy.Copy(context.Background(), options(t, other))
	require.Error(t, err)
	assert.Equal(t, failure.ManyNames.Name, failure.Of(err).Name, "%v", err)
	assert.ErrorContains(t, err, other+" has 2 names (hard links)")
	opts = options(t, path)
	_, err = hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err, "the name that the WAL is beside")
	enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
}

// TestCopyOfAFileBesideTheWALOfAnother: the database was replaced under its
// owner, whose WAL stays at the old name. Whoever holds the WAL's lock does not
// hold the database's.
func TestCopyOfAFileBesideTheWALOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.Create(t, path, "CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
	enginetest.Create(t, path+".other", "CREATE TABLE t AS SELECT i FROM range(2000) r(i)")
	o := enginetest.StartOwner(t, path, rarely)
	o.WaitCommits(t, 50)
	require.NoError(t, os.Rename(path+".other", path))
	_, err := hotcopy.Copy(context.Background(), options(t, path))
	require.Error(t, err)
	assert.Equal(t, failure.Replaced.Name, failure.Of(err).Name, "%v", err)
	assert.ErrorContains(t, err, path+".wal is held by process ")
	o.Kill(t)
}

// TestCopyOfAFileWhoseWALIsBesideALink is what DuckDB up to 1.4 leaves that was
// told a link, when the copy is told a link to that link.
func TestCopyOfAFileWhoseWALIsBesideALink(t *testing.T) {
	file := crashed(t, ledger(5)...).write(t)
	link, outer := filepath.Join(t.TempDir(), "link.duckdb"), filepath.Join(t.TempDir(), "outer.duckdb")
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Symlink(link, outer))
	require.NoError(t, os.Rename(file+".wal", link+".wal"))
	_, err := hotcopy.Copy(context.Background(), options(t, outer))
	require.Error(t, err, "DuckDB 1.5 would not look there")
	assert.Equal(t, failure.ManyNames.Name, failure.Of(err).Name, "%v", err)
	opts := options(t, outer)
	opts.EngineVersion = "1.4.1"
	_, err = hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	require.Equal(t, ids(5), enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT string_agg(id::VARCHAR, ' ' ORDER BY id) FROM ledger"))
}
