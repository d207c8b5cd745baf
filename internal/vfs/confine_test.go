package vfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// confined is a directory with a file outside of it, and what confines it.
func confined(t *testing.T) (fsys FS, dir, outside string) {
	t.Helper()
	top := t.TempDir()
	dir, outside = filepath.Join(top, "dir"), filepath.Join(top, "outside")
	for _, d := range []string{dir, outside, filepath.Join(dir, "sub")} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	write(t, filepath.Join(outside, "file"), "theirs")
	write(t, filepath.Join(dir, "sub", "file"), "ours")
	fsys, err := OS().Confine(dir)
	require.NoError(t, err)
	return fsys, dir, outside
}

// asks are all operations that take a name, on the name.
func asks(fsys FS, name, free string) map[string]func() error {
	open := func(flag int) func() error {
		return func() error {
			f, err := fsys.OpenFile(name, flag, 0o600)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	return map[string]func() error{
		"open": open(os.O_RDONLY), "write": open(os.O_WRONLY), "make": open(os.O_RDWR | os.O_CREATE), "empty": open(os.O_RDWR | os.O_CREATE | os.O_TRUNC),
		"append": open(os.O_WRONLY | os.O_APPEND | os.O_CREATE),
		"stat":   func() error { _, err := fsys.Stat(name); return err },
		"list":   func() error { _, err := fsys.ReadDir(name); return err },
		"sync":   func() error { return fsys.SyncDir(name) },
		"free":   func() error { _, err := fsys.FreeBytes(name); return err },
		"kind":   func() error { _, err := fsys.Kind(name); return err },
		"below":  func() error { _, err := fsys.Lstat(filepath.Join(name, "file")); return err },
		"mkdir":  func() error { return fsys.Mkdir(filepath.Join(name, "new"), 0o700) },
		"all":    func() error { return fsys.MkdirAll(filepath.Join(name, "new", "deep"), 0o700) },
		"remove": func() error { return fsys.Remove(filepath.Join(name, "file")) },
		"from":   func() error { return fsys.Rename(filepath.Join(name, "file"), free) },
		"to": func() error {
			return fsys.Rename(filepath.Join(filepath.Dir(free), "sub", "file"), filepath.Join(name, "new"))
		},
		"tree":   func() error { return RemoveAll(fsys, filepath.Join(name, "file")) },
		"atomic": func() error { return WriteAtomic(fsys, filepath.Join(name, "file"), []byte("x"), 0o600) },
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	for kind, target := range map[string]func(dir, outside string) string{
		"out":            func(_, outside string) string { return outside },
		"out by dots":    func(_, _ string) string { return "../outside" },
		"to a file":      func(_, outside string) string { return filepath.Join(outside, "file") },
		"within":         func(_, _ string) string { return "sub" },
		"within, whole":  func(dir, _ string) string { return filepath.Join(dir, "sub") },
		"to nothing":     func(_, outside string) string { return filepath.Join(outside, "none") },
		"to itself":      func(_, _ string) string { return "link" },
		"to the machine": func(_, _ string) string { return "/dev/zero" },
	} {
		t.Run(kind, func(t *testing.T) {
			fsys, dir, outside := confined(t)
			link := filepath.Join(dir, "link")
			require.NoError(t, os.Symlink(target(dir, outside), link))
			for what, ask := range asks(fsys, link, filepath.Join(dir, "free")) {
				err := ask()
				require.ErrorIs(t, err, ErrLink, what)
				assert.ErrorContains(t, err, link+": it is a symbolic link", what)
			}
			info, err := fsys.Lstat(link)
			require.NoError(t, err)
			assert.NotZero(t, info.Mode&fs.ModeSymlink)
			require.NoError(t, fsys.Rename(link, filepath.Join(dir, "moved")), "the link itself can be moved")
			require.NoError(t, RemoveAll(fsys, filepath.Join(dir, "moved")), "and removed")
			untouched(t, dir, outside)
		})
	}
}

// untouched wants what confined made, and no more.
func untouched(t *testing.T, dir, outside string) {
	t.Helper()
	for name, want := range map[string]string{filepath.Join(outside, "file"): "theirs", filepath.Join(dir, "sub", "file"): "ours"} {
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	for _, d := range []string{outside, filepath.Join(dir, "sub")} {
		entries, err := os.ReadDir(d)
		require.NoError(t, err)
		assert.Len(t, entries, 1, d)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, dir)
}

// TestSpecialFiles would hang on a pipe that waits for its other end.
func TestSpecialFiles(t *testing.T) {
	for kind, put := range map[string]func(name string) error{
		"pipe":   func(name string) error { return unix.Mkfifo(name, 0o600) },
		"device": func(name string) error { return unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
		"socket": func(name string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Bind(fd, &unix.SockaddrUnix{Name: name})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			fsys, dir, outside := confined(t)
			name := filepath.Join(dir, "special")
			require.NoError(t, put(name))
			for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_TRUNC} {
				_, err := fsys.OpenFile(name, flag, 0o600)
				require.ErrorIs(t, err, ErrSpecial, "%#x", flag)
				assert.ErrorContains(t, err, name)
			}
			_, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			require.ErrorIs(t, err, fs.ErrExist)
			_, err = LockFile(fsys, name, 0o600)
			require.ErrorIs(t, err, ErrSpecial)
			_, err = fsys.Lstat(filepath.Join(name, "below"))
			require.ErrorIs(t, err, syscall.ENOTDIR)
			info, err := fsys.Stat(name)
			require.NoError(t, err)
			assert.False(t, info.Mode.IsRegular())
			require.NoError(t, WriteAtomic(fsys, name, []byte("x"), 0o600), "it is replaced, not written")
			require.NoError(t, fsys.Remove(name))
			untouched(t, dir, outside)
		})
	}
}

// TestOpenDoesNotWait: nobody is at the other end.
func TestOpenDoesNotWait(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(name, 0o600))
	f, err := OS().Open(name)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	assert.NotZero(t, info.Mode&fs.ModeNamedPipe)
	require.NoError(t, f.Close())
	_, err = OS().OpenFile(name, os.O_WRONLY, 0)
	require.ErrorIs(t, err, unix.ENXIO)
}

func TestTheConfinedDirectoryItself(t *testing.T) {
	_, dir, outside := confined(t)
	link := filepath.Join(filepath.Dir(dir), "link")
	require.NoError(t, os.Symlink("dir", link))
	fsys, err := OS().Confine(link)
	require.NoError(t, err, "the way to it may be a link")
	name := filepath.Join(link, "sub", "file")
	f, err := fsys.Open(name)
	require.NoError(t, err)
	defer f.Close()
	assert.Equal(t, "ours", content(t, f))
	assert.Equal(t, name, f.Name(), "a file has the name that it was asked for by")
	same, err := NamesFile(fsys, name, f)
	require.NoError(t, err)
	assert.True(t, same)
	for _, d := range []string{link, filepath.Join(link, "sub")} {
		entries, err := fsys.ReadDir(d)
		require.NoError(t, err)
		assert.Len(t, entries, 1)
		require.NoError(t, fsys.SyncDir(d))
		want, err := OS().FreeBytes(d)
		require.NoError(t, err)
		got, err := fsys.FreeBytes(d)
		require.NoError(t, err)
		assert.InDelta(t, want, got, 1<<30)
	}
	info, err := fsys.Stat(link)
	require.NoError(t, err)
	assert.True(t, info.Mode.IsDir())
	require.Error(t, fsys.Remove(link))
	require.ErrorIs(t, fsys.Mkdir(link, 0o700), fs.ErrExist)

	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(outside, link))
	_, err = fsys.Lstat(filepath.Join(link, "sub", "file"))
	require.NoError(t, err, "it was resolved once")

	_, err = OS().Confine(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = fsys.Stat(filepath.Join(link, "none", "file"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.RemoveAll(dir))
	_, err = fsys.Open(name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o700))
	write(t, filepath.Join(dir, "sub", "file"), "again")
	g, err := fsys.Open(name)
	require.NoError(t, err, "a directory that was made, or mounted, anew is found")
	defer g.Close()
	assert.Equal(t, "again", content(t, g))
}

func TestOtherNamesAreAsBefore(t *testing.T) {
	fsys, dir, outside := confined(t)
	link := filepath.Join(outside, "link")
	require.NoError(t, os.Symlink("file", link))
	f, err := fsys.Open(link)
	require.NoError(t, err)
	defer f.Close()
	assert.Equal(t, "theirs", content(t, f))
	near := dir + "x"
	require.NoError(t, os.Symlink(outside, near))
	_, err = fsys.ReadDir(near)
	require.NoError(t, err, "a name that only begins alike")
	for _, name := range []string{filepath.Join(dir, "sub", "..", "..", "outside", "file"), dir + "/../outside/file"} {
		_, err = fsys.Stat(name)
		require.NoError(t, err, "a name is what it is when it is clean")
	}
	inside, out := filepath.Join(dir, "sub", "file"), filepath.Join(outside, "new")
	require.ErrorIs(t, fsys.Rename(inside, out), unix.EXDEV)
	require.ErrorIs(t, fsys.Rename(filepath.Join(outside, "file"), inside), unix.EXDEV)
	require.NoError(t, fsys.Rename(link, out))

	both, err := fsys.Confine(outside)
	require.NoError(t, err)
	require.NoError(t, os.Symlink("file", link))
	require.NoError(t, os.Symlink("file", filepath.Join(dir, "sub", "link")))
	for _, name := range []string{link, filepath.Join(dir, "sub", "link")} {
		_, err = both.Open(name)
		require.ErrorIs(t, err, ErrLink)
	}
	again, err := both.Confine(filepath.Join(dir, "sub", "link"))
	require.NoError(t, err)
	_, err = again.ReadDir(filepath.Join(dir, "sub", "link"))
	require.ErrorIs(t, err, ErrLink, "what is below a confined directory is no way out of it")
}

// TestConfinedWithinConfined: the inner directory may be reached by a link, as
// it was confined by its own name.
func TestConfinedWithinConfined(t *testing.T) {
	_, dir, outside := confined(t)
	inner := filepath.Join(dir, "inner")
	require.NoError(t, os.Symlink(outside, inner))
	fsys, err := OS().Confine(inner)
	require.NoError(t, err)
	for range 2 {
		f, err := fsys.Open(filepath.Join(inner, "file"))
		require.NoError(t, err)
		assert.Equal(t, "theirs", content(t, f))
		require.NoError(t, f.Close())
		fsys, err = fsys.Confine(dir)
		require.NoError(t, err)
	}
	_, err = fsys.ReadDir(filepath.Join(dir, "sub"))
	require.NoError(t, err)
}

func TestConfinedRename(t *testing.T) {
	fsys, dir, _ := confined(t)
	at := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
	require.NoError(t, fsys.MkdirAll(at("a", "b", "c"), 0o700))
	require.NoError(t, fsys.Rename(at("sub", "file"), at("a", "b", "file")))
	require.NoError(t, fsys.Rename(at("a", "b"), at("b")))
	require.ErrorIs(t, fsys.Rename(at("sub"), at("a")), fs.ErrExist, "an empty directory is not replaced")
	require.ErrorIs(t, fsys.Rename(at("none"), at("a")), fs.ErrNotExist)
	require.ErrorIs(t, fsys.Rename(at("none", "x"), at("x")), fs.ErrNotExist)
	f, err := fsys.OpenFile(at("b", "new"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, fsys.Rename(at("b", "new"), at("b", "file")), "a file is")
	info, err := fsys.Stat(at("b", "file"))
	require.NoError(t, err)
	assert.Zero(t, info.Size)
	_, err = fsys.ReadDir(at("a"))
	require.NoError(t, err)
}
