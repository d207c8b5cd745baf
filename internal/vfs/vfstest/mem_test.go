package vfstest_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func put(t *testing.T, fsys vfs.FS, name, text string, sync bool) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

// get returns the content, "-" where there is no file.
func get(t *testing.T, fsys vfs.FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
		return "-"
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(data)
}

func TestCrashOfContent(t *testing.T) {
	m := vfstest.NewMem()
	put(t, m, "/f", "synced", true)
	require.NoError(t, m.SyncDir("/"))
	put(t, m, "/f", "SYN", false)
	assert.Equal(t, "SYNced", get(t, m, "/f"))
	assert.Equal(t, "synced", get(t, m.CrashClone(0), "/f"), "all lost")
	assert.Equal(t, "SYNced", get(t, m.CrashClone(1), "/f"), "all kept")
	seen := map[string]bool{}
	for seed := range int64(100) {
		seen[get(t, m.CrashClone(seed), "/f")] = true
	}
	assert.Equal(t, map[string]bool{"synced": true, "Synced": true, "SYnced": true, "SYNced": true}, seen, "lost, torn and kept")
	put(t, m, "/f", "", true)
	assert.Equal(t, "SYNced", get(t, m.CrashClone(0), "/f"), "after the sync")
}

func TestCrashOfNames(t *testing.T) {
	m := vfstest.NewMem()
	put(t, m, "/f", "x", true)
	assert.Equal(t, "-", get(t, m.CrashClone(0), "/f"), "a file's sync does not make its name durable")
	assert.Equal(t, "x", get(t, m.CrashClone(1), "/f"))
	require.NoError(t, m.SyncDir("/"))
	assert.Equal(t, "x", get(t, m.CrashClone(0), "/f"))

	require.NoError(t, m.Rename("/f", "/g"))
	lost, kept := m.CrashClone(0), m.CrashClone(1)
	assert.Equal(t, "x-", get(t, lost, "/f")+get(t, lost, "/g"))
	assert.Equal(t, "-x", get(t, kept, "/f")+get(t, kept, "/g"))
	require.NoError(t, m.SyncDir("/"))
	assert.Equal(t, "x", get(t, m.CrashClone(0), "/g"))

	require.NoError(t, m.Remove("/g"))
	assert.Equal(t, "-", get(t, m, "/g"))
	assert.Equal(t, "x", get(t, m.CrashClone(0), "/g"), "an unsynced removal comes undone")

	require.NoError(t, m.MkdirAll("/a/b", 0o700))
	put(t, m, "/a/b/f", "deep", true)
	require.NoError(t, m.SyncDir("/a/b"))
	require.NoError(t, m.SyncDir("/a"))
	assert.Equal(t, "-", get(t, m.CrashClone(0), "/a/b/f"), "the topmost name is not durable")
	require.NoError(t, m.SyncDir("/"))
	assert.Equal(t, "deep", get(t, m.CrashClone(0), "/a/b/f"))
}

func TestCrashIsDeterministicAndCrashesAgain(t *testing.T) {
	m := vfstest.NewMem()
	for _, name := range []string{"/a", "/b", "/c", "/d", "/e"} {
		put(t, m, name, "content of "+name, false)
	}
	state := func(m *vfstest.Mem) (s string) {
		for _, name := range []string{"/a", "/b", "/c", "/d", "/e"} {
			s += get(t, m, name) + "|"
		}
		return s
	}
	for seed := range int64(20) {
		c := m.CrashClone(seed)
		assert.Equal(t, state(c), state(m.CrashClone(seed)), "seed %d", seed)
		assert.Equal(t, state(c), state(c.CrashClone(0)), "seed %d: a clone is durable", seed)
	}
	c := m.CrashClone(1)
	put(t, c, "/a", "CLONE", true)
	assert.Equal(t, "content of /a", get(t, m, "/a"), "a clone shares nothing")
}

