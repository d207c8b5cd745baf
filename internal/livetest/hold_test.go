package livetest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/hold"
	"canvasback/internal/hook"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// heldCommits is how many ledger entries are committed during a hold: eight
// bulk batches come with them, each larger in the WAL than the owner's
// threshold of 1 MB.
const heldCommits = 200

// hooked are owners that serve the hook. start starts one, with further flags
// of a writer; its hold has neither timeout nor deadline yet.
var hooked = []struct {
	name, version string
	start         func(t *testing.T, flags ...string) (*Owner, config.Hold)
}{
	{"DuckDB 1.1.3", "1.1.3", hookedWriter("duckdb11")},
	{"DuckDB 1.4.1", "1.4.1", hookedWriter("duckdb14")},
	{"DuckDB 1.5.6", "1.5.6", hookedWriter("duckdb15")},
	{"Node.js service", "1.5.5", func(t *testing.T, _ ...string) (*Owner, config.Hold) {
		service := StartNode(t, filepath.Join(t.TempDir(), "shop.duckdb"), "--hold")
		return service.Owner, config.Hold{Mode: config.HoldHTTP, URL: service.URL + "/hold"}
	}},
}

func hookedWriter(module string) func(*testing.T, ...string) (*Owner, config.Hold) {
	return func(t *testing.T, flags ...string) (*Owner, config.Hold) {
		program := buildIn(t, bin, filepath.Join("internal", "livetest", "owners", module))
		sockets, err := os.MkdirTemp("", "hook")
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, os.RemoveAll(sockets)) })
		socket := filepath.Join(sockets, "s")
		owner := StartWriter(t, program, filepath.Join(t.TempDir(), "shop.duckdb"), append(flags, "--hook", socket)...)
		return owner, config.Hold{Mode: config.HoldHTTP, URL: "http://hook", Socket: socket}
	}
}

func TestOwnerHoldsItsCheckpointsBack(t *testing.T) {
	for _, test := range hooked {
		t.Run(test.name, func(t *testing.T) {
			checkHolds(t, test.version, func(t *testing.T) (*Owner, config.Hold) { return test.start(t) })
		})
	}
}

// TestBackupsUnderHolds takes backups of owners that checkpoint at almost every
// commit: each is accepted in its first attempt, by the hold alone.
func TestBackupsUnderHolds(t *testing.T) {
	starter := buildIn(t, bin, "starter")
	for _, test := range hooked {
		t.Run(test.name, func(t *testing.T) {
			owner, options := test.start(t, folding...)
			repository, file := configure(t, owner, options, "10m", "")
			owner.WaitFor(t, 100)
			iteration := look(t, owner).Iteration
			var newest int64
			for range backupsInARow {
				before := owner.Committed(t)
				var backup Backup
				Starter(t, starter, &backup, "backup", "--local", "--config", file, "--database", "shop")
				require.Equal(t, "verified", backup.State)
				assert.Equal(t, "hold", backup.Rule)
				assert.Equal(t, 1, backup.Attempts)
				last := restoreAndCheck(t, starter, repository, backup.ID, before)
				assert.GreaterOrEqual(t, last, newest, "a later backup holds less")
				newest = max(newest, last)
				t.Logf("%s: %d bytes, %d entries (%d before it began)", backup.ID, backup.Bytes, last, before)
				waitForHeader(t, owner, iteration)
				iteration = look(t, owner).Iteration
			}
			checkUnharmed(t, owner, newest)
			checkNoHoldIn(t, owner.Database)
		})
	}
}

// configure writes a configuration with a required hold, and with more keys of
// the copy.
func configure(t *testing.T, owner *Owner, options config.Hold, deadline, keys string) (repository, file string) {
	t.Helper()
	dir := t.TempDir()
	repository, file = filepath.Join(dir, "backups"), filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.Mkdir(repository, 0o755))
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `repository: %s
databases:
  - name: shop
    path: %s
    copy: {%s}
    hold: {mode: http, url: %q, socket: %q, deadline: %s, on_error: fail}
`, repository, owner.Database, keys, options.URL, options.Socket, deadline), 0o600))
	return repository, file
}

