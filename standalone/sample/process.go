package sample

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Process is a writer that runs beside this process.
type Process struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	commits atomic.Int64
	first   chan struct{} // closed at the first commit
	done    chan struct{} // closed when the writer is gone; err is set then
	err     error
	stop    sync.Once
}

// Start makes the database at path, or goes on with the one that is there, and
// returns once the writer committed something.
func Start(ctx context.Context, path string) (*Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	cmd := exec.Command(exe, childArg, path)
	cmd.SysProcAttr = dieWithParent()
	var stderr tail
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	p := &Process{cmd: cmd, stdin: stdin, first: make(chan struct{}), done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel's signal at the parent's death is sent when the thread
		// ends that made the child: this one stays until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.read(stdout)
		if err := cmd.Wait(); err != nil {
			p.err = fmt.Errorf("sample: the writer of %s ended: %w: %s", path, err, stderr.String())
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("sample: start the writer: %w", err)
	}
	select {
	case <-p.first:
		return p, nil
	case <-p.done:
		return nil, errors.Join(p.err, errNothing(p.err))
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), p.Stop())
	}
}

func errNothing(err error) error {
	if err != nil {
		return nil
	}
	return errors.New("sample: the writer ended before it wrote")
}

func (p *Process) read(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			continue
		}
		if p.commits.Swap(n) == 0 {
			close(p.first)
		}
	}
}

// Commits is the number of transactions in the ledger that the writer has
// reported, which is also the newest id.
func (p *Process) Commits() int64 { return p.commits.Load() }

// PID is the writer's process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the writer has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop lets the writer close the database and waits for its end; a writer that
// takes too long is killed, which a database survives.
func (p *Process) Stop() error {
	p.stop.Do(func() {
		p.stdin.Close()
		select {
		case <-p.done:
		case <-time.After(closeWait + time.Second):
			p.cmd.Process.Kill()
		}
	})
	<-p.done
	return p.err
}

// tail keeps the end of what a process says.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 4096; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
