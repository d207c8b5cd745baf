package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"canvasback/internal/app"
	"canvasback/internal/cli"
	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
	"canvasback/standalone/server"
)

// told is what 'starter status' says of the world's database.
type told struct {
	statusDoc
	Source   string
	Age      *float64 `json:"age_seconds"`
	MaxAge   *float64 `json:"max_age_seconds"`
	Pulse    *health.Worker
	Backups  *job.PulseDatabase
	Problems []health.Problem
	Missed   bool

	exit int
	text string
}

// problem is the one of the kind; empty where there is none.
func (s told) problem(kind string) health.Problem {
	i := slices.IndexFunc(s.Problems, func(p health.Problem) bool { return p.Kind == kind })
	if i < 0 {
		return health.Problem{}
	}
	return s.Problems[i]
}

// told asks for the status of the world's database, by a clock that is ahead by
// so much. What is asked about is as it is: only how old it is differs.
func (w *world) told(ahead time.Duration, flags ...string) told {
	w.t.Helper()
	o := w.starterAt(w.t.Context(), ahead, append([]string{"status", "--json", "--database", w.name()}, flags...)...)
	if o.status == failure.ExitNotFound {
		return told{exit: o.status} // nothing knows of the database yet
	}
	var all []told
	require.NoError(w.t, json.Unmarshal([]byte(o.out), &all), "%s%s", o.out, o.errOut)
	require.Len(w.t, all, 1)
	s := all[0]
	s.exit, s.text = o.status, o.out
	want := failure.ExitDone
	if s.Missed || slices.Contains(flags, "--strict") && len(s.Problems) > 0 {
		want = failure.ExitPartly
		assert.Contains(w.t, o.errOut, w.name())
	}
	assert.Equal(w.t, want, o.status, "%s%s", o.out, o.errOut)
	return s
}

// sees waits until the status shows a problem of the kind.
func (w *world) sees(kind string) told {
	w.t.Helper()
	var s told
	eventually(w.t, "the status shows "+kind, func() bool { s = w.told(0); return s.problem(kind).Kind != "" })
	return s
}

// recovers waits until the status shows no problem of the kind.
func (w *world) recovers(kind string) {
	w.t.Helper()
	eventually(w.t, "the status shows no "+kind, func() bool { return w.told(0).problem(kind).Kind == "" })
}

// waitForPulse returns when the worker has told of its repository.
func (w *world) waitForPulse() told {
	w.t.Helper()
	var s told
	eventually(w.t, "the worker gives a pulse", func() bool { s = w.told(0); return s.Source == "repository" })
	return s
}

// A worker that dies or freezes in mid-copy: its last word can still be read,
// its silence is seen, and so is the run that does not get on.
func TestStatusSeesAWorkerThatDies(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared.HostPort())
			w.createLarge(64 << 20)
			config := w.slow("1MB", "max_age: 1h")
			p := w.startWorker("--config", config)
			w.waitForWorker()
			w.waitForPulse()
			var started runDoc
			w.do(&started, "run", "--no-wait")
			w.copied(1)
			require.Empty(t, w.told(0).problem(health.NoWorker))
			require.Empty(t, w.told(0).problem(health.StuckRun))
			require.NoError(t, p.cmd.Process.Signal(signal))

			s := w.sees(health.NoWorker)
			assert.Equal(t, "repository", s.Source, "the last word of the worker")
			require.NotNil(t, s.Pulse)
			assert.NotEmpty(t, s.Pulse.Config)
			assert.Contains(t, s.problem(health.NoWorker).Text, "old")
			assert.Contains(t, s.problem(health.NoWorker).Hint, w.host)
			assert.Equal(t, failure.ExitPartly, w.told(0, "--strict").exit)
			// The server has noticed, and the step waits for another worker.
			c := w.client()
			eventually(t, "the attempt of the pulse and that of the copy are given up", func() bool {
				for _, id := range []string{job.HostID(w.host), started.WorkflowID} {
					d, err := c.DescribeWorkflowExecution(t.Context(), id, "")
					require.NoError(t, err)
					require.Len(t, d.GetPendingActivities(), 1)
					a := d.GetPendingActivities()[0]
					if a.GetAttempt() < 2 || a.GetState() != enumspb.PENDING_ACTIVITY_STATE_SCHEDULED {
						return false
					}
					assert.NotEmpty(t, a.GetHeartbeatDetails().GetPayloads(), "the last heartbeat is kept")
				}
				return true
			})
			s = w.told(5 * time.Minute)
			assert.Contains(t, s.problem(health.StuckRun).Text, "nothing was heard of step copy")
			assert.Equal(t, "repository", s.Source)

			w.startWorker("--config", config)
			w.recovers(health.NoWorker)
			assert.Empty(t, w.told(0).problem(health.StuckRun))
		})
	}
}

func TestStatusSeesAPausedSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForPulse()
	assert.NotEmpty(t, w.told(0).problem(health.NoSchedule), "nothing starts backups yet")
	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", "0 3 * * *")
	s := w.told(0)
	assert.Empty(t, s.problem(health.NoSchedule))
	assert.Empty(t, s.problem(health.Paused))
	assert.InDelta(t, 49*3600, *s.MaxAge, 1, "two days and an hour")
	w.do(&d, "schedule", "pause", "--note", "the disk is full")
	s = w.sees(health.Paused)
	assert.Contains(t, s.problem(health.Paused).Text, "the disk is full")
	assert.Contains(t, s.problem(health.Paused).Hint, "unpause")
	assert.Equal(t, failure.ExitPartly, w.told(0, "--strict").exit)
	w.do(&d, "schedule", "unpause")
	w.recovers(health.Paused)
	w.do(&struct{}{}, "schedule", "delete")
}

// Nobody is there: a run that was started waits, and no backup is ever made.
func TestStatusSeesThatNoWorkerIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", "0 3 * * *")
	s := w.told(0)
	assert.Contains(t, s.problem(health.NoWorker).Text, "none has ever given a pulse")
	assert.Equal(t, "temporal", s.Source)
	assert.False(t, s.problem(health.NoBackup).Missed, "the schedule is young")
	var started runDoc
	w.do(&started, "schedule", "trigger")
	assert.Empty(t, w.told(0).problem(health.Lagging), "it has just been started")
	s = w.told(3 * time.Minute)
	assert.Contains(t, s.problem(health.Lagging).Text, "has not begun")
	s = w.told(50 * time.Hour)
	assert.True(t, s.problem(health.NoBackup).Missed, "two days went by without one")
	assert.Equal(t, failure.ExitPartly, s.exit)

	w.startWorker()
	eventually(t, "the run ends", func() bool { s := w.told(0); return s.Last != nil && s.Last.RunID == started.RunID })
	w.recovers(health.NoWorker)
	w.recovers(health.NoBackup)
	assert.Empty(t, w.told(3*time.Minute).problem(health.Lagging))
	w.do(&struct{}{}, "schedule", "delete")
}

// Temporal is away when a start is due, and for longer than the schedule makes up
// for.
func TestStatusSeesAScheduleThatLags(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.Options{})
	w := newWorld(t, s.HostPort())
	w.create()
	w.startWorker()
	w.waitForPulse()
	due := time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
	if time.Until(due) < 20*time.Second {
		due = due.Add(time.Minute) // to have stopped the server by then
	}
	var d scheduleDoc
	w.do(&d, "schedule", "create", "--schedule", fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour()), "--catchup-window", "10s")
	assert.Equal(t, "10s", d.CatchupWindow)
	assert.Empty(t, w.told(0).problem(health.Lagging))
	require.NoError(t, s.Stop())
	require.True(t, time.Now().Before(due), "the server was away when the start was due")
	wait := time.NewTimer(time.Until(due.Add(15 * time.Second)))
	select {
	case <-wait.C:
	case <-t.Context().Done():
	}
	s.start()
	var lag health.Problem
	// At first the schedule has not noticed: its next start lies in the past.
	eventually(t, "the start is told to be missing", func() bool {
		lag = w.told(3 * time.Minute).problem(health.Lagging)
		return strings.Contains(lag.Text, "was dropped")
	})
	assert.Contains(t, lag.Text, "10s")

	w.waitForWorker()
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	eventually(t, "it is made up for by hand", func() bool { return w.told(3*time.Minute).problem(health.Lagging).Kind == "" })
}

