package livetest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Owner is a running process that holds Database open and writes to it. It is
// killed when the test ends, and stops by itself when the test's process does.
type Owner struct {
	Database  string
	PID       int
	committed func() (int64, error)
	lines     chan string
	stdin     io.Closer
	stderr    *tail
	exited    chan struct{}
	waitError error
}

// Committed returns the last ledger entry that the process has said it
// committed: a lower bound of what any copy that begins now must hold.
func (o *Owner) Committed(t testing.TB) int64 {
	t.Helper()
	select {
	case <-o.exited:
		require.FailNowf(t, "the owner ended", "%v\n%s", o.waitError, o.stderr)
	default:
	}
	id, err := o.committed()
	require.NoErrorf(t, err, "ask the owner what it committed; it printed:\n%s", o.stderr)
	return id
}

// WaitFor returns once the owner has committed the ledger entry id.
func (o *Owner) WaitFor(t testing.TB, id int64) {
	t.Helper()
	require.Eventuallyf(t, func() bool { return o.Committed(t) >= id }, 2*time.Minute, 20*time.Millisecond,
		"the owner did not commit entry %d; it printed:\n%s", id, o.stderr)
}

// Stop ends the process as an operator would and waits until it has closed
// the database.
func (o *Owner) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, o.stdin.Close())
	select {
	case <-o.exited:
		require.NoErrorf(t, o.waitError, "the owner ended badly:\n%s", o.stderr)
	case <-time.After(time.Minute):
		require.FailNowf(t, "the owner does not stop", "%s", o.stderr)
	}
}

// StartWriter starts one of the programs below owners, as built by Build, with
// further flags.
func StartWriter(t testing.TB, program, database string, flags ...string) *Owner {
	t.Helper()
	o := start(t, database, exec.Command(program, append([]string{"--database", database}, flags...)...))
	var last atomic.Int64
	go func() {
		for line := range o.lines {
			if id, err := strconv.ParseInt(line, 10, 64); err == nil {
				last.Store(id)
			}
		}
	}()
	o.committed = func() (int64, error) { return last.Load(), nil }
	return o
}

// start starts cmd, whose standard output arrives in the owner's lines.
func start(t testing.TB, database string, cmd *exec.Cmd) *Owner {
	t.Helper()
	o := &Owner{Database: database, stderr: &tail{}, lines: make(chan string), exited: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	o.stdin, cmd.Stderr = stdin, o.stderr
	require.NoError(t, cmd.Start())
	o.PID = cmd.Process.Pid
	go func() {
		defer close(o.exited)
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			o.lines <- scanner.Text()
		}
		close(o.lines)
		o.waitError = cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-o.exited:
			return
		default:
		}
		assert.NoError(t, cmd.Process.Kill())
		go func() {
			for range o.lines {
			}
		}()
		<-o.exited
	})
	return o
}

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

const tailBytes = 8 << 10

func (b *tail) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if over := len(b.text) - tailBytes; over > 0 {
		b.text = b.text[over:]
	}
	return len(p), nil
}

func (b *tail) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// copyFiles copies the named files of one directory to another.
func copyFiles(t testing.TB, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, name), content, 0o644))
	}
}
