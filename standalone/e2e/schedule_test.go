package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/internal/failure"
)

func TestScheduleFromCreateToDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	for _, command := range []string{"describe", "pause", "unpause", "trigger", "delete"} {
		w.refused(failure.NoSchedule, "schedule", command)
	}
	w.refused(failure.NoSchedule, "schedule", "update", "--schedule", "0 4 * * *")
	w.refused(failure.NoSchedule, "schedule", "backfill", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z")

	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", "0  3 * * 1-5", "--timezone", "Europe/Amsterdam", "--jitter", "10m")
	assert.Equal(t, "0  3 * * 1-5", d.Schedule, "in the user's own words")
	assert.Equal(t, "Europe/Amsterdam", d.Timezone)
	assert.Equal(t, "10m0s", d.Jitter)
	assert.Equal(t, "skip", d.Overlap)
	assert.Equal(t, "24h0m0s", d.CatchupWindow)
	assert.Equal(t, w.host, d.Host)
	assert.False(t, d.Paused)
	require.NotEmpty(t, d.Next)
	next, err := time.Parse(time.RFC3339, d.Next[0])
	require.NoError(t, err)
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	require.NoError(t, err)
	assert.Equal(t, 3, next.In(amsterdam).Hour())

	assert.Contains(t, w.refused(failure.ScheduleConflict, "schedule", "create", "--schedule", "0 3 * * *"), "has a backup schedule already")
	assert.Contains(t, w.refused(failure.ScheduleConflict, "cron", "--schedule", "0 3 * * *"), "has a schedule")

	w.do(&d, "schedule", "pause", "--note", "the disk is full")
	assert.True(t, d.Paused)
	assert.Equal(t, "the disk is full", d.Note)
	w.do(&d, "schedule", "update", "--schedule", "@every 6h", "--overlap", "buffer-one")
	assert.Equal(t, "@every 6h", d.Schedule)
	assert.Equal(t, "buffer-one", d.Overlap)
	assert.Equal(t, "10m0s", d.Jitter, "what was not named stays")
	assert.Equal(t, "6h0m0s", d.CatchupWindow)
	assert.True(t, d.Paused, "an update does not unpause")
	w.do(&d, "schedule", "unpause")
	assert.False(t, d.Paused)

	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	assert.NotContains(t, result.WorkflowID, "-now", "the schedule started it")
	var triggered runDoc
	w.do(&triggered, "schedule", "trigger")
	assert.NotEqual(t, result.RunID, triggered.RunID)
	eventually(t, "the triggered run ends", func() bool { s := w.status(); return s.Last != nil && s.Last.RunID == triggered.RunID })
	s := w.status()
	assert.Equal(t, "schedule", s.Begins)
	assert.Equal(t, "@every 6h", s.Schedule)
	assert.NotNil(t, s.Next)

	var deleted struct{ Deleted bool }
	w.do(&deleted, "schedule", "delete")
	assert.True(t, deleted.Deleted)
	w.refused(failure.NoSchedule, "schedule", "describe")
}

func TestScheduleRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"four fields", []string{"--schedule", "0 3 * *"}, "expected exactly 5 fields, found 4"},
		{"a minute that is none", []string{"--schedule", "61 3 * * *"}, "above maximum (59)"},
		{"words", []string{"--schedule", "every night at three"}, "every"},
		{"a day that never comes", []string{"--schedule", "0 3 31 2 *"}, "that time never comes"},
		{"day of month and day of week", []string{"--schedule", "0 3 1 * 1"}, "give one of them"},
		{"a time zone that is none", []string{"--schedule", "0 3 * * *", "--timezone", "Europe/Atlantis"}, "Europe/Atlantis"},
		{"a time zone in the expression", []string{"--schedule", "CRON_TZ=UTC 0 3 * * *"}, "--timezone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Contains(t, w.refused(failure.BadSchedule, append([]string{"schedule", "create"}, tt.args...)...), tt.want)
			assert.Contains(t, w.refused(failure.BadSchedule, append([]string{"cron"}, tt.args...)...), tt.want)
		})
	}
	assert.Contains(t, w.refused(failure.BadSchedule, "schedule", "create", "--schedule", "0 3 * * *", "--overlap", "allow-all"), "skip or buffer-one")
	w.refused(failure.NoSchedule, "schedule", "describe")
}

func TestTriggerIsRefusedWhileABackupRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.createLarge(32 << 20)
	w.startWorker("--config", w.slow("4MB"))
	w.waitForWorker()
	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", "0 3 * * *", "--overlap", "buffer-one")
	var started runDoc
	w.do(&started, "schedule", "trigger")
	w.copied(1)
	w.refused(failure.Busy, "schedule", "trigger")
	w.refused(failure.Busy, "run")
	var stopped stopDoc
	w.do(&stopped, "stop")
	assert.Equal(t, started, stopped.runDoc)
	assert.Empty(t, w.staged())
	w.do(&d, "schedule", "describe")
	assert.Len(t, d.Recent, 1, "nothing was put off")
	w.do(&struct{}{}, "schedule", "delete")
}

