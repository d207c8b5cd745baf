package vfstest_test

import (
	"io/fs"
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
