package doctor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
)

func TestOwner(t *testing.T) {
	c := setUp(t)
	is(t, shop(c).owner(), OK, "nobody holds it")
	o := enginetest.StartOwner(t, c.Config.Databases[0].Path, enginetest.OwnerOptions{})
	exe, err := os.Executable()
	require.NoError(t, err)
	is(t, shop(c).owner(), OK, fmt.Sprintf("held by process %d (%s)", o.PID(), exe))
	is(t, stranger(t, c.Config.Databases[0].Path), Warn, "cannot be seen from here")
	o.Stop(t)
	is(t, shop(c).owner(), OK, "nobody holds it")
	is(t, stranger(t, c.Config.Databases[0].Path), OK, "nobody holds it")
}

// stranger looks from a PID namespace of its own.
func stranger(t *testing.T, path string) (f Finding) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", path)
	cmd.Args[0] = strangerName
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, "a PID namespace of its own needs root")
	require.NoError(t, json.Unmarshal(out, &f))
	return f
}

// TestOwnerThatLostItsLock has a process that has the database open for writing
// and holds no lock, as one that opened and closed it a second time.
func TestOwnerThatLostItsLock(t *testing.T) {
	c := setUp(t)
	path := c.Config.Databases[0].Path
	cmd := exec.Command("/bin/sh", "-c", `exec 3<>"$0"; echo open; read line`, path)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	f := shop(c).owner()
	is(t, f, Warn, fmt.Sprintf("process %d", cmd.Process.Pid))
	assert.Contains(t, f.Found, "no process holds DuckDB's lock")
	_, err = io.WriteString(in, "\n")
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	is(t, shop(c).owner(), OK, "nobody holds it")
}

func TestParseLock(t *testing.T) {
	for line, want := range map[string]string{
		"1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF":    "1234 5678 true",
		"22: POSIX  ADVISORY  READ 77 00:2f:9 0 EOF":         "77 9 true",
		"1: -> POSIX  ADVISORY  WRITE 1235 fe:00:5678 0 EOF": "0 0 false",
		"2: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF":    "0 0 false",
		"3: OFDLCK ADVISORY  WRITE -1 fe:00:5678 0 EOF":      "0 0 false",
		"3: POSIX  ADVISORY  WRITE 0 fe:00:5678 0 EOF":       "0 0 false",
		"4: POSIX": "0 0 false",
	} {
		pid, ino, ok := parseLock(line)
		assert.Equal(t, want, fmt.Sprintln(pid, ino, ok)[:len(want)], line)
	}
}

// TestSeveralReaders has two processes that opened the database read-only.
func TestSeveralReaders(t *testing.T) {
	c := setUp(t)
	first, second := readerOf(t, c), readerOf(t, c)
	f := shop(c).owner()
	is(t, f, OK, "held by")
	assert.Contains(t, f.Found, fmt.Sprintf("process %d ", first))
	assert.Contains(t, f.Found, fmt.Sprintf("process %d ", second))
}

// readerOf starts a process that holds a read lock on the database, as DuckDB
// takes one, until the test ends.
func readerOf(t *testing.T, c *Checkup) int {
	t.Helper()
	script := filepath.Join(t.TempDir(), "reader.py")
	require.NoError(t, os.WriteFile(script, []byte(`import fcntl, sys
f = open(sys.argv[1], "rb")
fcntl.lockf(f, fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.read()
`), 0o600))
	cmd := exec.Command("python3", script, c.Config.Databases[0].Path)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, in.Close())
		assert.NoError(t, cmd.Wait())
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd.Process.Pid
}
