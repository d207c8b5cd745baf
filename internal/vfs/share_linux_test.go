package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/vfs/mounttest"
)

// open makes a file of the text, open for reading and writing.
func open(t *testing.T, name, text string) File {
	t.Helper()
	f, err := OS().OpenFile(write(t, name, text), os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func content(t *testing.T, f File) string {
	t.Helper()
	info, err := f.Stat()
	require.NoError(t, err)
	b := make([]byte, info.Size)
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	return string(b)
}

func TestCloneFrom(t *testing.T) {
	can := map[string]bool{"xfs": true, "btrfs": true}
	for place, dir := range places(t) {
		t.Run(place, func(t *testing.T) {
			src, dst := open(t, filepath.Join(dir, "src"), "the source"), open(t, filepath.Join(dir, "dst"), "a longer file than the source")
			err := dst.CloneFrom(src)
			if !can[place] {
				require.ErrorIs(t, err, ErrNoClone)
				var pathErr *fs.PathError
				require.ErrorAs(t, err, &pathErr)
				assert.Equal(t, dst.Name(), pathErr.Path)
				assert.Empty(t, content(t, dst))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "the source", content(t, dst))
			_, err = src.WriteAt([]byte("THE"), 0)
			require.NoError(t, err)
			require.NoError(t, dst.PunchHole(4, 3))
			assert.Equal(t, "the \x00\x00\x00rce", content(t, dst), "a clone does not follow")
			assert.Equal(t, "THE source", content(t, src), "nor does it lead")
		})
	}
}

func TestCloneFromAnotherFileSystem(t *testing.T) {
	at := places(t)
	src, dst := open(t, filepath.Join(at["xfs"], "src"), "the source"), open(t, filepath.Join(at["btrfs"], "dst"), "x")
	require.ErrorIs(t, dst.CloneFrom(src), ErrNoClone)
	require.ErrorIs(t, dst.CloneFrom(open(t, filepath.Join(at["xfs"], "other"), "")), ErrNoClone)
}

func TestCloneFromItselfAndClosed(t *testing.T) {
	dir := mounttest.Mount(t, "xfs", 0)
	src, dst := open(t, filepath.Join(dir, "src"), "the source"), open(t, filepath.Join(dir, "dst"), "")
	other := filepath.Join(dir, "other name")
	require.NoError(t, os.Link(src.Name(), other))
	again, err := OS().OpenFile(other, os.O_RDWR, 0)
	require.NoError(t, err)
	defer again.Close()
	require.ErrorIs(t, again.CloneFrom(src), ErrNoClone)
	assert.Equal(t, "the source", content(t, src), "a file is not cut off to be a clone of itself")

	require.NoError(t, dst.Close())
	for _, pair := range [][2]File{{dst, src}, {src, dst}} {
		err = pair[0].CloneFrom(pair[1])
		require.ErrorIs(t, err, fs.ErrClosed)
		require.NotErrorIs(t, err, ErrNoClone)
	}
	assert.Equal(t, "the source", content(t, src))
}

// TestPunchHoleFreesSpace sees the space come back where holes are real.
func TestPunchHoleFreesSpace(t *testing.T) {
	const size = 4 << 20
	for place, dir := range places(t) {
		t.Run(place, func(t *testing.T) {
			f := open(t, filepath.Join(dir, "f"), strings.Repeat("x", size))
			require.NoError(t, f.PunchHole(1<<20, 2<<20))
			require.NoError(t, f.Sync())
			var st unix.Stat_t
			require.NoError(t, unix.Stat(f.Name(), &st))
			assert.EqualValues(t, size, st.Size)
			assert.EqualValues(t, size-2<<20, st.Blocks*512)
			at, err := f.NextData(1 << 20)
			require.NoError(t, err)
			assert.EqualValues(t, 3<<20, at)
			assert.Equal(t, strings.Repeat("x", 1<<20)+strings.Repeat("\x00", 2<<20)+strings.Repeat("x", 1<<20), content(t, f))
		})
	}
}

func TestErrorsOfAFileSystemThatCannotAndOfADisk(t *testing.T) {
	for _, err := range []error{unix.EOPNOTSUPP, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.ENOSYS, unix.EPERM} {
		assert.True(t, isOneOf(&fs.PathError{Op: "ficlone", Err: err}, noClone), "%v", err)
	}
	for _, err := range []error{nil, unix.ENOSPC, unix.EIO, unix.EDQUOT, unix.EISDIR, unix.ENOMEM, fs.ErrClosed} {
		for _, list := range [][]error{noClone, noCopyRange, noSeekData} {
			assert.False(t, isOneOf(err, list), "%v", err)
		}
	}
}

func TestCloneAndCopyRangeOfAForeignFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "f"), "x")
	foreign := struct{ File }{f} // hides what it is made around
	require.ErrorIs(t, f.CloneFrom(foreign), ErrNoClone)
	_, err := f.CopyRangeFrom(foreign, 0, 1, 1)
	require.ErrorIs(t, err, ErrNoCopyRange)
	assert.Equal(t, "x", content(t, f))
	assert.Equal(t, File(f), Innermost(f))
}

// places are directories, each on a file system of its kind.
func places(t *testing.T) map[string]string {
	t.Helper()
	shm, err := os.MkdirTemp("/dev/shm", "vfs")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(shm) })
	return map[string]string{
		"tmpfs": shm, "ext4": mounttest.Mount(t, "ext4", 0), "xfs": mounttest.Mount(t, "xfs", 0), "btrfs": mounttest.Mount(t, "btrfs", 0),
	}
}