// checkHolds starts owners and holds their checkpoints back in every way that
// a hold can end.
func checkHolds(t *testing.T, version string, start func(*testing.T) (*Owner, config.Hold)) {
	owner, options := start(t)
	owner.WaitFor(t, warmUp)
	h := begin(t, owner, options, 10*time.Minute, version)
	t.Run("nothing is folded during a hold", func(t *testing.T) {
		before := look(t, owner)
		for target := owner.Committed(t) + heldCommits; owner.Committed(t) < target; {
			require.Equal(t, before.Iteration, look(t, owner).Iteration)
			_, err := hook.Post(t.Context(), options.URL+"/checkpoint", options.Socket, nil)
			require.ErrorContains(t, err, "Cannot CHECKPOINT")
			status, ok := err.(*hook.StatusError)
			require.True(t, ok)
			require.Equal(t, http.StatusServiceUnavailable, status.Code)
		}
		after := look(t, owner)
		require.NotNil(t, after.WAL)
		grown := after.WAL.Bytes
		if before.WAL != nil {
			grown -= before.WAL.Bytes
		}
		assert.Greater(t, grown, int64(8_000_000), "the WAL gathers what was committed")
		t.Logf("%d commits under header %d, the WAL grew by %d bytes to %d", heldCommits, after.Iteration, grown, after.WAL.Bytes)
	})
	t.Run("one hold at a time", func(t *testing.T) {
		second := newHold(owner, options, time.Minute)
		_, err := second.Begin(t.Context())
		require.ErrorContains(t, err, "another hold is active")
		assert.ErrorContains(t, second.End(t.Context()), "no such hold")
	})
	t.Run("the owner checkpoints after it", func(t *testing.T) {
		before := look(t, owner)
		require.NoError(t, h.End(t.Context()))
		waitForHeader(t, owner, before.Iteration)
		assert.ErrorContains(t, h.End(t.Context()), "none was begun")
	})
	t.Run("it expires by the owner's deadline", func(t *testing.T) {
		h := begin(t, owner, options, time.Second, version)
		waitForHeader(t, owner, look(t, owner).Iteration)
		err := h.End(t.Context())
		require.ErrorContains(t, err, "the hold was not in force any more")
		assert.ErrorContains(t, err, "expired at")
		assert.Same(t, failure.Hook, failure.Of(err))
	})
	t.Run("the owner stops during a hold", func(t *testing.T) {
		h := begin(t, owner, options, time.Minute, version)
		committed := owner.Committed(t)
		owner.Stop(t)
		assert.Same(t, failure.Hook, failure.Of(h.End(t.Context())))
		CheckPrefix(t, owner.Database, committed)
		checkNoHoldIn(t, owner.Database)
	})
	t.Run("the owner is killed during a hold", func(t *testing.T) {
		owner, options := start(t)
		owner.WaitFor(t, 30)
		h := begin(t, owner, options, time.Minute, version)
		committed := owner.Committed(t)
		require.NoError(t, syscall.Kill(owner.PID, syscall.SIGKILL))
		<-owner.exited
		assert.Same(t, failure.Hook, failure.Of(h.End(t.Context())))
		CheckPrefix(t, owner.Database, committed)
		checkNoHoldIn(t, owner.Database)
	})
}

func newHold(owner *Owner, options config.Hold, deadline time.Duration) *hold.Hold {
	options.Timeout, options.Deadline = config.Duration(time.Minute), config.Duration(deadline)
	return hold.New(options, owner.Database)
}

func begin(t *testing.T, owner *Owner, options config.Hold, deadline time.Duration, version string) *hold.Hold {
	t.Helper()
	h := newHold(owner, options, deadline)
	held, err := h.Begin(t.Context())
	require.NoErrorf(t, err, "the owner printed:\n%s", owner.stderr)
	require.Equal(t, version, held.EngineVersion)
	return h
}

func look(t *testing.T, owner *Owner) *hotcopy.Inspection {
	t.Helper()
	seen, err := hotcopy.Inspect(vfs.OS(), owner.Database, nil)
	require.NoError(t, err)
	return seen
}

// waitForHeader returns when the owner has written another header.
func waitForHeader(t *testing.T, owner *Owner, iteration uint64) {
	t.Helper()
	require.Eventually(t, func() bool { return look(t, owner).Iteration > iteration }, time.Minute, 20*time.Millisecond,
		"the owner does not checkpoint any more")
}

// checkNoHoldIn looks for the table of a hold in a database whose owner has
// ended.
func checkNoHoldIn(t *testing.T, path string) {
	t.Helper()
	report, err := engine.Scan(t.Context(), engine.ScanRequest{
		Path: path, ReadWrite: true, Level: engine.LevelOpen, TempDir: t.TempDir(), Timeout: time.Minute,
		Assertions: []engine.Assertion{{Name: "no hold", Expect: "0", Timeout: time.Minute,
			SQL: `SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%hold%'`}},
	})
	require.NoError(t, err)
	require.Len(t, report.Assertions, 1)
	assert.True(t, report.Assertions[0].Passed, "%+v", report.Assertions[0])
}
