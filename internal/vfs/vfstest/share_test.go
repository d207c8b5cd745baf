package vfstest_test

import (
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func openBoth(t *testing.T, fsys vfs.FS) (src, dst vfs.File) {
	t.Helper()
	put(t, fsys, "/src", "the source", true)
	put(t, fsys, "/dst", "longer than the source", true)
	require.NoError(t, fsys.SyncDir("/"))
	src, err := fsys.Open("/src")
	require.NoError(t, err)
	dst, err = fsys.OpenFile("/dst", os.O_RDWR, 0)
	require.NoError(t, err)
	return src, dst
}

func TestMemClones(t *testing.T) {
	m := vfstest.NewMem()
	src, dst := openBoth(t, m)
	require.ErrorIs(t, dst.CloneFrom(src), vfs.ErrNoClone)
	m.SetClones(true)
	require.NoError(t, dst.CloneFrom(src))
	put(t, m, "/src", "THE", true)
	assert.Equal(t, "the source", get(t, m, "/dst"), "a clone does not follow")
	assert.Equal(t, "longer than the source", get(t, m.CrashClone(0), "/dst"), "not synced")
	assert.Equal(t, "the source", get(t, m.CrashClone(1), "/dst"))
}

func TestMemCloneRefuses(t *testing.T) {
	m := vfstest.NewMem()
	m.SetClones(true)
	src, dst := openBoth(t, m)
	require.ErrorIs(t, src.CloneFrom(dst), syscall.EBADF, "open for reading only")
	require.ErrorIs(t, dst.CloneFrom(dst), vfs.ErrNoClone)
	assert.Equal(t, "longer than the source", get(t, m, "/dst"))
	other, _ := openBoth(t, vfstest.NewMem())
	require.ErrorIs(t, dst.CloneFrom(other), vfs.ErrNoClone, "of another file system")
	_, err := dst.CopyRangeFrom(other, 0, 0, 1)
	require.ErrorIs(t, err, vfs.ErrNoCopyRange)
	require.NoError(t, src.Close())
	require.ErrorIs(t, dst.CloneFrom(src), fs.ErrClosed)
	_, err = dst.CopyRangeFrom(src, 0, 0, 1)
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestMemCopiesRanges(t *testing.T) {
	m := vfstest.NewMem()
	src, dst := openBoth(t, m)
	n, err := dst.CopyRangeFrom(src, 4, 2, 3)
	require.NoError(t, err)
	assert.EqualValues(t, 3, n)
	assert.Equal(t, "losour than the source", get(t, m, "/dst"))
	n, err = dst.CopyRangeFrom(src, 8, 30, 100)
	require.NoError(t, err)
	assert.EqualValues(t, 2, n, "up to the end")
	n, err = dst.CopyRangeFrom(src, 10, 0, 1)
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = dst.CopyRangeFrom(src, 0, -1, 1)
	require.ErrorIs(t, err, fs.ErrInvalid)
	_, err = dst.CopyRangeFrom(dst, 0, 1, 2)
	require.ErrorIs(t, err, vfs.ErrNoCopyRange)
	_, err = src.CopyRangeFrom(dst, 0, 0, 1)
	require.ErrorIs(t, err, syscall.EBADF)
}

func TestMemNextDataAndKind(t *testing.T) {
	m := vfstest.NewMem()
	src, _ := openBoth(t, m)
	at, err := src.NextData(3)
	require.NoError(t, err)
	assert.EqualValues(t, 3, at)
	_, err = src.NextData(10)
	require.ErrorIs(t, err, io.EOF)
	_, err = src.NextData(-1)
	require.ErrorIs(t, err, fs.ErrInvalid)

	kind, err := m.Kind("/src")
	require.NoError(t, err)
	assert.Equal(t, vfs.FSKind{Name: "mem"}, kind)
	m.SetKind(vfs.FSKind{Name: "nfs", Network: true})
	kind, err = m.Kind("/")
	require.NoError(t, err)
	assert.True(t, kind.Network)
	_, err = m.Kind("/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestInterceptSharesWhatItIsMadeAround clones and copies between files that
// are wrapped, twice, and fails both.
func TestInterceptSharesWhatItIsMadeAround(t *testing.T) {
	m := vfstest.NewMem()
	m.SetClones(true)
	var seen []vfstest.Op
	fsys := vfstest.Intercept(vfstest.Intercept(m, func(vfstest.Op) error { return nil }), func(op vfstest.Op) error {
		seen = append(seen, op)
		return nil
	})
	src, dst := openBoth(t, fsys)
	seen = nil
	require.NoError(t, dst.CloneFrom(src))
	_, err := dst.CopyRangeFrom(src, 0, 10, 10)
	require.NoError(t, err)
	_, err = src.NextData(0)
	require.NoError(t, err)
	_, err = fsys.Kind("/src")
	require.NoError(t, err)
	assert.Equal(t, []vfstest.Op{{Kind: vfstest.OpClone, Name: "/dst"}, {Kind: vfstest.OpCopyRange, Name: "/dst"},
		{Kind: vfstest.OpSeek, Name: "/src"}, {Kind: vfstest.OpStat, Name: "/src"}}, seen)
	assert.Equal(t, "the sourcethe source", get(t, m, "/dst"))
}

func TestFailNthOfSharing(t *testing.T) {
	m := vfstest.NewMem()
	m.SetClones(true)
	bad := vfstest.FailNth(m, 1, syscall.EIO, vfstest.OpClone)
	src, dst := openBoth(t, bad)
	require.ErrorIs(t, dst.CloneFrom(src), syscall.EIO)
	assert.Equal(t, "longer than the source", get(t, m, "/dst"))
	require.NoError(t, dst.CloneFrom(src), "once")

	bad = vfstest.FailNth(m, 1, syscall.ENOSPC, vfstest.OpCopyRange)
	src, dst = openBoth(t, bad)
	n, err := dst.CopyRangeFrom(src, 0, 0, 10)
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.EqualValues(t, 5, n, "the first half")
	assert.Equal(t, "the s", get(t, m, "/dst")[:5])

	assert.True(t, vfstest.Op{Kind: vfstest.OpClone}.Mutates())
	assert.True(t, vfstest.Op{Kind: vfstest.OpCopyRange}.Mutates())
	assert.False(t, vfstest.Op{Kind: vfstest.OpSeek}.Mutates())
}
