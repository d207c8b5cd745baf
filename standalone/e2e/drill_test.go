package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/app"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// drills is the evidence beside a backup.
func (w *world) drills(id string) []repo.Drill {
	w.t.Helper()
	r, err := repo.Open(vfs.OS(), w.repository)
	require.NoError(w.t, err)
	notes, err := r.Notes(w.name(), id)
	require.NoError(w.t, err)
	return notes.Drills
}

// flip changes a byte of a backup's database.
func (w *world) flip(id string) {
	w.t.Helper()
	path := filepath.Join(w.repository, w.name(), id, w.manifest(id).Files[0].Name)
	data, err := os.ReadFile(path)
	require.NoError(w.t, err)
	data[len(data)/2] ^= 0xff
	require.NoError(w.t, os.WriteFile(path, data, 0o600))
}

const assertion = `assertions: [{name: orders, sql: "select count(*) > 0 from orders", expect: "true"}]`

// TestDrillOfALiveDatabase takes a backup of a database that goes on being
// written, and drills it by hand and by a schedule.
func TestDrillOfALiveDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	owner := enginetest.StartOwner(t, w.database, enginetest.OwnerOptions{Pause: 5 * time.Millisecond})
	owner.WaitCommits(t, 50)
	w.startWorker("--config", w.slow("1GB"))
	w.waitForWorker()
	assert.Contains(t, w.refused(failure.UnknownBackup, "drill"), w.name(), "there is nothing to drill yet")

	var backup resultDoc
	w.do(&backup, "run")
	var drill struct {
		job.DrillResult
		app.Run
	}
	w.do(&drill, "drill")
	assert.Equal(t, backup.ID, drill.ID)
	assert.Equal(t, "full", drill.Level)
	assert.Equal(t, backup.Bytes, drill.Bytes)
	assert.Equal(t, backup.RowCount, drill.Rows)
	assert.Positive(t, drill.RestoreSeconds)
	assert.Positive(t, drill.BytesPerSecond)
	assert.Equal(t, "canvasback-drill-"+w.name()+"-now", drill.WorkflowID)
	assert.Empty(t, w.staged(), "the restored files are gone")

	evidence := w.drills(backup.ID)
	require.Len(t, evidence, 1)
	assert.True(t, evidence[0].Passed)
	assert.Equal(t, drill.RunID, evidence[0].Run)
	assert.Equal(t, drill.Rows, evidence[0].Rows)

	var schedule struct{ Task, Schedule string }
	w.do(&schedule, "schedule", "create", "--drill", "--schedule", "0 5 * * 0")
	assert.Equal(t, "drill", schedule.Task)
	var started struct{ State string }
	w.do(&started, "schedule", "trigger", "--drill")
	assert.Equal(t, "started", started.State)
	eventually(t, "the scheduled drill left its evidence", func() bool { return len(w.drills(backup.ID)) == 2 })
	eventually(t, "status shows the drill", func() bool { s := w.status(); return s.Drill != nil && s.Drill.Last != nil && s.Drill.Last.Passed })
	assert.Equal(t, "0 5 * * 0", w.status().Drill.Cron)
	assert.NotNil(t, w.status().Drill.Next)
	assert.Equal(t, "hand", w.status().Begins, "the drill's schedule is not the backup's")
}

// TestDrillThatFails: bytes that changed, and an assertion that does not hold.
func TestDrillThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker("--config", w.slow("1GB", assertion))
	w.waitForWorker()
	var backup resultDoc
	w.do(&backup, "run")

	w.flip(backup.ID)

	message := w.refused(failure.DrillFailed, "drill")
	assert.Contains(t, message, backup.ID)
	evidence := w.drills(backup.ID)
	require.Len(t, evidence, 1)
	assert.False(t, evidence[0].Passed)
	assert.Contains(t, evidence[0].Failure, w.manifest(backup.ID).Files[0].Name)
	assert.Empty(t, w.staged())
	eventually(t, "status shows the failed drill", func() bool { s := w.status(); return s.Drill != nil && s.Drill.Last != nil })
	assert.False(t, w.status().Drill.Last.Passed)
	assert.Equal(t, "failed", w.status().Drill.Last.Status)
	assert.Contains(t, w.starter("status", "--database", w.name()).out, "FAILED")
	s := w.told(0, "--repository", w.repository)
	require.NotNil(t, s.Evidence)
	assert.Equal(t, backup.ID, s.Evidence.Backup)
	assert.False(t, s.Evidence.Passed)
}

// TestRestoreThroughTemporal restores to the targets of the configuration.
func TestRestoreThroughTemporal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	spare := filepath.Join(w.dir, "spare.duckdb")
	w.startWorker("--config", w.slow("1GB", fmt.Sprintf("restore: {targets: {spare: %s, live: %s}}", spare, w.database)))
	w.waitForWorker()
	var backup resultDoc
	w.do(&backup, "run")
	between := time.Now().Add(time.Second)

	var restored struct {
		job.RestoreResult
		app.Run
	}
	w.do(&restored, "restore-on-host", "--to", "spare")
	assert.Equal(t, backup.ID, restored.ID)
	assert.Equal(t, spare, restored.Path)
	assert.Equal(t, int64(10000), restored.Rows)
	assert.Equal(t, "10000", enginetest.Query(t, spare, "SELECT count(*) FROM orders"))

	assert.Contains(t, w.refused(failure.TargetBad, "restore-on-host", "--to", "elsewhere"), "live, spare")
	assert.Contains(t, w.refused(failure.UnknownBackup, "restore-on-host", "--to", "spare", "--at", "2020-01-01T00:00:00Z"), w.name())

	require.NoError(t, os.Remove(w.database))
	enginetest.Create(t, w.database, "CREATE TABLE orders AS SELECT 1 id")
	assert.Contains(t, w.refused(failure.TargetExists, "restore-on-host", "--to", "live"), w.database)
	w.do(&restored, "restore-on-host", "--to", "live", "--keep-old", "--at", between.UTC().Format(time.RFC3339))
	require.Len(t, restored.MovedAside, 1)
	assert.Equal(t, "10000", enginetest.Query(t, w.database, "SELECT count(*) FROM orders"))
	assert.Equal(t, "1", enginetest.Query(t, restored.MovedAside[0], "SELECT count(*) FROM orders"))
}
