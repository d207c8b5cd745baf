package vfstest_test

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestLockFile(t *testing.T) {
	m := vfstest.NewMem()
	_, err := vfs.LockFile(m, "/d/lock", 0o600)
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, m.Mkdir("/d", 0o700))
	first, err := vfs.LockFile(m, "/d/lock", 0o600)
	require.NoError(t, err)
	require.NotNil(t, first)
	second, err := vfs.LockFile(m, "/d/lock", 0o600)
	require.NoError(t, err)
	assert.True(t, second == nil, "held")
	require.NoError(t, first.Close())
}

func TestLockFileRemovedByItsHolderWhileWaiting(t *testing.T) {
	m := vfstest.NewMem()
	holder, err := vfs.LockFile(m, "/lock", 0o600)
	require.NoError(t, err)
	stale := holder
	fsys := vfstest.Intercept(m, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpLock && stale != nil { // opened, not locked yet
			require.NoError(t, m.Remove("/lock"))
			require.NoError(t, stale.Close())
			stale = nil
		}
		return nil
	})
	got, err := vfs.LockFile(fsys, "/lock", 0o600)
	require.NoError(t, err)
	require.NotNil(t, got)
	again, err := vfs.LockFile(m, "/lock", 0o600)
	require.NoError(t, err)
	assert.True(t, again == nil, "the lock is on the file of that name, not on the removed one")
}

// TestLocksOfADirectory does the same on both file systems.
func TestLocksOfADirectory(t *testing.T) {
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll("/top", 0o700))
	for name, tt := range map[string]struct {
		fsys vfs.FS
		top  string
	}{"mem": {mem, "/top"}, "os": {vfs.OS(), t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(tt.top, "dir")
			require.NoError(t, tt.fsys.Mkdir(dir, 0o700))
			open := func(at string) vfs.File {
				f, err := tt.fsys.Open(at)
				require.NoError(t, err)
				return f
			}
			try := func(lock func() (bool, error)) bool {
				got, err := lock()
				require.NoError(t, err)
				return got
			}
			a, b, c := open(dir), open(dir), open(dir)
			assert.True(t, try(a.TryLockShared))
			assert.True(t, try(b.TryLockShared), "two can share")
			assert.False(t, try(c.TryLock))
			moved := filepath.Join(tt.top, "moved")
			require.NoError(t, tt.fsys.Rename(dir, moved))
			d := open(moved)
			assert.False(t, try(d.TryLock), "the lock goes along")
			require.NoError(t, a.Close())
			assert.False(t, try(c.TryLock), "one is left")
			require.NoError(t, b.Close())
			assert.True(t, try(c.TryLock))
			assert.False(t, try(d.TryLockShared))
			same, err := vfs.NamesFile(tt.fsys, moved, c)
			require.NoError(t, err)
			assert.True(t, same)
			same, err = vfs.NamesFile(tt.fsys, dir, c)
			require.NoError(t, err)
			assert.False(t, same)
			require.NoError(t, c.Close())
			assert.True(t, try(d.TryLockShared))
			require.NoError(t, d.Close())
		})
	}
}
