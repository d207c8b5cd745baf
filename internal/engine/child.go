package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// RunIfChild takes over the process if it was started as an engine child, and
// never returns then. Every main and TestMain whose process calls Scan or
// Checkpoint calls it first.
func RunIfChild() {
	if len(os.Args) == 0 || os.Args[0] != childName {
		return
	}
	if err := childMain(os.Stdin); err != nil {
		fmt.Fprintf(os.Stderr, "canvasback: engine child: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// handlers answer requests. Tests add kinds that crash and hang.
var handlers = map[string]func(context.Context, request, *replies) (*ScanReport, error){
	kindScan:       scanChild,
	kindCheckpoint: checkpointChild,
	kindExtract:    extractChild,
	kindProbe:      probeChild,
}

// childMain answers the one request. Errors it returns are those that could
// not be written to the parent.
func childMain(stdin io.Reader) error {
	out, err := claimStdout()
	if err != nil {
		return err
	}
	yield()
	var req request
	dec := json.NewDecoder(stdin)
	if err := dec.Decode(&req); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	go exitWithParent(io.MultiReader(dec.Buffered(), stdin))
	handle, ok := handlers[req.Kind]
	if !ok {
		return fmt.Errorf("unknown request %q", req.Kind)
	}
	if req.Kind != kindCheckpoint { // which leaves nothing but what is the owner's
		syscall.Umask(0o077)
	}
	report, err := handle(context.Background(), req, out)
	if err != nil {
		return out.send(reply{Error: asChildError(err)})
	}
	return out.send(reply{Report: report})
}

// exitWithParent ends the process when the other end of stdin is closed. On
// Linux the kernel does that too; this also holds elsewhere.
func exitWithParent(stdin io.Reader) {
	_, _ = io.Copy(io.Discard, stdin)
	os.Exit(1)
}

// claimStdout keeps the pipe to the parent for replies and sends whatever a
// library prints to stdout to stderr instead.
func claimStdout() (*replies, error) {
	fd, err := unix.Dup(1)
	if err != nil {
		return nil, fmt.Errorf("keep stdout: %w", err)
	}
	unix.CloseOnExec(fd)
	if err := unix.Dup2(2, 1); err != nil {
		return nil, fmt.Errorf("redirect stdout: %w", err)
	}
	return &replies{w: os.NewFile(uintptr(fd), "replies")}, nil
}

// yield makes the child the machine's first choice to go without when memory
// is short, and keeps a crash from filling the disk with a core. Neither is
// needed for a right answer.
func yield() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// replies writes JSON lines to the parent.
type replies struct{ w io.Writer }

func (r *replies) send(v reply) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a reply: %w", err)
	}
	if _, err := r.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write a reply: %w", err)
	}
	return nil
}

func (r *replies) progress(done, total int) error {
	return r.send(reply{Progress: &tableProgress{Done: done, Total: total}})
}

func asChildError(err error) *childError {
	var e *childError
	if errors.As(err, &e) {
		return &childError{Class: e.Class, Text: shorten(err.Error())}
	}
	return classify(err)
}
