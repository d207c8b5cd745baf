package hotcopy_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// inMemory puts a small real database with a WAL into a memory file system.
func inMemory(t *testing.T) *vfstest.Mem {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.CreateKilled(t, path,
		"CREATE TABLE t AS SELECT i, i::VARCHAR AS s FROM range(20000) r(i)", "CHECKPOINT",
		"INSERT INTO t VALUES (-1, 'in the WAL')")
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll("/live", 0o700))
	require.NoError(t, mem.MkdirAll("/copy", 0o700))
	require.NoError(t, mem.SyncDir("/"))
	for _, suffix := range []string{"", ".wal"} {
		b, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		f, err := mem.OpenFile("/live/x.duckdb"+suffix, os.O_CREATE|os.O_RDWR, 0o600)
		require.NoError(t, err)
		_, err = f.Write(b)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
	}
	require.NoError(t, mem.SyncDir("/live"))
	require.NoError(t, mem.SyncDir("/copy"))
	return mem
}

func memOptions(fsys vfs.FS) hotcopy.Options {
	return hotcopy.Options{FS: fsys, Path: "/live/x.duckdb", Dir: "/copy", Name: "x", Settle: 20 * time.Millisecond, MaxAttempts: 2}
}

// checkCopy holds the stored files to the source, block by block.
func checkCopy(t *testing.T, fsys vfs.FS, res *hotcopy.Result) {
	t.Helper()
	db, err := fsys.Open("/copy/x.duckdb")
	require.NoError(t, err)
	info, err := db.Stat()
	require.NoError(t, err)
	n, err := duckfile.CheckFile(db, info.Size, nil, nil)
	require.NoError(t, err)
	assert.Equal(t, res.Blocks, n)
	require.NoError(t, db.Close())
	wal, err := fsys.Open("/copy/x.duckdb.wal")
	require.NoError(t, err)
	info, err = wal.Stat()
	require.NoError(t, err)
	w, err := duckfile.ScanWAL(wal, info.Size, nil)
	require.NoError(t, err)
	assert.Equal(t, int64(1), w.Commits)
	assert.Equal(t, info.Size, w.End)
	require.NoError(t, wal.Close())
}

// TestCopyUnderFailure fails every single operation once, on the database as
// well as on the copy. The copy fails or is whole, and the next one succeeds.
func TestCopyUnderFailure(t *testing.T) {
	every := []vfstest.Kind{vfstest.OpOpen, vfstest.OpCreate, vfstest.OpStat, vfstest.OpRename, vfstest.OpRemove, vfstest.OpSyncDir,
		vfstest.OpFreeBytes, vfstest.OpRead, vfstest.OpWrite, vfstest.OpTruncate, vfstest.OpSync, vfstest.OpPunch, vfstest.OpLockOwner, vfstest.OpClose}
	fired := 0
	for _, errno := range []error{syscall.EIO, syscall.ENOSPC} {
		for n := 1; ; n++ {
			mem := inMemoryOnce(t)
			fsys := vfstest.FailNth(mem, n, errno, every...)
			res, err := hotcopy.Copy(context.Background(), memOptions(fsys))
			if !fsys.Fired() {
				require.NoError(t, err)
				break
			}
			fired++
			if err == nil {
				checkCopy(t, mem, res)
			} else if errno == syscall.ENOSPC && fsys.Op().Mutates() && fsys.Op().Kind != vfstest.OpClose {
				assert.Equal(t, failure.RepoFull.Name, failure.Of(err).Name, "%v: %v", fsys.Op(), err)
			}
			res, err = hotcopy.Copy(context.Background(), memOptions(mem))
			require.NoError(t, err, "after operation %d, %v", n, fsys.Op())
			checkCopy(t, mem, res)
		}
	}
	t.Logf("%d failures", fired)
	assert.Greater(t, fired, 40)
}

// TestCopyUnderCrash crashes the machine before every operation that changes
// something, keeping or losing at random what was not synced. The next copy
// succeeds from whatever is left.
func TestCopyUnderCrash(t *testing.T) {
	crashes := 0
	for n := 1; ; n++ {
		mem := inMemoryOnce(t)
		var clones []*vfstest.Mem
		ops := 0
		fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
			if !op.Mutates() {
				return nil
			}
			if ops++; ops == n {
				for seed := range int64(6) {
					clones = append(clones, mem.CrashClone(seed))
				}
			}
			return nil
		})
		res, err := hotcopy.Copy(context.Background(), memOptions(fsys))
		require.NoError(t, err)
		checkCopy(t, mem, res)
		if clones == nil {
			break
		}
		for seed, clone := range clones {
			crashes++
			res, err := hotcopy.Copy(context.Background(), memOptions(clone))
			require.NoError(t, err, "crash before operation %d, seed %d", n, seed)
			checkCopy(t, clone, res)
		}
	}
	t.Logf("%d crashes", crashes)
	assert.Greater(t, crashes, 40)
}

// TestCopyWhoseStagedWALIsGone: a crash kept the record of a copy that had
// come to its end, and lost the name of its WAL, or cut it.
func TestCopyWhoseStagedWALIsGone(t *testing.T) {
	for name, spoil := range map[string]func(*vfstest.Mem) error{
		"gone": func(mem *vfstest.Mem) error { return mem.Remove("/copy/x.duckdb.wal") },
		"cut": func(mem *vfstest.Mem) error {
			f, err := mem.OpenFile("/copy/x.duckdb.wal", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			return f.Truncate(10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem := inMemoryOnce(t)
			_, err := hotcopy.Copy(context.Background(), memOptions(mem))
			require.NoError(t, err)
			require.NoError(t, spoil(mem))
			res, err := hotcopy.Copy(context.Background(), memOptions(mem))
			require.NoError(t, err)
			checkCopy(t, mem, res)
			assert.Zero(t, res.BytesResumed)
		})
	}
}

// TestCopyWhoseSyncFailedIsNotResumed: what a failed sync was to keep may be
// gone though it can still be read, so nothing of it is kept.
func TestCopyWhoseSyncFailedIsNotResumed(t *testing.T) {
	syncs := 0
	for n := 1; ; n++ {
		mem := inMemoryOnce(t)
		left := n
		failed := false
		fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
			if op.Kind != vfstest.OpSync || filepath.Base(op.Name) != "x.duckdb" {
				return nil
			}
			if left--; left != 0 {
				return nil
			}
			failed = true
			return syscall.EIO
		})
		_, err := hotcopy.Copy(context.Background(), memOptions(fsys))
		if !failed {
			require.NoError(t, err)
			break
		}
		syncs++
		require.ErrorIs(t, err, syscall.EIO)
		info, err := mem.Stat("/copy/x.duckdb")
		require.NoError(t, err)
		assert.Zero(t, info.Size)
		_, err = mem.Stat("/copy/progress.json")
		require.ErrorIs(t, err, os.ErrNotExist)
		res, err := hotcopy.Copy(context.Background(), memOptions(mem))
		require.NoError(t, err)
		assert.Zero(t, res.BytesResumed)
		checkCopy(t, mem, res)
	}
	assert.GreaterOrEqual(t, syncs, 2)
}

var once *vfstest.Mem

// inMemoryOnce clones a file system that is made once: everything in it is
// synced, so that a crash clone is the same.
func inMemoryOnce(t *testing.T) *vfstest.Mem {
	if once == nil {
		once = inMemory(t)
	}
	return once.CrashClone(0)
}