func TestCopyRangeFrom(t *testing.T) {
	for place, dir := range places(t) {
		t.Run(place, func(t *testing.T) {
			src, dst := open(t, filepath.Join(dir, "src"), "0123456789"), open(t, filepath.Join(dir, "dst"), "abc")
			n, err := dst.CopyRangeFrom(src, 2, 5, 4)
			require.NoError(t, err)
			require.EqualValues(t, 4, n)
			assert.Equal(t, "abc\x00\x002345", content(t, dst))
			n, err = dst.CopyRangeFrom(src, 8, 0, 100)
			require.NoError(t, err)
			assert.EqualValues(t, 2, n, "up to the end of the source")
			assert.Equal(t, "89c\x00\x002345", content(t, dst))
			for _, at := range []int64{10, 1000} {
				n, err = dst.CopyRangeFrom(src, at, 0, 4)
				require.NoError(t, err)
				assert.Zero(t, n, "behind the end")
			}
			n, err = dst.CopyRangeFrom(src, 0, 0, 0)
			require.NoError(t, err)
			assert.Zero(t, n)
			_, err = dst.CopyRangeFrom(src, -1, 0, 4)
			require.ErrorIs(t, err, fs.ErrInvalid)
			_, err = dst.CopyRangeFrom(dst, 0, 1, 4)
			require.ErrorIs(t, err, ErrNoCopyRange, "within a file the ranges must not meet")
		})
	}
}

func TestCopyRangeFromAnotherFileSystem(t *testing.T) {
	at := places(t)
	src, dst := open(t, filepath.Join(at["ext4"], "src"), "0123456789"), open(t, filepath.Join(at["tmpfs"], "dst"), "")
	n, err := dst.CopyRangeFrom(src, 0, 0, 10)
	if err != nil { // the kernels differ
		require.ErrorIs(t, err, ErrNoCopyRange)
		return
	}
	assert.EqualValues(t, 10, n)
	assert.Equal(t, "0123456789", content(t, dst))
}

func TestNextData(t *testing.T) {
	const page = 64 << 10
	for place, dir := range places(t) {
		t.Run(place, func(t *testing.T) {
			f := open(t, filepath.Join(dir, "f"), "")
			_, err := f.NextData(0)
			require.ErrorIs(t, err, io.EOF, "an empty file")
			_, err = f.WriteAt([]byte("data"), 10*page)
			require.NoError(t, err)
			require.NoError(t, f.Truncate(20*page))
			_, err = f.Write([]byte("head"))
			require.NoError(t, err)

			for _, c := range []struct{ off, want int64 }{{0, 0}, {3, 3}, {page, 10 * page}, {10*page + 2, 10*page + 2}} {
				got, err := f.NextData(c.off)
				require.NoError(t, err)
				assert.Equal(t, c.want, got, "from %d", c.off)
			}
			for _, off := range []int64{11 * page, 20 * page, 100 * page} {
				_, err = f.NextData(off)
				require.ErrorIs(t, err, io.EOF, "from %d", off)
			}
			_, err = f.NextData(-1)
			require.ErrorIs(t, err, fs.ErrInvalid)
			_, err = f.Write([]byte("er"))
			require.NoError(t, err)
			assert.Equal(t, "header", content(t, f)[:6], "the offset of Write stays")
		})
	}
}

func TestKind(t *testing.T) {
	for place, dir := range places(t) {
		kind, err := OS().Kind(dir)
		require.NoError(t, err)
		assert.Equal(t, FSKind{Name: place}, kind)
		kind, err = OS().Kind(mounttest.Bind(t, dir))
		require.NoError(t, err)
		assert.Equal(t, FSKind{Name: place}, kind, "a bind mount is no kind of its own")
	}
	kind, err := OS().Kind("/proc")
	require.NoError(t, err)
	assert.Equal(t, FSKind{Name: fmt.Sprintf("%#x", unix.PROC_SUPER_MAGIC)}, kind, "not a place for databases")
	_, err = OS().Kind(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestKindsOfMagic compares with the constants that the kernel's headers give,
// by way of another table of them.
func TestKindsOfMagic(t *testing.T) {
	for magic, want := range map[uint32]FSKind{
		unix.EXT4_SUPER_MAGIC: {"ext4", false}, unix.XFS_SUPER_MAGIC: {"xfs", false}, unix.BTRFS_SUPER_MAGIC: {"btrfs", false},
		unix.TMPFS_MAGIC: {"tmpfs", false}, unix.OVERLAYFS_SUPER_MAGIC: {"overlay", false}, unix.F2FS_SUPER_MAGIC: {"f2fs", false},
		unix.NFS_SUPER_MAGIC: {"nfs", true}, unix.CIFS_SUPER_MAGIC: {"cifs", true}, unix.SMB2_SUPER_MAGIC: {"smb2", true},
		unix.SMB_SUPER_MAGIC: {"smbfs", true}, unix.V9FS_MAGIC: {"9p", true}, unix.FUSE_SUPER_MAGIC: {"fuse", true},
		unix.CEPH_SUPER_MAGIC: {"ceph", true}, unix.AFS_SUPER_MAGIC: {"openafs", true}, unix.AFS_FS_MAGIC: {"afs", true},
		unix.CODA_SUPER_MAGIC: {"coda", true}, unix.NCP_SUPER_MAGIC: {"ncpfs", true}, unix.OCFS2_SUPER_MAGIC: {"ocfs2", true},
		0x1badface: {"0x1badface", false},
	} {
		assert.Equal(t, want, kindOfMagic(magic), "%#x", magic)
	}
}
