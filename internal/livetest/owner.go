package livetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
	fold      func() error
	lines     chan string
	stdin     io.WriteCloser
	stderr    *tail
	exited    chan struct{}
	waitError error
}

// Ended returns nil while the process runs, and how it ended after that.
func (o *Owner) Ended() error {
	select {
	case <-o.exited:
		return fmt.Errorf("the owner ended: %v; it printed:\n%s", o.waitError, o.stderr)
	default:
		return nil
	}
}

// Ask returns the last ledger entry that the process has committed: a lower
// bound of what any copy that begins now must hold.
func (o *Owner) Ask() (int64, error) {
	if err := o.Ended(); err != nil {
		return 0, err
	}
	id, err := o.committed()
	if err != nil {
		return 0, fmt.Errorf("ask the owner what it committed: %w; it printed:\n%s", err, o.stderr)
	}
	return id, nil
}

// Committed is Ask; the test fails where that does.
func (o *Owner) Committed(t testing.TB) int64 {
	t.Helper()
	id, err := o.Ask()
	require.NoError(t, err)
	return id
}

// Reach returns once the owner has committed the ledger entry id.
func (o *Owner) Reach(id int64) error {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		committed, err := o.Ask()
		if err != nil || committed >= id {
			return err
		}
		if time.Since(begin) > 2*answerTimeout {
			return fmt.Errorf("the owner did not commit entry %d, it is at %d; it printed:\n%s", id, committed, o.stderr)
		}
	}
}

// WaitFor is Reach; the test fails where that does.
func (o *Owner) WaitFor(t testing.TB, id int64) {
	t.Helper()
	require.NoError(t, o.Reach(id))
}

// Fold has the owner run CHECKPOINT, again where a transaction holds it off.
func (o *Owner) Fold() error {
	for begin := time.Now(); ; {
		err := o.fold()
		if err == nil || time.Since(begin) > answerTimeout || !strings.Contains(err.Error(), "Cannot CHECKPOINT") {
			return err
		}
	}
}

// Quit ends the process as an operator would and waits until it has closed
// the database. An error says that it ended badly.
func (o *Owner) Quit() error {
	// The pipe may be gone with the process, whose end tells more.
	_ = o.stdin.Close()
	select {
	case <-o.exited:
		if o.waitError != nil {
			return o.Ended()
		}
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("the owner does not stop; it printed:\n%s", o.stderr)
	}
}

// Stop is Quit; the test fails where that does.
func (o *Owner) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, o.Quit())
}

// answerTimeout bounds the wait for what an owner says.
const answerTimeout = time.Minute

// StartWriter starts one of the programs below owners, as built by Build, with
// further flags.
func StartWriter(t testing.TB, program, database string, flags ...string) *Owner {
	t.Helper()
	return startWriter(t, exec.Command(program, append([]string{"--database", database}, flags...)...), database)
}

func startWriter(t testing.TB, cmd *exec.Cmd, database string) *Owner {
	t.Helper()
	o := start(t, database, cmd)
	answers := make(chan string, 1)
	go func() {
		for line := range o.lines {
			if answer, ok := strings.CutPrefix(line, "= "); ok {
				answers <- answer
			}
		}
	}()
	var mu sync.Mutex // one question at a time
	ask := func(question string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := io.WriteString(o.stdin, question+"\n"); err != nil {
			return "", err
		}
		select {
		case answer := <-answers:
			return answer, nil
		case <-o.exited:
			return "", o.Ended()
		case <-time.After(answerTimeout):
			return "", fmt.Errorf("no answer to %q", question)
		}
	}
	o.committed = func() (int64, error) {
		answer, err := ask("committed")
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(answer, 10, 64)
	}
	o.fold = func() error {
		answer, err := ask("checkpoint")
		if err == nil && answer != "ok" {
			err = errors.New(answer)
		}
		return err
	}
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
