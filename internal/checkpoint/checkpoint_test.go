package checkpoint

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hook"
	"canvasback/internal/vfs"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

// request observes a database whose WAL is the file wal in a new directory:
// the hooks of these tests fold it by removing that file.
func request(t *testing.T, options config.Checkpoint) (Request, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.duckdb")
	require.NoError(t, os.WriteFile(path+".wal", []byte("1234567"), 0o600))
	if options.Timeout == 0 {
		options.Timeout = config.Duration(20 * time.Second)
	}
	return Request{FS: vfs.OS(), Path: path, Options: options, Observe: func() (Observation, error) {
		info, err := os.Stat(path + ".wal")
		if errors.Is(err, os.ErrNotExist) {
			return Observation{Iteration: 8, OwnerPID: 42, OwnerExe: "/bin/owner", Held: true}, nil
		}
		return Observation{Iteration: 7, WALBytes: info.Size(), OwnerPID: 42, OwnerExe: "/bin/owner", Held: true}, err
	}}, path
}

func TestNoneOnlyObserves(t *testing.T) {
	req, path := request(t, config.Checkpoint{Mode: config.CheckpointNone})
	got, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "none", got.Mode)
	assert.EqualValues(t, 7, got.IterationBefore)
	assert.EqualValues(t, 7, got.IterationAfter)
	assert.EqualValues(t, 7, got.WALBytesAfter)
	assert.Equal(t, 42, got.OwnerPID)
	assert.Equal(t, "/bin/owner", got.OwnerExe)
	assert.FileExists(t, path+".wal")
}

func TestObserveFails(t *testing.T) {
	want := failure.Errorf(failure.NoSuchFile, "no file")
	_, err := Run(t.Context(), Request{Observe: func() (Observation, error) { return Observation{}, want }})
	assert.Equal(t, want, err)
}

func TestCommandFolds(t *testing.T) {
	t.Setenv("CANVASBACK_TEST_SECRET", "hidden")
	req, path := request(t, config.Checkpoint{Mode: config.CheckpointCommand,
		Command: []string{"/bin/sh", "-c", `env > "$1" && rm "$CANVASBACK_DATABASE.wal"`, "sh", ""}})
	env := filepath.Join(t.TempDir(), "env")
	req.Options.Command[4] = env
	got, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Empty(t, got.Error)
	assert.EqualValues(t, 7, got.WALBytesBefore)
	assert.EqualValues(t, 0, got.WALBytesAfter)
	assert.EqualValues(t, 8, got.IterationAfter)
	data, err := os.ReadFile(env)
	require.NoError(t, err)
	assert.Contains(t, string(data), "CANVASBACK_DATABASE="+path)
	assert.Contains(t, string(data), "PATH=")
	assert.NotContains(t, string(data), "hidden", "the hook's environment is clean")
}

func TestCommandTakesArgumentsLiterally(t *testing.T) {
	req, path := request(t, config.Checkpoint{Mode: config.CheckpointCommand, Command: []string{"false", "; rm *"}})
	got, err := Run(t.Context(), req)
	require.NoError(t, err, "on_error continue")
	assert.Equal(t, "checkpoint of "+path+" by command: false: exit status 1", got.Error)
	assert.FileExists(t, path+".wal")
}

func TestCommandFails(t *testing.T) {
	req, path := request(t, config.Checkpoint{Mode: config.CheckpointCommand, OnError: config.OnErrorFail,
		Command: []string{"/bin/sh", "-c", "yes | head -c 100000; echo 'no space' >&2; exit 3"}})
	got, err := Run(t.Context(), req)
	require.Error(t, err)
	assert.Same(t, failure.Hook, failure.Of(err))
	assert.True(t, strings.HasPrefix(err.Error(), "checkpoint of "+path+" by command: /bin/sh: exit status 3; it said \""), err)
	assert.True(t, strings.HasSuffix(err.Error(), `no space\n"`), err)
	assert.Less(t, len(err.Error()), 3*hook.MaxOutput, "output is bounded")
	assert.Equal(t, err.Error(), got.Error)
}

func TestCommandMissing(t *testing.T) {
	req, _ := request(t, config.Checkpoint{Mode: config.CheckpointCommand, OnError: config.OnErrorFail, Command: []string{"/no/such/hook"}})
	_, err := Run(t.Context(), req)
	assert.ErrorContains(t, err, "/no/such/hook: no such file or directory")
}

// hanging starts a grandchild, writes its pid to the file and waits for it.
func hanging(t *testing.T) (command []string, pid func() int) {
	file := filepath.Join(t.TempDir(), "pid")
	return []string{"/bin/sh", "-c", `sleep 1000 & echo $! > "$1.new" && mv "$1.new" "$1"; wait`, "sh", file}, func() int {
		data, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(data)))
		require.NoError(t, err)
		return n
	}
}