func TestCrashFreesLocks(t *testing.T) {
	m := vfstest.NewMem()
	put(t, m, "/lock", "", true)
	lock := func(m *vfstest.Mem) (vfs.File, bool) {
		f, err := m.Open("/lock")
		require.NoError(t, err)
		got, err := f.TryLock()
		require.NoError(t, err)
		return f, got
	}
	f, got := lock(m)
	assert.True(t, got)
	_, got = lock(m)
	assert.False(t, got)
	_, got = lock(m.CrashClone(1))
	assert.True(t, got)
	require.NoError(t, f.Close())
	_, got = lock(m)
	assert.True(t, got, "closing frees it")
}

// TestMemAgreesWithOS runs the same steps on both file systems.
func TestMemAgreesWithOS(t *testing.T) {
	dir := t.TempDir()
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll(dir, 0o700))
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(flag int) func(vfs.FS) error {
		return func(fsys vfs.FS) error {
			f, err := fsys.OpenFile(at("f"), flag, 0o600)
			if err != nil {
				return err
			}
			if _, err := f.Write([]byte("abc")); err != nil {
				return err
			}
			return f.Close()
		}
	}
	edit := func(call func(f vfs.File) error) func(vfs.FS) error {
		return func(fsys vfs.FS) error {
			f, err := fsys.OpenFile(at("f"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			if err := call(f); err != nil {
				return err
			}
			return f.Close()
		}
	}
	steps := []struct {
		name string
		do   func(vfs.FS) error
		want error
	}{
		{"open of nothing", write(os.O_WRONLY), fs.ErrNotExist},
		{"create", write(os.O_WRONLY | os.O_CREATE), nil},
		{"create exclusively over a file", write(os.O_WRONLY | os.O_CREATE | os.O_EXCL), fs.ErrExist},
		{"append", write(os.O_WRONLY | os.O_APPEND), nil},
		{"grow", edit(func(f vfs.File) error { return f.Truncate(10) }), nil},
		{"hole over the end", edit(func(f vfs.File) error { return f.PunchHole(2, 100) }), nil},
		{"write behind the end", edit(func(f vfs.File) error { _, err := f.WriteAt([]byte("z"), 12); return err }), nil},
		{"write to a file open for reading", func(fsys vfs.FS) error {
			f, err := fsys.Open(at("f"))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Write([]byte("x"))
			return err
		}, syscall.EBADF},
		{"mkdir", func(fsys vfs.FS) error { return fsys.Mkdir(at("d"), 0o700) }, nil},
		{"mkdir over a directory", func(fsys vfs.FS) error { return fsys.Mkdir(at("d"), 0o700) }, fs.ErrExist},
		{"mkdir without a parent", func(fsys vfs.FS) error { return fsys.Mkdir(at("no/d"), 0o700) }, fs.ErrNotExist},
		{"mkdirall", func(fsys vfs.FS) error { return fsys.MkdirAll(at("d/e"), 0o700) }, nil},
		{"mkdirall below a file", func(fsys vfs.FS) error { return fsys.MkdirAll(at("f/e"), 0o700) }, syscall.ENOTDIR},
		{"remove of a full directory", func(fsys vfs.FS) error { return fsys.Remove(at("d")) }, syscall.ENOTEMPTY},
		{"rename of a file over a full directory", func(fsys vfs.FS) error { return fsys.Rename(at("f"), at("d")) }, fs.ErrExist},
		{"rename of a directory over a file", func(fsys vfs.FS) error { return fsys.Rename(at("d"), at("f")) }, syscall.ENOTDIR},
		{"rename of a directory below itself", func(fsys vfs.FS) error { return fsys.Rename(at("d"), at("d/e/x")) }, syscall.EINVAL},
		{"rename into a directory", func(fsys vfs.FS) error { return fsys.Rename(at("f"), at("d/e/f")) }, nil},
		{"stat of the old name", func(fsys vfs.FS) error { _, err := fsys.Stat(at("f")); return err }, fs.ErrNotExist},
		{"list of a file", func(fsys vfs.FS) error { _, err := fsys.ReadDir(at("d/e/f")); return err }, syscall.ENOTDIR},
		{"rename back", func(fsys vfs.FS) error { return fsys.Rename(at("d/e/f"), at("f")) }, nil},
		{"remove", func(fsys vfs.FS) error { return fsys.Remove(at("d/e")) }, nil},
		{"remove of nothing", func(fsys vfs.FS) error { return fsys.Remove(at("d/e")) }, fs.ErrNotExist},
		{"syncdir of nothing", func(fsys vfs.FS) error { return fsys.SyncDir(at("none")) }, fs.ErrNotExist},
	}
	for _, step := range steps {
		for name, fsys := range map[string]vfs.FS{"os": vfs.OS(), "mem": mem} {
			err := step.do(fsys)
			if step.want == nil {
				require.NoError(t, err, "%s: %s", name, step.name)
			} else {
				require.ErrorIs(t, err, step.want, "%s: %s", name, step.name)
			}
		}
		if info, err := vfs.OS().Stat(at("f")); err == nil {
			require.Equal(t, get(t, vfs.OS(), at("f")), get(t, mem, at("f")), step.name)
			memInfo, err := mem.Stat(at("f"))
			require.NoError(t, err)
			require.Equal(t, info.Size, memInfo.Size, step.name)
			require.Equal(t, info.Mode, memInfo.Mode, step.name)
		}
	}
	for _, fsys := range []vfs.FS{vfs.OS(), mem} {
		entries, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 2)
		assert.Equal(t, "d", entries[0].Name())
		assert.True(t, entries[0].IsDir())
		assert.Equal(t, "f", entries[1].Name())
	}
}