func TestStatusSeesAHookThatHangs(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"checkpoint": `checkpoint: {mode: command, command: [sh, -c, "sleep 300"], timeout: 1s}`,
		"hold":       `hold: {mode: command, command: [sh, -c, "sleep 300"], timeout: 1s}`,
	}
	for name, hook := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared.HostPort())
			w.create()
			w.startWorker("--config", w.slow("1GB", hook))
			w.waitForPulse()
			require.Empty(t, w.told(0).problem(health.Hook))
			var result resultDoc
			w.do(&result, "run")
			assert.Equal(t, "verified", result.State, "the backup is made without the hook")
			s := w.sees(health.Hook)
			assert.Contains(t, s.problem(health.Hook).Text, "no end within 1s")
			assert.Contains(t, s.problem(health.Hook).Text, name)
		})
	}
	t.Run("without whose answer nothing goes on", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker("--config", w.slow("1GB", `checkpoint: {mode: command, command: [sh, -c, "sleep 3000"], timeout: 30m}`))
		w.waitForPulse()
		w.do(&struct{}{}, "run", "--no-wait")
		eventually(t, "the checkpoint is at work", func() bool {
			s := w.status()
			return s.Running != nil && s.Running.Progress != nil && s.Running.Progress.Step == "checkpoint"
		})
		assert.Empty(t, w.told(0).problem(health.Hook))
		assert.Contains(t, w.told(6*time.Minute).problem(health.Hook).Text, "has not answered for 6m")
		w.do(&struct{}{}, "stop")
	})
}

func TestStatusSeesAnOldConfiguration(t *testing.T) {
	t.Parallel()
	t.Run("the file is another one", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared.HostPort())
		w.create()
		file := w.slow("1GB")
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		p := w.startWorker("--config", file)
		assert.Empty(t, w.waitForPulse().problem(health.OldConfig))
		w.slow("1GB", "max_age: 1h")
		s := w.sees(health.OldConfig)
		assert.True(t, s.Pulse.ConfigChanged)
		assert.Nil(t, s.MaxAge, "what the worker runs with says nothing of an age")
		assert.Contains(t, p.said(), "configuration file is not the one")
		require.NoError(t, os.WriteFile(file, before, 0o600))
		w.recovers(health.OldConfig)
		require.NoError(t, os.Remove(file))
		w.sees(health.OldConfig)
	})
	t.Run("the schedule asks for a database that the worker does not have", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker("--database", "other-"+w.name()+"="+w.database, "--repository", w.repository, "--host", w.host)
		w.waitForWorker()
		var d scheduleDoc
		w.do(&d, "schedule", "create", "--schedule", "0 3 * * *")
		s := w.sees(health.OldConfig)
		assert.Contains(t, s.problem(health.OldConfig).Text, "does not have it")
		w.do(&struct{}{}, "schedule", "delete")
	})
}

// An objective of a second is missed soon.
func TestStatusSeesAnObjectiveMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker("--config", w.slow("1GB", "max_age: 1s"))
	s := w.waitForPulse()
	assert.True(t, s.problem(health.NoBackup).Missed)
	assert.Equal(t, failure.ExitPartly, s.exit)
	assert.Nil(t, s.Age)
	var result resultDoc
	w.do(&result, "run")
	s = w.sees(health.TooOld)
	assert.True(t, s.problem(health.TooOld).Missed)
	eventually(t, "the worker tells of the backup", func() bool { s = w.told(0); return s.Backups.Newest != nil })
	assert.Equal(t, result.ID, s.Backups.Newest.ID)
	assert.InDelta(t, 1, *s.MaxAge, 0)

	o := w.starter("status", "--database", w.name())
	assert.Equal(t, failure.ExitPartly, o.status)
	assert.Contains(t, o.out, "too-old: the newest verified backup holds what was there")
	assert.Contains(t, o.errOut, "1 of 1 databases miss their objective: "+w.name())

	// The whole table has it too, and is cut down to the host.
	o = w.starter("status")
	assert.Equal(t, failure.ExitPartly, o.status)
	assert.Contains(t, o.out, w.name())
	assert.Equal(t, 1, strings.Count(o.out, " "+w.host+" "))

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan outcome, 1)
	watched := &shownTwice{cancel: cancel}
	go func() {
		var errOut bytes.Buffer
		status := cli.Main(ctx, []string{"status", "--watch=1s", "--database", w.name(), "--address", w.address, "--host", w.host}, strings.NewReader(""), watched, &errOut)
		done <- outcome{status, watched.text.String(), errOut.String()}
	}()
	o = <-done
	assert.Equal(t, failure.ExitPartly, o.status, "Ctrl-C ends it with the verdict of what was shown last")
	assert.GreaterOrEqual(t, strings.Count(o.out, "DATABASE"), 2)
	assert.NotContains(t, o.out, "\x1b", "it is no terminal")
}

