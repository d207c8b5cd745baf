package hotcopy_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs/mounttest"
)

// rarely lets an owner keep its commits in the WAL.
var rarely = enginetest.OwnerOptions{CheckpointThreshold: "1GB", Pause: time.Millisecond}

// copyOf copies the database and checks that the copy holds what its owner had
// committed before.
func copyOf(t *testing.T, o *enginetest.Owner, path string) *hotcopy.Result {
	t.Helper()
	atLeast := o.Committed()
	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
	return res
}

func TestCopyThroughABindMount(t *testing.T) {
	for _, c := range []struct{ name, owner, copier string }{
		{"the copier sees the mount", "direct", "bound"},
		{"the owner sees the mount", "bound", "direct"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			at := map[string]string{
				"direct": filepath.Join(dir, "live.duckdb"),
				"bound":  filepath.Join(mounttest.Bind(t, dir), "live.duckdb"),
			}
			o := enginetest.StartOwner(t, at[c.owner], rarely)
			o.WaitCommits(t, 50)
			res := copyOf(t, o, at[c.copier])
			assert.Equal(t, "A", res.Rule)
			assert.Positive(t, res.Commits)
			assert.True(t, res.Held)
			assert.Equal(t, o.PID(), res.OwnerPID)
			o.Stop(t)
		})
	}
}

// TestCopyThroughASymbolicLink finds the WAL beside the file, where DuckDB 1.5
// has it whichever name it was told.
func TestCopyThroughASymbolicLink(t *testing.T) {
	for _, c := range []struct{ name, owner, copier string }{
		{"both use the link", "link", "link"},
		{"the owner uses the file", "file", "link"},
		{"the owner uses the link", "link", "file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := map[string]string{
				"file": filepath.Join(t.TempDir(), "live.duckdb"), "link": filepath.Join(t.TempDir(), "link.duckdb"),
			}
			enginetest.Create(t, at["file"], "CREATE TABLE t AS SELECT 1 AS i")
			require.NoError(t, os.Symlink(at["file"], at["link"]))
			o := enginetest.StartOwner(t, at[c.owner], rarely)
			o.WaitCommits(t, 50)
			res := copyOf(t, o, at[c.copier])
			assert.Positive(t, res.Commits)
			o.Stop(t)
		})
	}
}

// TestCopyThroughASymbolicLinkWithTheWALBesideIt is what DuckDB up to 1.4 leaves
// that was told the link: the WAL is beside the link, not beside the file.
func TestCopyThroughASymbolicLinkWithTheWALBesideIt(t *testing.T) {
	p := crashed(t, ledger(5)...)
	file := p.write(t)
	link := filepath.Join(t.TempDir(), "link.duckdb")
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Rename(file+".wal", link+".wal"))
	opts := options(t, link)
	opts.EngineVersion = "1.4.1"
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.EqualValues(t, 5, res.Commits)
	assert.Equal(t, ids(5), enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT string_agg(id::VARCHAR, ' ' ORDER BY id) FROM ledger"))

	require.NoError(t, os.WriteFile(file+".wal", p.wal, 0o600))
	_, err = hotcopy.Copy(context.Background(), options(t, link))
	require.Error(t, err, "two WALs, of which one is nobody's")
	assert.Equal(t, failure.Corrupt, failure.Of(err))
	assert.Contains(t, err.Error(), link+".wal")
	assert.Contains(t, err.Error(), file+".wal")
}

// TestCopyOfAFileWithAnotherName is told the name that the owner uses, beside
// which the WAL is.
func TestCopyOfAFileWithAnotherName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.Create(t, path, "CREATE TABLE t AS SELECT 1 AS i")
	require.NoError(t, os.Link(path, filepath.Join(t.TempDir(), "other.duckdb")))
	o := enginetest.StartOwner(t, path, rarely)
	o.WaitCommits(t, 50)
	res := copyOf(t, o, path)
	assert.Positive(t, res.Commits)
	o.Stop(t)
}

func TestCopyOfADatabaseReplacedBetweenTwoCopies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.CreateKilled(t, path, "CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
	enginetest.CreateKilled(t, path+".new", "CREATE TABLE t AS SELECT i FROM range(2000) r(i)")
	opts := options(t, path)
	first, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path+".new", path))
	require.NoError(t, os.Rename(path+".new.wal", path+".wal"))
	again := options(t, path)
	second, err := hotcopy.Copy(context.Background(), again)
	require.NoError(t, err)
	assert.NotEqual(t, first.Inode, second.Inode)
	assert.Equal(t, "1000", enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT count(*) FROM t"))
	assert.Equal(t, "2000", enginetest.Query(t, filepath.Join(again.Dir, "copy.duckdb"), "SELECT count(*) FROM t"))
}

// TestCopyOfADatabaseReplacedUnderItsOwner renames another file to the name
// while the owner writes on into the old one, which has no name any more.
func TestCopyOfADatabaseReplacedUnderItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.Create(t, path, "CREATE TABLE t AS SELECT 1 AS i")
	o := enginetest.StartOwner(t, path, rarely)
	o.WaitCommits(t, 50)
	enginetest.Create(t, path+".other", "CREATE TABLE t AS SELECT 2 AS i")
	opts := options(t, path)
	done := false
	opts.Progress = func(p hotcopy.Progress) {
		if p.Phase == "copy" && !done {
			done = true
			require.NoError(t, os.Rename(path+".other", path))
		}
	}
	_, err := hotcopy.Copy(context.Background(), opts)
	require.Error(t, err)
	assert.Equal(t, failure.Replaced, failure.Of(err))
	require.True(t, done)
	o.Kill(t)
}
