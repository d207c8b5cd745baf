package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// maxOutput is how much of what a hook says is kept, in bytes: the end.
	maxOutput = 2048
	// grace is how long a hook's output may stay open after its end.
	grace = 2 * time.Second
)

// runCommand runs argv without a shell, in a process group of its own that is
// killed as a whole when ctx ends, so that nothing the hook started goes on
// working on the database behind our back.
func runCommand(ctx context.Context, argv []string, database string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environment(database)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		// The hook itself was content; something it left behind keeps its
		// output open and is none of our business any more.
		return nil
	}
	if err == nil {
		return nil
	}
	if len(out.kept) == 0 {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return fmt.Errorf("%s: %w; it said %q", argv[0], err, out.kept)
}

// environment is all that a hook sees of ours.
func environment(database string) []string {
	env := []string{"CANVASBACK_DATABASE=" + database}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// tail keeps the last bytes written to it. It has one writer: exec copies
// both streams with one goroutine where they are the same writer.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-maxOutput):]...)
	t.kept = t.kept[max(0, len(t.kept)-maxOutput):]
	return len(p), nil
}
