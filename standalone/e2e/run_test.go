package e2e

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

func glob(t *testing.T, parts ...string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(parts...))
	require.NoError(t, err)
	return found
}

// manifest reads a backup's manifest from the repository.
func (w *world) manifest(id string) *repo.Manifest {
	w.t.Helper()
	r, err := repo.Open(vfs.OS(), w.repository)
	require.NoError(w.t, err)
	m, err := r.Get(w.name(), id)
	require.NoError(w.t, err)
	return m
}

func TestRunOfALiveDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	owner := enginetest.StartOwner(t, w.database, enginetest.OwnerOptions{Pause: 5 * time.Millisecond})
	owner.WaitCommits(t, 50)
	worker := w.startWorker()
	w.waitForWorker()

	before := owner.Committed()
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	assert.Equal(t, w.name(), result.Database)
	assert.Equal(t, "canvasback-backup-"+w.name()+"-now", result.WorkflowID)
	assert.Positive(t, result.Bytes)
	assert.Positive(t, result.CopySeconds)
	assert.Greater(t, result.DurationSeconds, result.CopySeconds)
	assert.Equal(t, 4, result.TableCount)
	assert.Equal(t, []job.Decision{}, result.Pruned)
	m := w.manifest(result.ID)
	assert.Equal(t, repo.StateVerified, m.State)
	require.NotEmpty(t, m.Files)
	copied := filepath.Join(w.repository, w.name(), result.ID, m.Files[0].Name)
	enginetest.CheckPrefix(t, copied, before)
	now := owner.Committed()
	owner.WaitCommits(t, now+1)

	s := w.status()
	assert.Equal(t, "hand", s.Begins)
	assert.True(t, s.Worker)
	eventually(t, "the last run is listed", func() bool { s = w.status(); return s.Last != nil })
	assert.Equal(t, "completed", s.Last.Status)
	assert.Equal(t, "verified", s.Last.State)
	assert.Equal(t, result.ID, s.Last.Backup)
	assert.Equal(t, failure.ExitDone, worker.stop(syscall.SIGTERM))
}

func TestRunFailsAsItsStepDid(t *testing.T) {
	t.Parallel()
	t.Run("the worker does not know the database", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker("--database", "other="+w.database, "--repository", w.repository, "--host", w.host)
		w.waitForWorker()
		assert.Contains(t, w.refused(failure.UnknownDatabase, "run"), w.name())
	})
	t.Run("the file is no database", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		require.NoError(t, os.WriteFile(w.database, make([]byte, 64<<10), 0o600))
		w.startWorker()
		w.waitForWorker()
		assert.Contains(t, w.refused(failure.NotDuckDB, "run"), w.database)
		assert.Empty(t, w.staged())
	})
	t.Run("no copy passes the operator's assertion", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker("--config", w.slow("1GB", `assertions: [{name: orders, sql: "select count(*) from orders", expect: "1"}]`))
		w.waitForWorker()
		message := w.refused(failure.BackupBad, "run")
		assert.Contains(t, message, "3 copies in a row are bad")
		assert.Contains(t, message, "orders")
		assert.Empty(t, w.staged())
	})
}

func TestNoWorkerOnTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	assert.Contains(t, w.refused(failure.NoWorker, "run"), "canvasback@"+w.host)
	var started struct {
		runDoc
		State string
	}
	w.do(&started, "run", "--no-wait")
	assert.Equal(t, "started", started.State)
	w.refused(failure.NoWorker, "run")
	assert.Contains(t, w.refused(failure.NoWorker, "stop"), "--terminate")
	var stopped stopDoc
	w.do(&stopped, "stop", "--terminate")
	assert.True(t, stopped.Stopped)
	assert.Equal(t, started.RunID, stopped.RunID)
	var idle stopDoc
	w.do(&idle, "stop")
	assert.False(t, idle.Stopped)
}

func TestTemporalIsUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	w := newWorld(t, address)
	for _, command := range [][]string{
		{"run"}, {"status"}, {"stop"}, {"cron", "--schedule", "0 3 * * *"},
		{"schedule", "create", "--schedule", "0 3 * * *"}, {"schedule", "describe"}, {"schedule", "delete"},
	} {
		began := time.Now()
		assert.Contains(t, w.refused(failure.TemporalUnreachable, command...), address)
		assert.Less(t, time.Since(began), 15*time.Second)
	}
	t.Run("a namespace that is not there", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		assert.Contains(t, w.refused(failure.NoNamespace, "status", "--namespace", "nowhere"), `"nowhere"`)
	})
}

func TestSecondBackupIsRefusedWhileOneRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.createLarge(32 << 20)
	w.startWorker("--config", w.slow("4MB"))
	w.waitForWorker()
	var started runDoc
	w.do(&started, "run", "--no-wait")
	w.copied(1)
	assert.Contains(t, w.refused(failure.Busy, "run"), started.WorkflowID)
	assert.NotEmpty(t, w.staged())

	var stopped stopDoc
	w.do(&stopped, "stop")
	assert.True(t, stopped.Stopped)
	assert.Equal(t, started, stopped.runDoc)
	assert.Contains(t, stopped.Outcome, "was stopped")
	assert.Empty(t, w.staged(), "what a stopped run had staged is gone")
	assert.Nil(t, w.status().Running)
}

// A person's Ctrl-C ends the command, not the backup.
func TestInterruptedRunGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.createLarge(16 << 20)
	w.startWorker("--config", w.slow("4MB"))
	w.waitForWorker()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan outcome, 1)
	go func() { done <- w.starterUntil(ctx, "run", "--database", w.name(), "--json") }()
	w.copied(1)
	cancel()
	o := <-done
	assert.Equal(t, failure.ExitInterrupted, o.status)
	assert.Contains(t, o.errOut, "goes on")
	eventually(t, "the backup ends", func() bool { s := w.status(); return s.Running == nil && s.Last != nil })
	assert.Equal(t, "verified", w.status().Last.State)
}
