package doctor

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
)

func TestEngineStarts(t *testing.T) {
	c := setUp(t)
	db := &c.Config.Databases[0]
	is(t, shop(c).engineStarts(t.Context()), OK, "starts: DuckDB v1.5.6")
	db.Verify.MemoryLimit = "much"
	f := shop(c).engineStarts(t.Context())
	is(t, f, Fail, "memory_limit")
	assert.Contains(t, f.Mend, "verify.memory_limit: much")
	db.Verify.MemoryLimit = ""
	db.Engine.Command = []string{"/bin/true"}
	is(t, shop(c).engineStarts(t.Context()), Fail, "/bin/true does not start")
	db.Engine.Command = []string{"/nonexistent/duckdb"}
	is(t, shop(c).engineStarts(t.Context()), Fail, "/nonexistent/duckdb")
}

func TestCommandHooks(t *testing.T) {
	c := setUp(t)
	db := &c.Config.Databases[0]
	is(t, shop(c).checkpointHook(t.Context()), OK, "mode is none")
	is(t, shop(c).holdHook(t.Context()), OK, "mode is none")
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	program := filepath.Join(dir, "hook")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o600))
	db.Checkpoint.Mode, db.Checkpoint.Command = config.CheckpointCommand, []string{program, "now"}
	db.Hold.Mode, db.Hold.Command = config.HoldCommand, []string{program}
	is(t, shop(c).checkpointHook(t.Context()), Warn, "permission denied")
	db.Checkpoint.OnError, db.Hold.OnError = config.OnErrorFail, config.OnErrorFail
	is(t, shop(c).checkpointHook(t.Context()), Fail, "permission denied")
	is(t, shop(c).holdHook(t.Context()), Fail, "permission denied")
	require.NoError(t, os.Chmod(program, 0o700))
	is(t, shop(c).checkpointHook(t.Context()), OK, program)
	is(t, shop(c).holdHook(t.Context()), OK, program)
	db.Hold.Command = []string{"canvasback-no-such-program"}
	is(t, shop(c).holdHook(t.Context()), Fail, "canvasback-no-such-program")
	assert.NoFileExists(t, ran, "no hook was run")
}

func TestHTTPHooks(t *testing.T) {
	status := http.StatusOK
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.WriteHeader(status)
	}))
	c := setUp(t)
	db := &c.Config.Databases[0]
	db.Checkpoint.Mode, db.Checkpoint.URL = config.CheckpointHTTP, server.URL+"/checkpoint"
	db.Hold.Mode, db.Hold.URL = config.HoldHTTP, server.URL+"/hold"
	is(t, shop(c).checkpointHook(t.Context()), OK, "something listens")
	is(t, shop(c).holdHook(t.Context()), OK, "/hold/status answers")
	status = http.StatusNotFound
	is(t, shop(c).holdHook(t.Context()), OK, "it has no /status")
	status = http.StatusInternalServerError
	is(t, shop(c).holdHook(t.Context()), Warn, "500")
	assert.Equal(t, []string{"GET /hold/status", "GET /hold/status", "GET /hold/status"}, asked, "nothing was asked for a checkpoint or a hold")
	server.Close()
	is(t, shop(c).checkpointHook(t.Context()), Warn, "nothing answers")
	db.Hold.OnError = config.OnErrorFail
	is(t, shop(c).holdHook(t.Context()), Fail, "nothing answers")
}

func TestHookOnASocket(t *testing.T) {
	c := setUp(t)
	db := &c.Config.Databases[0]
	socket := filepath.Join(t.TempDir(), "hook.sock")
	db.Checkpoint.Mode, db.Checkpoint.URL, db.Checkpoint.Socket = config.CheckpointHTTP, "http://service/checkpoint", socket
	f := shop(c).checkpointHook(t.Context())
	is(t, f, Warn, "nothing answers at "+socket)
	assert.Contains(t, f.Mend, socket)
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer l.Close()
	is(t, shop(c).checkpointHook(t.Context()), OK, "something listens at "+socket)
}

func TestCheckpointByOpening(t *testing.T) {
	c := setUp(t)
	c.Config.Databases[0].Checkpoint.Mode = config.CheckpointOpen
	is(t, shop(c).checkpointHook(t.Context()), OK, "mode is open")
	o := enginetest.StartOwner(t, c.Config.Databases[0].Path, enginetest.OwnerOptions{Pause: time.Millisecond})
	is(t, shop(c).checkpointHook(t.Context()), Warn, "will not be checkpointed")
	o.Stop(t)
}

func TestDirectories(t *testing.T) {
	c := setUp(t)
	db := &c.Config.Databases[0]
	is(t, shop(c).drillDirectory(), OK, "into the repository")
	dir := t.TempDir()
	db.Drill.Directory = filepath.Join(dir, "scratch")
	is(t, shop(c).drillDirectory(), Fail, "no such file")
	require.NoError(t, os.WriteFile(db.Drill.Directory, nil, 0o600))
	is(t, shop(c).drillDirectory(), Fail, "is not a directory")
	db.Drill.Directory = dir
	is(t, shop(c).drillDirectory(), OK, "writable")
	db.Restore.Targets = map[string]string{"spare": filepath.Join(dir, "spare.duckdb"), "away": filepath.Join(dir, "none", "x.duckdb")}
	f := shop(c).restoreTargets()
	require.Len(t, f, 2)
	is(t, f[0], Fail, "away: ")
	is(t, f[1], OK, "spare: ")
}
