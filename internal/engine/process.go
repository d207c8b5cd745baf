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
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxReply bounds a line of the child, in bytes: a report on some hundred
// thousand tables. maxProgress bounds how often it may say how far it is, which
// it does once for each table.
const (
	maxReply    = 64 << 20
	maxProgress = 1 << 20
)

// run starts a child for req, feeds it, and turns its end into a report or an
// error. progress may be nil.
func run(ctx context.Context, req request, timeout time.Duration, progress func(done, total int)) (*ScanReport, error) {
	ctx, cancel := limited(ctx, timeout)
	defer cancel()
	p, err := ownChild(req.Path)
	if err != nil {
		return nil, err
	}
	var last *reply
	end, err := launch(ctx, req.Path, p, func(stdin io.WriteCloser, stdout io.Reader) (err error) {
		last, err = converse(stdin, stdout, req, progress)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case last != nil && end.ok() && last.Report != nil:
		return last.Report, nil
	case last != nil && end.ok():
		return nil, last.Error.err(req.Path)
	default:
		return nil, end.verdict(ctx, req.Path)
	}
}

// timeLimit is the cause of a context that a time limit ended.
type timeLimit time.Duration

func (t timeLimit) Error() string        { return "killed after " + time.Duration(t).String() }
func (t timeLimit) Is(target error) bool { return target == ErrTimeout }

// limited ends ctx after timeout; 0 means never.
func limited(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, timeLimit(timeout))
}

// ended is the error of a child that was killed, or never started, because ctx
// ended.
func ended(ctx context.Context, path string) error {
	cause := context.Cause(ctx)
	if limit, ok := errors.AsType[timeLimit](cause); ok {
		return fmt.Errorf("%w %s: %w", ErrTimeout, path, limit)
	}
	return fmt.Errorf("engine: %s: %w", path, cause)
}

// program is what is started as a child.
type program struct {
	exe  string
	args []string // from argv[0] on
	dir  string   // working directory; empty: the parent's
	env  []string
}

// ownChild is this program again.
func ownChild(path string) (program, error) {
	if len(os.Args) > 0 && os.Args[0] == childName {
		return program{}, errors.New("engine: this process is a child itself: its main must call RunIfChild")
	}
	exe, err := self()
	if err != nil {
		return program{}, fmt.Errorf("engine: find the own executable: %w", err)
	}
	return program{exe: exe, args: []string{childName, filepath.Base(path)}, env: childEnv()}, nil
}

// ending is how a child ended.
type ending struct {
	state   *os.ProcessState
	talkErr error // of reading what it wrote
	waitErr error
	stderr  *headTail
}

func (e *ending) ok() bool { return e.talkErr == nil && e.waitErr == nil }

// launch runs the program in a process group of its own, talks with it until its
// stdout ends, and takes the group down when the program has ended, when talk
// fails and when ctx ends. The error is that of a program that was not started.
func launch(ctx context.Context, path string, p program, talk func(stdin io.WriteCloser, stdout io.Reader) error) (*ending, error) {
	// The child dies with the thread that forked it: keep that thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, p.exe)
	cmd.Args, cmd.Env, cmd.Dir = p.args, p.env, p.dir
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error {
		if err := killGroup(cmd.Process.Pid); err != nil {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = 10 * time.Second
	end := &ending{stderr: &headTail{}}
	cmd.Stderr = end.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("engine: start a child process: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("engine: start a child process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return nil, ended(ctx, path)
		}
		return nil, fmt.Errorf("engine: start a child process: %w", err)
	}
	gone := make(chan struct{})
	go func() {
		// Before it is reaped its number belongs to no other process. What it
		// started and left behind holds its stdout open.
		if awaitExit(cmd.Process.Pid) {
			_ = killGroup(cmd.Process.Pid)
		}
		close(gone)
	}()
	end.talkErr = talk(stdin, stdout)
	if end.talkErr != nil {
		_ = killGroup(cmd.Process.Pid)
	}
	<-gone
	end.waitErr = cmd.Wait()
	end.state = cmd.ProcessState
	return end, nil
}

// verdict is the error of a child that did not answer.
func (e *ending) verdict(ctx context.Context, path string) error {
	if ctx.Err() != nil {
		return ended(ctx, path)
	}
	return fmt.Errorf("%w %s: %s", e.death(), path, e.describe())
}

// death tells a child that found no memory, and one that somebody ended, from
// one that crashed. A child that nobody here killed and that a SIGKILL ended was
// most likely chosen by the kernel to make room.
func (e *ending) death() error {
	switch {
	case e.talkErr != nil || e.state.Success():
		return ErrCrashed
	case e.signal() == syscall.SIGKILL, containsAny(e.stderr.String(), memoryTexts):
		return ErrMemory
	case containsAny(e.stderr.String(), threadTexts):
		return ErrResources
	case slices.Contains(sent, e.signal()):
		return ErrEnded
	default:
		return ErrCrashed
	}
}

// sent are the signals that end a program from outside, by a person, a service
// manager or a limit of the system.
var sent = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGXCPU, syscall.SIGXFSZ}

// signal is what ended the child; a command shell between it and us reports it
// as an exit status of 128 more.
func (e *ending) signal() syscall.Signal {
	status, _ := e.state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		return status.Signal()
	case status.Exited() && status.ExitStatus() > 128:
		return syscall.Signal(status.ExitStatus() - 128)
	default:
		return 0
	}
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
	for n := 0; lines.Scan(); n++ {
		if n > maxProgress {
			return nil, fmt.Errorf("the child said more than %d times how far it is", maxProgress)
		}
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
func (e *ending) describe() string {
	parts := []string{e.state.String()}
	if e.talkErr != nil {
		parts = append(parts, e.talkErr.Error())
	} else if e.state.Success() {
		parts = append(parts, "it ended without an answer")
	}
	if text := strings.TrimSpace(e.stderr.String()); text != "" {
		parts = append(parts, "stderr: "+strings.ToValidUTF8(text, "\uFFFD"))
	}
	return strings.Join(parts, "; ")
}
