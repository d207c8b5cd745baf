package crashtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/livetest"
)

var building sync.Mutex

// starter is the real program, built once for all tests.
func starter(t testing.TB) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	program := filepath.Join(bin, "starter")
	if _, err := os.Stat(program); err != nil {
		require.NoError(t, os.Rename(livetest.Build(t, "starter"), program))
	}
	return program
}

// ended is how a command came to its end.
type ended struct {
	killed bool
	status int // of a command that was not killed
	out    string
	took   time.Duration
}

// start runs the starter in a process group of its own and kills the group
// after the given time, if it still runs; 0: it is left alone.
func start(t testing.TB, scratch string, kill time.Duration, args ...string) ended {
	t.Helper()
	cmd := exec.Command(starter(t), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	require.NoError(t, cmd.Start())
	if kill > 0 {
		timer := time.AfterFunc(kill, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer timer.Stop()
	} else {
		timer := time.AfterFunc(5*time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer timer.Stop()
	}
	_ = cmd.Wait() // its state says more
	e := ended{status: cmd.ProcessState.ExitCode(), out: out.String(), took: time.Since(begin)}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		e.killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	return e
}