// shownTwice interrupts a watch that has written twice.
type shownTwice struct {
	text   bytes.Buffer
	times  int
	cancel func()
}

func (s *shownTwice) Write(p []byte) (int, error) {
	if s.times++; s.times == 2 {
		s.cancel()
	}
	return s.text.Write(p)
}

// The workflow that carries the pulse writes no history, comes back when it is
// ended, and goes from worker to worker.
func TestPulseOfAHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	first := w.startWorker()
	w.waitForPulse()
	c := w.client()
	describe := func() (length int64, pulse *job.Pulse, run string) {
		d, err := c.DescribeWorkflowExecution(t.Context(), job.HostID(w.host), "")
		require.NoError(t, err)
		p, err := app.PulseOf(t.Context(), c, w.host)
		require.NoError(t, err)
		info := d.GetWorkflowExecutionInfo()
		return info.GetHistoryLength(), p, info.GetExecution().GetRunId()
	}
	length, pulse, run := describe()
	require.NotNil(t, pulse)
	assert.Equal(t, first.cmd.Process.Pid, pulse.PID)
	var later *job.Pulse
	eventually(t, "the pulse goes on", func() bool { _, later, _ = describe(); return later.At.After(pulse.At) })
	now, _, _ := describe()
	assert.Equal(t, length, now, "a heartbeat is no event")

	second := w.startWorker()
	require.Equal(t, failure.ExitDone, first.stop(syscall.SIGTERM))
	eventually(t, "the other worker gives the pulse", func() bool { _, p, _ := describe(); return p != nil && p.PID == second.cmd.Process.Pid })
	now, _, same := describe()
	assert.Equal(t, length, now)
	assert.Equal(t, run, same)

	w.record("host_at_work", runDoc{job.HostID(w.host), run})
	require.NoError(t, c.TerminateWorkflow(t.Context(), job.HostID(w.host), "", "by a test"))
	eventually(t, "the workflow is there again", func() bool { _, p, another := describe(); return another != run && p != nil })
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	o := w.starter("history", "--database", w.name())
	assert.Equal(t, failure.ExitDone, o.status)
	assert.Equal(t, "Temporal remembers no run of "+w.name()+" that has ended.\n", o.out)
	var first, second resultDoc
	w.do(&first, "run")
	w.do(&second, "run")
	require.NoError(t, os.Remove(w.database))
	require.NoError(t, os.WriteFile(w.database, make([]byte, 64<<10), 0o600))
	w.refused(failure.NotDuckDB, "run")
	var runs []struct {
		health.Ended
		Seconds float64
	}
	eventually(t, "all three are listed", func() bool { w.do(&runs, "history"); return len(runs) == 3 })
	assert.Equal(t, "failed", runs[0].Status)
	assert.Equal(t, failure.NotDuckDB.Name, runs[0].Kind)
	assert.Equal(t, []string{second.ID, first.ID}, []string{runs[1].Backup, runs[2].Backup})
	assert.Equal(t, first.Bytes, runs[2].Bytes)
	assert.Positive(t, runs[2].Seconds)
	w.do(&runs, "history", "--limit", "1")
	assert.Len(t, runs, 1)
	o = w.starter("history", "--database", w.name(), "--ascii")
	assert.Contains(t, o.out, first.ID)
	assert.Contains(t, o.out, "########")
	assert.Contains(t, o.out, w.database)
	assert.Equal(t, "last-failed", w.sees(health.LastFailed).problem(health.LastFailed).Kind)
}
