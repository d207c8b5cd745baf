package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// maxReply bounds a line of the child, in bytes: a report on some hundred
// thousand tables.
const maxReply = 64 << 20

// run starts a child for req, feeds it, and turns its end into a report or an
// error. progress may be nil.
func run(ctx context.Context, req request, timeout time.Duration, progress func(done, total int)) (*ScanReport, error) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if timeout > 0 {
		timer := time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
		defer timer.Stop()
	}
	// The child dies with the thread that forked it: keep that thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd, stderr, err := command(runCtx, req.Path)
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("engine: start a child process: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("engine: start a child process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		if runCtx.Err() != nil && ctx.Err() != nil {
			return nil, ended(ctx, req.Path)
		}
		return nil, fmt.Errorf("engine: start a child process: %w", err)
	}
	last, lineErr := converse(stdin, stdout, req, progress)
	if lineErr != nil {
		killGroup(cmd.Process.Pid)
	}
	waitErr := cmd.Wait()

	switch {
	case last != nil && lineErr == nil && waitErr == nil && last.Report != nil:
		return last.Report, nil
	case last != nil && lineErr == nil && waitErr == nil:
		return nil, last.Error.err(req.Path)
	case ctx.Err() != nil:
		return nil, ended(ctx, req.Path)
	case errors.Is(context.Cause(runCtx), ErrTimeout):
		return nil, fmt.Errorf("%w %s: killed after %s", ErrTimeout, req.Path, timeout)
	}
	return nil, fmt.Errorf("%w %s: %s", deathOf(cmd.ProcessState, lineErr, stderr), req.Path, describe(cmd, lineErr, stderr))
}

// deathOf tells a child that found no memory from one that crashed. A child
// that nobody here killed and that a SIGKILL ended was most likely chosen by
// the kernel to make room.
func deathOf(state *os.ProcessState, lineErr error, stderr *headTail) error {
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case lineErr != nil || state.Success():
		return ErrCrashed
	case status.Signaled() && status.Signal() == syscall.SIGKILL, containsAny(stderr.String(), memoryTexts):
		return ErrMemory
	default:
		return ErrCrashed
	}
}

func ended(ctx context.Context, path string) error {
	return fmt.Errorf("engine: %s: %w", path, context.Cause(ctx))
}

// command prepares the child: this program again, in a process group of its
// own that is killed when ctx ends, without the parent's environment.
func command(ctx context.Context, path string) (*exec.Cmd, *headTail, error) {
	if len(os.Args) > 0 && os.Args[0] == childName {
		return nil, nil, errors.New("engine: this process is a child itself: its main must call RunIfChild")
	}
	exe, err := self()
	if err != nil {
		return nil, nil, fmt.Errorf("engine: find the own executable: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Args = []string{childName, filepath.Base(path)}
	cmd.Env = childEnv()
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error {
		if err := killGroup(cmd.Process.Pid); err != nil {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = 10 * time.Second
	stderr := &headTail{}
	cmd.Stderr = stderr
	return cmd, stderr, nil
}

// childEnv passes on where shared libraries are, and nothing else: the
// parent's environment may hold secrets, and the child runs the operator's SQL.
func childEnv() []string {
	env := []string{"TZ=UTC", "LC_ALL=C", "GOTRACEBACK=single"}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// converse writes the request and reads replies up to the end of stdout. It
// returns the final reply, or nil where there is none. Stdin stays open until
// the child ends: its end tells the child that the parent is gone.
func converse(stdin io.Writer, stdout io.Reader, req request, progress func(done, total int)) (*reply, error) {
	// A child that died before reading is judged by its exit, not by EPIPE.
	if err := json.NewEncoder(stdin).Encode(req); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	var last *reply
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxReply)
	for lines.Scan() {
		r, err := parseReply(lines.Bytes())
		if err != nil {
			return nil, err
		}
		if last != nil {
			return nil, errors.New("line of the child: one after the last")
		}
		if r.Progress == nil {
			last = r
		} else if progress != nil {
			progress(r.Progress.Done, r.Progress.Total)
		}
	}
	return last, lines.Err()
}

// describe says how a child ended that did not answer.
func describe(cmd *exec.Cmd, lineErr error, stderr *headTail) string {
	parts := []string{cmd.ProcessState.String()}
	if lineErr != nil {
		parts = append(parts, lineErr.Error())
	} else if cmd.ProcessState.Success() {
		parts = append(parts, "it ended without an answer")
	}
	if text := strings.TrimSpace(stderr.String()); text != "" {
		parts = append(parts, "stderr: "+strings.ToValidUTF8(text, "\uFFFD"))
	}
	return strings.Join(parts, "; ")
}

// headTail keeps the first and the last bytes of what is written to it: a Go
// traceback says what happened in its first lines, an abort in its last.
type headTail struct {
	head, tail []byte
	dropped    int64
}

const keepHead, keepTail = 2 << 10, 2 << 10

func (h *headTail) Write(p []byte) (int, error) {
	n := len(p)
	if room := keepHead - len(h.head); room > 0 {
		room = min(room, len(p))
		h.head, p = append(h.head, p[:room]...), p[room:]
	}
	h.tail = append(h.tail, p...)
	if over := len(h.tail) - keepTail; over > 0 {
		h.dropped += int64(over)
		h.tail = append(h.tail[:0], h.tail[over:]...)
	}
	return n, nil
}

func (h *headTail) String() string {
	if h.dropped > 0 {
		return fmt.Sprintf("%s\n... %d bytes left out ...\n%s", h.head, h.dropped, h.tail)
	}
	return string(h.head) + string(h.tail)
}