func TestFailNthFailsEachOperationOnce(t *testing.T) {
	var kinds []vfstest.Kind
	for n := 1; ; n++ {
		m := vfstest.NewMem()
		bad := vfstest.FailNth(m, n, syscall.ENOSPC)
		err := vfs.WriteAtomic(bad, "/f", []byte("content"), 0o600)
		if !bad.Fired() {
			require.NoError(t, err)
			break
		}
		kinds = append(kinds, bad.Op().Kind)
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	assert.Equal(t, []vfstest.Kind{"create", "write", "sync", "close", "rename", "syncdir"}, kinds)

	bad := vfstest.FailNth(vfstest.NewMem(), 1, syscall.EIO, vfstest.OpRename)
	require.ErrorIs(t, vfs.WriteAtomic(bad, "/f", nil, 0o600), syscall.EIO)
	assert.Equal(t, vfstest.OpRename, bad.Op().Kind)
}

func TestWriteAtomicUnderFailure(t *testing.T) {
	for n := 1; ; n++ {
		m := vfstest.NewMem()
		require.NoError(t, vfs.WriteAtomic(m, "/f", []byte("old"), 0o600))
		bad := vfstest.FailNth(m, n, syscall.EIO)
		err := vfs.WriteAtomic(bad, "/f", []byte("new"), 0o600)
		want := "old"
		if err == nil || bad.Op().Kind == vfstest.OpSyncDir {
			want = "new"
		}
		assert.Equal(t, want, get(t, m, "/f"), "failing %v", bad.Op())
		entries, listErr := m.ReadDir("/")
		require.NoError(t, listErr)
		assert.Len(t, entries, 1, "failing %v", bad.Op())
		if !bad.Fired() {
			require.NoError(t, err)
			break
		}
		require.Error(t, err, "failing %v", bad.Op())
	}
}

func TestWriteAtomicUnderCrash(t *testing.T) {
	m := vfstest.NewMem()
	require.NoError(t, vfs.WriteAtomic(m, "/f", []byte("old"), 0o600))
	steps := 0
	fsys := vfstest.Intercept(m, func(op vfstest.Op) error {
		steps++
		for seed := range int64(20) {
			c := m.CrashClone(seed)
			assert.Contains(t, []string{"old", "new"}, get(t, c, "/f"), "before %v, seed %d", op, seed)
		}
		return nil
	})
	require.NoError(t, vfs.WriteAtomic(fsys, "/f", []byte("new"), 0o600))
	assert.Equal(t, 6, steps)
	assert.Equal(t, "new", get(t, m.CrashClone(0), "/f"), "durable on return")
}
