package livetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	live "canvasback/internal/livetest"
	"canvasback/standalone/server"
	"canvasback/standalone/server/pgtest"
	"canvasback/standalone/server/servertest"
)

func TestMain(m *testing.M) {
	engine.RunIfChild()
	pgtest.RunIfTool()
	os.Exit(m.Run())
}

// runsInARow are taken while the service writes.
const runsInARow = 5

// TestNodeServiceIsBackedUpThroughTemporal has every part as a process of its
// own, as in production: the service, the worker and the starter.
func TestNodeServiceIsBackedUpThroughTemporal(t *testing.T) {
	dir := t.TempDir()
	setting, err := servertest.New(t.Context(), dir)
	t.Cleanup(func() { assert.NoError(t, setting.Close()) })
	require.NoError(t, err)
	options, err := setting.Options(t.Context(), server.Options{})
	require.NoError(t, err)
	temporal, err := server.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, temporal.Stop()) })
	repository := filepath.Join(dir, "backups")
	require.NoError(t, os.Mkdir(repository, 0o755))
	service := live.StartNode(t, filepath.Join(dir, "shop.duckdb"))
	configuration := filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.WriteFile(configuration, fmt.Appendf(nil, `host: shop-host
repository: %s
databases:
  - name: shop
    path: %s
    copy: {settle: 1s}
    checkpoint: {mode: http, url: "http://localhost/checkpoint", socket: %s, on_error: fail}
    assertions:
      - {name: balances, sql: "SELECT sum(cents) FROM accounts", expect: "100000"}
`, repository, service.Database, service.Socket), 0o644))
	starter := live.Build(t, "starter")
	stopWorker := startWorker(t, live.Build(t, "worker"), "--config", configuration, "--address", temporal.HostPort())
	service.WaitFor(t, 300)

	remote := []string{"--database", "shop", "--host", "shop-host", "--address", temporal.HostPort()}
	require.Eventually(t, func() bool { return polls(t, starter, remote) }, 5*time.Minute, 100*time.Millisecond, "no worker polls")
	var newest int64
	for i := range runsInARow {
		before := service.Committed(t)
		var backup struct {
			ID, State, Rule string
			Attempts        int
			Bytes           int64
		}
		live.Starter(t, starter, &backup, append([]string{"run"}, remote...)...)
		require.Equal(t, "verified", backup.State)
		target := filepath.Join(dir, fmt.Sprintf("restored-%d.duckdb", i))
		var restored map[string]any
		live.Starter(t, starter, &restored, "restore", "--repository", repository, "--database", "shop", "--backup", backup.ID, "--target", target)
		last := live.CheckPrefix(t, target, before)
		assert.GreaterOrEqual(t, last, newest, "a later backup holds less")
		newest = max(newest, last)
		t.Logf("run %d: %s, rule %s, attempts %d, %d bytes, %d entries (%d before it began)",
			i+1, backup.ID, backup.Rule, backup.Attempts, backup.Bytes, last, before)
	}
	status, err := service.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, runsInARow, status.Checkpoints, "each run asks the service for one checkpoint")
	stopWorker()
	service.WaitFor(t, service.Committed(t)+1)
	service.Stop(t)
	live.CheckPrefix(t, service.Database, newest)
}

// polls asks whether the host's worker is there. Until it is, nothing knows of the
// database, and the status is an error.
func polls(t *testing.T, starter string, remote []string) bool {
	t.Helper()
	var databases []struct {
		Worker bool `json:"worker"`
	}
	out, err := exec.CommandContext(t.Context(), starter, append([]string{"status", "--json"}, remote...)...).Output()
	if err != nil || json.Unmarshal(out, &databases) != nil {
		return false
	}
	return len(databases) == 1 && databases[0].Worker
}

// startWorker starts the worker and returns what stops it in good order.
func startWorker(t *testing.T, program string, args ...string) func() {
	t.Helper()
	cmd := exec.Command(program, args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	wait := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = wait()
		if t.Failed() {
			t.Logf("the worker said:\n%s", &log)
		}
	})
	return func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, wait(), "the worker ends badly")
	}
}
