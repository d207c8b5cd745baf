package vfs

import (
	"bufio"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// lockHolderEnv makes this test binary a process that holds a record lock on
// the file it names until its standard input ends.
const lockHolderEnv = "VFS_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(lockHolderEnv); name != "" {
		holdLock(name)
		os.Exit(0)
	}
	if umask := os.Getenv(umaskVariable); umask != "" {
		os.Exit(umaskChild(umask, os.Args[1]))
	}
	os.Exit(m.Run())
}

func holdLock(name string) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("held\n")
	io.Copy(io.Discard, os.Stdin)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestOSLockOwner(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "db"), "x")
	f, err := OS().Open(name) // read only
	require.NoError(t, err)
	defer f.Close()

	pid, held, err := f.LockOwner()
	require.NoError(t, err)
	assert.False(t, held)
	assert.Zero(t, pid)

	owner := exec.Command(os.Args[0], "-test.run=^$")
	owner.Env = append(os.Environ(), lockHolderEnv+"="+name)
	stdin, err := owner.StdinPipe()
	require.NoError(t, err)
	stdout, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", line)

	pid, held, err = f.LockOwner()
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, owner.Process.Pid, pid)
	pid, held, err = f.LockOwner()
	require.NoError(t, err, "asking took no lock and dropped none")
	assert.True(t, held)
	assert.Equal(t, owner.Process.Pid, pid)

	require.NoError(t, stdin.Close())
	require.NoError(t, owner.Wait())
	_, held, err = f.LockOwner()
	require.NoError(t, err)
	assert.False(t, held)
}

func TestOSTryLock(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "lock"), "")
	open := func() File {
		f, err := OS().OpenFile(name, os.O_RDWR, 0)
		require.NoError(t, err)
		return f
	}
	a, b := open(), open()
	defer b.Close()
	got, err := a.TryLock()
	require.NoError(t, err)
	assert.True(t, got)
	got, err = b.TryLock()
	require.NoError(t, err)
	assert.False(t, got, "another open file holds it")
	require.NoError(t, a.Close())
	got, err = b.TryLock()
	require.NoError(t, err)
	assert.True(t, got, "closing released it")
	_, held, err := b.LockOwner()
	require.NoError(t, err)
	assert.False(t, held, "a flock is no record lock")
}

// TestOSLockEndsWithItsFile although a child process that is being started has
// a second descriptor of the file.
func TestOSLockEndsWithItsFile(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "lock"), "")
	a, err := OS().OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	got, err := a.TryLock()
	require.NoError(t, err)
	require.True(t, got)
	fd, err := unix.Dup(int(a.(*osFile).Fd()))
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, a.Close())
	require.ErrorIs(t, a.Close(), os.ErrClosed)

	b, err := OS().OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	defer b.Close()
	got, err = b.TryLock()
	require.NoError(t, err)
	assert.True(t, got)
}

func TestOSPunchHole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	f, err := OS().OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	defer f.Close()
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = 0xab
	}
	_, err = f.Write(data)
	require.NoError(t, err)

	punch := map[string]func(off, n int64) error{"hole": f.PunchHole, "zeros": f.(*osFile).writeZeros}
	at := int64(5000)
	for kind, call := range punch {
		t.Run(kind, func(t *testing.T) {
			require.NoError(t, call(at, 200_000))
			got := make([]byte, 200_002)
			_, err := f.ReadAt(got, at-1)
			require.NoError(t, err)
			assert.Equal(t, byte(0xab), got[0])
			assert.Equal(t, make([]byte, 200_000), got[1:200_001])
			assert.Equal(t, byte(0xab), got[200_001])
		})
		at += 300_000
	}
	require.NoError(t, f.PunchHole(1<<20-10, 1000), "over the end")
	require.NoError(t, f.(*osFile).writeZeros(1<<20-10, 1000))
	info, err := f.Stat()
	require.NoError(t, err)
	assert.Equal(t, int64(1<<20), info.Size, "a hole never makes the file longer")
	require.ErrorIs(t, f.PunchHole(-1, 4), fs.ErrInvalid)
	require.NoError(t, f.PunchHole(3, 0))
}

func TestOSStatAndErrors(t *testing.T) {
	dir := t.TempDir()
	name := write(t, filepath.Join(dir, "f"), "four")
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(name, link))

	info, err := OS().Stat(link)
	require.NoError(t, err)
	assert.Equal(t, int64(4), info.Size)
	assert.NotZero(t, info.Ino)
	assert.False(t, info.ChangeTime.IsZero())
	linkInfo, err := OS().Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, linkInfo.Mode&fs.ModeSymlink)

	f, err := OS().Open(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.True(t, f == nil, "a failed open returns a nil interface")
	_, err = OS().Stat(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OS().FreeBytes(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	free, err := OS().FreeBytes(dir)
	require.NoError(t, err)
	assert.Positive(t, free)
	require.NoError(t, OS().SyncDir(dir))
}

func TestWriteAtomicReplaces(t *testing.T) {
	dir := t.TempDir()
	name := write(t, filepath.Join(dir, "f"), "old")
	require.NoError(t, WriteAtomic(OS(), name, []byte("new"), 0o600))
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "new", string(got))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file stays")
}

func TestWriteAtomicFailsAndCleansUp(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	require.NoError(t, os.Mkdir(name, 0o700)) // the rename cannot replace a directory
	require.Error(t, WriteAtomic(OS(), name, []byte("new"), 0o600))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "f", entries[0].Name())
}

func TestIsTemp(t *testing.T) {
	assert.True(t, IsTemp(".manifest.json.tmp-0011"))
	assert.False(t, IsTemp("manifest.json"))
	assert.False(t, IsTemp("a.tmp-b"))
}
