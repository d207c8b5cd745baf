package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/app"
	"canvasback/internal/failure"
)

func TestCronWaitsForItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	var cron cronDoc
	w.do(&cron, "cron", "--schedule", "0 3 * * *", "--timezone", "Asia/Tokyo")
	assert.False(t, cron.Already)
	assert.Equal(t, "canvasback-backup-"+w.name(), cron.WorkflowID)
	assert.Contains(t, cron.Next, "T18:00:00Z", "three in Tokyo")

	var again cronDoc
	w.do(&again, "cron", "--schedule", "0 3 * * *", "--timezone", "Asia/Tokyo")
	assert.True(t, again.Already)
	assert.Equal(t, cron.RunID, again.RunID)
	assert.Contains(t, w.refused(failure.ScheduleConflict, "cron", "--schedule", "0 4 * * *"), "another schedule")
	assert.Contains(t, w.refused(failure.ScheduleConflict, "schedule", "create", "--schedule", "0 3 * * *"), "has a cron workflow")
	_, err := app.EnsureSchedule(t.Context(), w.client(), app.Spec{Database: w.name(), Host: w.host, Cron: "0 3 * * *"})
	assert.Equal(t, failure.ScheduleConflict, failure.Of(err))

	s := w.status()
	assert.Equal(t, "cron", s.Begins)
	assert.Nil(t, s.Running, "a cron workflow that waits is no backup at work")
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)

	var stopped stopDoc
	w.do(&stopped, "stop", "--cron")
	assert.True(t, stopped.CronEnded)
	assert.False(t, stopped.Stopped)
	assert.Equal(t, "hand", w.status().Begins)
	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", "0 3 * * *")
	w.do(&struct{}{}, "schedule", "delete")
}

func TestCronTakesBackups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	var cron cronDoc
	w.do(&cron, "cron", "--schedule", "@every 2s")
	var first string
	eventually(t, "a first backup", func() bool {
		s := w.status()
		if s.Last != nil {
			assert.Equal(t, "verified", s.Last.State, s.Last.Error)
			first = s.Last.RunID
		}
		return first != ""
	})
	eventually(t, "another one", func() bool { s := w.status(); return s.Last != nil && s.Last.RunID != first })
	stopCron(t, w)
}

func stopCron(t *testing.T, w *world) {
	t.Helper()
	var stopped stopDoc
	w.do(&stopped, "stop", "--cron")
	assert.True(t, stopped.CronEnded)
	var again stopDoc
	w.do(&again, "stop", "--cron")
	assert.False(t, again.CronEnded, "it was ended before")
	assert.Equal(t, "hand", w.status().Begins)
}

// Stopping a run of a cron workflow leaves the next ones.
func TestStopOfACronRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.createLarge(32 << 20)
	w.startWorker("--config", w.slow("2MB"))
	w.waitForWorker()
	var cron cronDoc
	w.do(&cron, "cron", "--schedule", "@every 3s")
	w.copied(1)
	w.refused(failure.Busy, "run")
	var stopped stopDoc
	w.do(&stopped, "stop")
	require.True(t, stopped.Stopped)
	assert.Contains(t, stopped.Outcome, "was stopped")
	assert.Equal(t, "cron", w.status().Begins, "the cron workflow goes on")
	stopCron(t, w)
	assert.Empty(t, w.staged())
}