func assertDead(t *testing.T, pid int) {
	t.Helper()
	require.NotZero(t, pid)
	assert.Eventually(t, func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		// An orphan that nobody has reaped yet is dead, too.
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 10*time.Second, 10*time.Millisecond, "the grandchild lives on")
}

func TestCommandHangsUntilTimeout(t *testing.T) {
	command, pid := hanging(t)
	req, _ := request(t, config.Checkpoint{Mode: config.CheckpointCommand, OnError: config.OnErrorFail, Command: command, Timeout: config.Duration(time.Second)})
	_, err := Run(t.Context(), req)
	require.ErrorContains(t, err, "no end within 1s")
	assert.Same(t, failure.Hook, failure.Of(err))
	assertDead(t, pid())
}

func TestCommandIsCancelled(t *testing.T) {
	command, pid := hanging(t)
	req, _ := request(t, config.Checkpoint{Mode: config.CheckpointCommand, Command: command})
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, req)
		done <- err
	}()
	require.Eventually(t, func() bool { return pid() != 0 }, 10*time.Second, 5*time.Millisecond)
	cause := errors.New("the worker stops")
	cancel(cause)
	assert.ErrorIs(t, <-done, cause, "on_error continue does not swallow a cancellation")
	assertDead(t, pid())
}

func TestHTTP(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string // of the error, with URL for the server's address
	}{
		{"2xx folds", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }, ""},
		{"error is quoted", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "disk \x01 full", 500) }, `URL answers 500 Internal Server Error: "disk \x01 full\n"`},
		{"long error is cut", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}, `URL answers 500 Internal Server Error: "` + strings.Repeat("x", hook.MaxOutput) + `"`},
		{"redirect is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		}, "URL answers with a redirect (302 Found), which is not followed"},
	}
	for _, tt := range tests {
		for _, kind := range []string{"tcp", "unix"} {
			t.Run(tt.name+" over "+kind, func(t *testing.T) {
				var methods []string
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					methods = append(methods, r.Method+" "+r.URL.Path)
					tt.handler(w, r)
				}))
				options := config.Checkpoint{Mode: config.CheckpointHTTP, OnError: config.OnErrorFail}
				if kind == "unix" {
					dir, err := os.MkdirTemp("", "hook")
					require.NoError(t, err)
					t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
					options.Socket = filepath.Join(dir, "s")
					options.URL = "http://hook/checkpoint"
					require.NoError(t, server.Listener.Close())
					server.Listener, err = net.Listen("unix", options.Socket)
					require.NoError(t, err)
				}
				server.Start()
				defer server.Close()
				if kind == "tcp" {
					options.URL = server.URL + "/checkpoint"
				}
				req, path := request(t, options)
				_, err := Run(t.Context(), req)
				if tt.want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, "checkpoint of "+path+" by http: "+strings.ReplaceAll(tt.want, "URL", options.URL))
				}
				assert.Equal(t, []string{"POST /checkpoint"}, methods)
			})
		}
	}
}

func TestHTTPHangsUntilTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	req, _ := request(t, config.Checkpoint{Mode: config.CheckpointHTTP, URL: server.URL, Timeout: config.Duration(200 * time.Millisecond)})
	got, err := Run(t.Context(), req)
	require.NoError(t, err, "on_error continue")
	assert.Contains(t, got.Error, "no end within 200ms")
}

func TestHTTPRefusesOtherMachines(t *testing.T) {
	req, _ := request(t, config.Checkpoint{Mode: config.CheckpointHTTP, OnError: config.OnErrorFail, URL: "http://192.0.2.1:80/x"})
	_, err := Run(t.Context(), req)
	assert.ErrorContains(t, err, "192.0.2.1:80 is not on this machine")
}

func TestOpenRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		seen Observation
		want string
	}{
		"owner with a name":     {Observation{Held: true, OwnerPID: 42, OwnerExe: "/bin/owner"}, "process 42 (/bin/owner) holds it open"},
		"owner without a name":  {Observation{Held: true, OwnerPID: 42}, "process 42 holds it open"},
		"owner in another room": {Observation{Held: true}, "a process outside this container holds it open"},
	} {
		t.Run(name, func(t *testing.T) {
			req, path := request(t, config.Checkpoint{Mode: config.CheckpointOpen, OnError: config.OnErrorFail})
			req.Observe = func() (Observation, error) { return tt.seen, nil }
			_, err := Run(t.Context(), req)
			require.EqualError(t, err, "checkpoint of "+path+" by open: "+tt.want)
			assert.Same(t, failure.Hook, failure.Of(err))
			assert.NoFileExists(t, path)
		})
	}
	t.Run("empty file is not made a database", func(t *testing.T) {
		req, path := request(t, config.Checkpoint{Mode: config.CheckpointOpen, OnError: config.OnErrorFail})
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		req.Observe = func() (Observation, error) { return Observation{}, nil }
		_, err := Run(t.Context(), req)
		require.EqualError(t, err, "checkpoint of "+path+" by open: it is not a database file")
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Zero(t, info.Size())
	})
}
