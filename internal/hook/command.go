package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// grace is how long a hook's output may stay open after its end.
const grace = 2 * time.Second

// Command runs argv without a shell, in a process group of its own that is
// killed as a whole when ctx ends, so that nothing the hook started goes on
// working on the database behind our back. Besides env ("NAME=value") the
// hook sees PATH, HOME and LANG of ours. It returns the beginning of standard
// output, at most MaxAnswer bytes and one more if there was more. The error of
// a hook that failed quotes the end of both streams.
func Command(ctx context.Context, argv, env []string) ([]byte, error) {
	return CommandOn(ctx, argv, env, nil)
}

// CommandOn is Command with in as the hook's standard input, which it may leave
// unread.
func CommandOn(ctx context.Context, argv, env []string, in []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environment(env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	if in != nil {
		cmd.Stdin = bytes.NewReader(in)
	}
	var out head
	var errOut tail
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		// The hook itself was content; something it left behind keeps its
		// output open and is none of our business any more.
		err = nil
	}
	if err == nil {
		return out.kept, nil
	}
	// Standard error comes last, so that no output can crowd it out.
	said := out.end
	said.add(errOut.kept)
	if len(said.kept) > 0 {
		return nil, fmt.Errorf("%s: %w; it said %q", argv[0], err, said.kept)
	}
	return nil, fmt.Errorf("%s: %w", argv[0], err)
}

// environment is all that a hook sees of ours.
func environment(env []string) []string {
	all := append([]string{}, env...)
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			all = append(all, name+"="+v)
		}
	}
	return all
}

// head keeps the first bytes written to it, and the last. Like tail it has one
// writer, which has ended when Command reads it.
type head struct {
	kept []byte
	end  tail
}

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), MaxAnswer+1-len(h.kept))]...)
	return h.end.Write(p)
}

// tail keeps the last bytes written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.add(p)
	return len(p), nil
}

func (t *tail) add(p []byte) {
	t.kept = append(t.kept, p[max(0, len(p)-MaxOutput):]...)
	t.kept = t.kept[max(0, len(t.kept)-MaxOutput):]
}