func TestBackfillMakesUpForAPastSpan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", "0 3 * * *", "--paused")
	assert.True(t, d.Paused)
	w.do(&struct{}{}, "schedule", "backfill", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z")
	eventually(t, "both nights are made up for", func() bool {
		w.do(&d, "schedule", "describe")
		return len(d.Recent) == 2 && len(d.Running) == 0
	})
	w.do(&struct{}{}, "schedule", "delete")
	w.refused(failure.Usage, "schedule", "backfill", "--from", "2026-01-01", "--to", "2026-01-03T00:00:00Z")
	w.refused(failure.Usage, "schedule", "backfill", "--from", "2026-01-03T00:00:00Z", "--to", "2026-01-01T00:00:00Z")
}

func TestEnsureSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	c := w.client()
	spec := app.Spec{Database: w.name(), Host: w.host, Cron: "0 3 * * *"}
	ensure := func(s app.Spec) bool {
		changed, err := app.EnsureSchedule(t.Context(), c, s)
		require.NoError(t, err)
		return changed
	}
	assert.True(t, ensure(spec), "made")
	var d scheduleDoc
	w.do(&d, "schedule", "pause")
	h := app.Schedule(t.Context(), c, app.TaskBackup, w.name())
	before, err := h.Describe(t.Context())
	require.NoError(t, err)
	assert.False(t, ensure(spec), "the same again")
	after, err := h.Describe(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before.Info.LastUpdateAt, after.Info.LastUpdateAt, "nothing was sent")

	spec.Cron, spec.Host = "0 4 * * *", "elsewhere"
	assert.True(t, ensure(spec), "changed")
	w.do(&d, "schedule", "describe")
	assert.Equal(t, "0 4 * * *", d.Schedule)
	assert.Equal(t, "elsewhere", d.Host)
	assert.Contains(t, d.Next[0], "T04:00:00Z")
	assert.True(t, d.Paused, "a person's pause stays")
	w.do(&struct{}{}, "schedule", "delete")
}

// What was changed in the Temporal UI is seen, and put back by an ensure.
func TestScheduleThatWasChangedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	c := w.client()
	for _, cron := range []string{"0 3 * * *", "*/7 1-5,22 * * mon-fri", "15 4 1,15 jan *", "@weekly", "@every 90m"} {
		t.Run(cron, func(t *testing.T) {
			spec := app.Spec{Database: w.name(), Host: w.host, Cron: cron, Timezone: "Europe/Amsterdam", Jitter: time.Minute}
			_, err := app.EnsureSchedule(t.Context(), c, spec)
			require.NoError(t, err)
			var d scheduleDoc
			w.do(&d, "schedule", "describe")
			require.False(t, d.Edited, "as it was made")

			h := app.Schedule(t.Context(), c, app.TaskBackup, w.name())
			changes := map[string]func(s *client.Schedule){
				"another time":    func(s *client.Schedule) { s.Spec.Intervals = []client.ScheduleIntervalSpec{{Every: time.Hour}} },
				"another zone":    func(s *client.Schedule) { s.Spec.TimeZoneName = "Asia/Tokyo" },
				"another overlap": func(s *client.Schedule) { s.Policy.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL },
				"another queue": func(s *client.Schedule) {
					s.Action.(*client.ScheduleWorkflowAction).TaskQueue = "elsewhere"
				},
			}
			for name, change := range changes {
				require.NoError(t, h.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
					s := in.Description.Schedule
					change(&s)
					return &client.ScheduleUpdate{Schedule: &s}, nil
				}}))
				w.do(&d, "schedule", "describe")
				assert.True(t, d.Edited, name)
				changed, err := app.EnsureSchedule(t.Context(), c, spec)
				require.NoError(t, err)
				assert.True(t, changed, name)
				w.do(&d, "schedule", "describe")
				assert.False(t, d.Edited, "after %s was put back", name)
			}
		})
	}
	w.do(&struct{}{}, "schedule", "delete")
}

// A schedule whose work nobody would do says so when it is made.
func TestScheduleThatNobodyServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	var doc struct{ Unserved string }
	w.do(&doc, "schedule", "create", "--schedule", "0 3 1 1 *")
	assert.Contains(t, doc.Unserved, "no worker asks for the work of host "+w.host)
	w.startWorker("--database", "other="+w.database, "--repository", w.repository, "--host", w.host)
	w.waitForWorker()
	eventually(t, "the worker is known not to have it", func() bool {
		doc.Unserved = ""
		w.do(&doc, "schedule", "describe")
		return doc.Unserved == "the worker of host "+w.host+" has no database "+w.name()+" in its configuration"
	})
}
