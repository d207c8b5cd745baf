package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
)

func TestChild(t *testing.T) {
	tests := []struct {
		name, kind string
		want       error
		text       string
	}{
		{"killed by somebody else/no memory", "kill", engine.ErrMemory, "signal: killed"},
		{"stopped with its service/an accident", "term", engine.ErrEnded, "signal: terminated"},
		{"aborts without memory in C++/no memory", "bad_alloc", engine.ErrMemory, "std::bad_alloc"},
		{"cannot start a thread/an accident", "no thread", engine.ErrResources, "pthread_create"},
		{"aborts/crashed", "abort", engine.ErrCrashed, "SIGABRT"},
		{"segmentation fault/crashed", "segv", engine.ErrCrashed, "SIGSEGV"},
		{"panics/crashed with the head of stderr", "panic", engine.ErrCrashed, "the engine gave up"},
		{"ends without an answer/crashed", "exit", engine.ErrCrashed, "it ended without an answer"},
		{"reports and then fails/crashed", "status", engine.ErrCrashed, "exit status 3"},
		{"prints garbage and hangs/crashed", "garbage", engine.ErrCrashed, "invalid character"},
		{"floods stdout/crashed", "long line", engine.ErrCrashed, "token too long"},
		{"never stops saying how far it is/crashed", "progress", engine.ErrCrashed, "more than 1048576 times"},
		{"reports twice/crashed", "twice", engine.ErrCrashed, "one after the last"},
		{"unknown request/crashed", "no such kind", engine.ErrCrashed, `unknown request "no such kind"`},
		{"floods stderr/crashed with a bounded text", "flood", engine.ErrCrashed, "bytes left out"},
		{"a library prints to stdout/accepted", "chatty", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := engine.RunTest(context.Background(), tt.kind, "/data/shop.duckdb", time.Minute)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tt.want)
			assert.ErrorContains(t, err, tt.text)
			assert.ErrorContains(t, err, "/data/shop.duckdb")
			assert.Less(t, len(err.Error()), 6<<10)
		})
	}
}

func TestChild_hangs_is_killed_after_the_timeout(t *testing.T) {
	err := engine.RunTest(context.Background(), "hang", "/data/shop.duckdb", 300*time.Millisecond)
	require.ErrorIs(t, err, engine.ErrTimeout)
	assert.EqualError(t, err, "engine: the engine did not finish in time /data/shop.duckdb: killed after 300ms")
}

func TestChild_context_ends_is_no_verdict(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	cause := errors.New("the worker stops")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	result := make(chan error)
	go func() { result <- engine.RunTest(ctx, "pid", pidFile, time.Minute) }()
	pid := waitPID(t, pidFile)
	cancel(cause)
	err := <-result
	require.ErrorIs(t, err, cause)
	for _, verdict := range []error{engine.ErrRejected, engine.ErrCrashed, engine.ErrTimeout, engine.ErrMemory, engine.ErrTooNew} {
		assert.NotErrorIs(t, err, verdict)
	}
	assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "the child is gone")

	err = engine.RunTest(ctx, "hang", pidFile, 0)
	require.ErrorIs(t, err, cause, "a context that ended before the start")
}

// waitPID reads the process ID that a child writes.
func waitPID(t *testing.T, name string) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(name)
		if err == nil {
			pid, err = strconv.Atoi(string(text))
		}
		return err == nil && pid > 0
	}, 30*time.Second, 5*time.Millisecond)
	return pid
}

func TestChild_dies_with_its_parent(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	pidFile := filepath.Join(t.TempDir(), "pid")
	parent := exec.Command(exe)
	parent.Args = []string{parentName, pidFile}
	require.NoError(t, parent.Start())
	pid := waitPID(t, pidFile)
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return !running(pid) }, 30*time.Second, 5*time.Millisecond)
}

// running is false for a process that is gone or that only waits to be reaped.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestScan_killed_child_leaves_no_spilled_files(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	req := request(t, path)
	req.Timeout = time.Second
	req.Assertions = []engine.Assertion{{Name: "endless", SQL: "SELECT count(*) FROM (SELECT hash(range) AS h FROM range(10000000000) ORDER BY h)", Expect: "1"}}
	_, err := engine.Scan(context.Background(), req)
	require.ErrorIs(t, err, engine.ErrTimeout)
	left, err := os.ReadDir(req.TempDir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestChild_environment_holds_nothing_of_the_parents(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "hunter2")
	err := engine.RunTest(context.Background(), "environ", "/data/shop.duckdb", time.Minute)
	require.ErrorContains(t, err, "TZ=UTC")
	assert.NotContains(t, err.Error(), "hunter2")
	assert.NotContains(t, err.Error(), "HOME=")
	assert.False(t, strings.Contains(err.Error(), "PATH=/"), "no search path: %s", err)
}
