package engine_test

import (
	"context"
	"errors"
	"os"
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
		{"killed by a signal/crashed", "kill", engine.ErrCrashed, "signal: killed"},
		{"segmentation fault/crashed", "segv", engine.ErrCrashed, "SIGSEGV"},
		{"panics/crashed with the head of stderr", "panic", engine.ErrCrashed, "the engine gave up"},
		{"ends without an answer/crashed", "exit", engine.ErrCrashed, "it ended without an answer"},
		{"reports and then fails/crashed", "status", engine.ErrCrashed, "exit status 3"},
		{"prints garbage and hangs/crashed", "garbage", engine.ErrCrashed, "invalid character"},
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
	pid := 0
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(pidFile)
		if err == nil {
			pid, err = strconv.Atoi(string(text))
		}
		return err == nil && pid > 0
	}, 30*time.Second, 5*time.Millisecond)
	cancel(cause)
	err := <-result
	require.ErrorIs(t, err, cause)
	for _, verdict := range []error{engine.ErrRejected, engine.ErrCrashed, engine.ErrTimeout, engine.ErrTooNew} {
		assert.NotErrorIs(t, err, verdict)
	}
	assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "the child is gone")

	err = engine.RunTest(ctx, "hang", pidFile, 0)
	require.ErrorIs(t, err, cause, "a context that ended before the start")
}

func TestChild_environment_holds_nothing_of_the_parents(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "hunter2")
	err := engine.RunTest(context.Background(), "environ", "/data/shop.duckdb", time.Minute)
	require.ErrorContains(t, err, "TZ=UTC")
	assert.NotContains(t, err.Error(), "hunter2")
	assert.NotContains(t, err.Error(), "HOME=")
	assert.False(t, strings.Contains(err.Error(), "PATH=/"), "no search path: %s", err)
}
