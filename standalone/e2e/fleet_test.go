package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/internal/cli"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// applyDoc is what apply prints.
type applyDoc struct {
	Fleet        string
	Summary      map[string]int
	Done, Failed int
	of           string // the world's databases
	Steps        []struct {
		Action, Task, Database, Host, Why, Hint string
		Changes                                 []struct{ Field, Old, New string }
		Done                                    bool
		Error                                   *struct{ Kind, Message string }
	}
}

// did are the steps of the world's databases but those that are unchanged, in
// words: other tests make schedules by hand meanwhile.
func (d applyDoc) did() []string {
	var all []string
	for _, s := range d.Steps {
		if s.Action == "unchanged" || s.Database != d.of && !strings.HasPrefix(s.Database, d.of+"-") {
			continue
		}
		text := s.Action + " " + s.Task + " " + s.Database
		for _, c := range s.Changes {
			if s.Action != "create" {
				text += fmt.Sprintf(" %s:%s->%s", c.Field, c.Old, c.New)
			}
		}
		all = append(all, text)
	}
	return all
}

// apply writes the fleet file and applies it.
func (w *world) apply(status int, text string, args ...string) applyDoc {
	w.t.Helper()
	path := filepath.Join(w.dir, "fleet.yaml")
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
	o := w.starter(append([]string{"apply", "-f", path, "--json"}, args...)...)
	require.Equal(w.t, status, o.status, "%s%s", o.out, o.errOut)
	d := applyDoc{of: w.name()}
	require.NoError(w.t, json.Unmarshal([]byte(o.out), &d), o.out)
	return d
}

func TestFleetFromApplyToRemove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	a, b, c, fleet := w.name()+"-a", w.name()+"-b", w.name()+"-c", w.name()
	text := fmt.Sprintf(`
fleet: %s
defaults: {schedule: '0 3 * * *', timezone: Europe/Amsterdam, jitter: 30m, overlap: skip, catchup_window: 1h}
databases:
  - {name: %s, host: db1}
  - {name: %s, host: db2, schedule: '@every 6h', jitter: 5m, drill: {schedule: '0 5 * * 0'}}
`, fleet, a, b)
	plan := w.apply(failure.ExitDone, text, "--dry-run")
	want := []string{"create backup " + a, "create backup " + b, "create drill " + b}
	assert.Equal(t, want, plan.did())
	assert.Zero(t, plan.Done)
	w.refusedSchedule(a)
	done := w.apply(failure.ExitDone, text, "--yes")
	assert.Equal(t, want, done.did())
	assert.Equal(t, 3, done.Done)
	describe := func(database string, flags ...string) (d scheduleDoc) {
		o := w.starter(append([]string{"schedule", "describe", "--json", "--database", database}, flags...)...)
		require.Equal(t, failure.ExitDone, o.status, o.errOut)
		require.NoError(t, json.Unmarshal([]byte(o.out), &d))
		return d
	}
	d := describe(b)
	assert.Equal(t, "db2", d.Host)
	assert.Equal(t, "@every 6h", d.Schedule)
	assert.Equal(t, "5m0s", d.Jitter)
	assert.Equal(t, "1h0m0s", d.CatchupWindow)
	assert.Equal(t, "0 5 * * 0", describe(b, "--drill").Schedule)
	assert.Equal(t, "Europe/Amsterdam", describe(b, "--drill").Timezone)

	again := w.apply(failure.ExitDone, text, "--yes")
	assert.Empty(t, again.did(), "nothing is left to do")
	assert.Equal(t, 3, again.Summary["unchanged"])
	assert.Zero(t, again.Done)

	// A person's pause stays, and so does what the file does not speak of.
	o := w.starter("schedule", "pause", "--database", a, "--note", "the disk is full")
	require.Equal(t, failure.ExitDone, o.status, o.errOut)
	edited := strings.ReplaceAll(text, "0 3 * * *", "30 4 * * *")
	assert.Equal(t, []string{"update backup " + a + " schedule:0 3 * * *->30 4 * * *"}, w.apply(failure.ExitDone, edited, "--yes").did())
	d = describe(a)
	assert.True(t, d.Paused)
	assert.Equal(t, "the disk is full", d.Note)
	assert.Equal(t, "30 4 * * *", d.Schedule)
	unpaused := strings.Replace(edited, "host: db1", "host: db1, paused: false", 1)
	assert.Equal(t, []string{"update backup " + a + " paused:yes->no"}, w.apply(failure.ExitDone, unpaused, "--yes").did())
	assert.False(t, describe(a).Paused)
	paused := strings.Replace(edited, "host: db2", "host: db2, paused: true", 1)
	assert.Equal(t, []string{"update backup " + b + " paused:no->yes", "update drill " + b + " paused:no->yes"}, w.apply(failure.ExitDone, paused, "--yes").did())
	assert.True(t, describe(b, "--drill").Paused)
	w.apply(failure.ExitDone, text, "--yes")

	// What was changed elsewhere is put back.
	h := app.Schedule(t.Context(), w.client(), app.TaskBackup, a)
	require.NoError(t, h.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := in.Description.Schedule
		s.Spec.Intervals = []client.ScheduleIntervalSpec{{Every: time.Hour}}
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}}))
	require.True(t, describe(a).Edited)
	assert.Equal(t, []string{"update backup " + a + " edited:elsewhere->as made"}, w.apply(failure.ExitDone, text, "--yes").did())
	assert.False(t, describe(a).Edited)

	// A schedule made by hand is left, and adopted once the file names it.
	o = w.starter("schedule", "create", "--database", c, "--schedule", "0 3 * * *")
	require.Equal(t, failure.ExitDone, o.status, o.errOut)
	w.listed(c)
	assert.Contains(t, w.apply(failure.ExitDone, text, "--yes").did(), "left backup "+c)
	assert.Equal(t, w.host, describe(c).Host)
	adopting := text + fmt.Sprintf("  - {name: %s, host: %s, timezone: UTC, jitter: 0s}\n", c, w.host)
	adopted := w.apply(failure.ExitDone, adopting, "--yes").did()
	assert.Contains(t, adopted, "adopt backup "+c+" catchup_window:one interval->1h0m0s fleet:->"+fleet)
	assert.NotContains(t, w.apply(failure.ExitDone, adopting, "--yes").did(), "adopt backup "+c)

	// Another fleet keeps its hands off, unless it is told otherwise.
	other := fmt.Sprintf("fleet: %s-other\ndatabases: [{name: %s, host: db3, schedule: '@daily'}]\n", fleet, c)
	refused := w.apply(failure.ExitFailed, other, "--yes")
	require.Len(t, refused.Steps, 1+refused.Summary["left"])
	assert.Equal(t, "conflict", refused.Steps[0].Action)
	assert.Contains(t, refused.Steps[0].Hint, "--take-over "+fleet)
	assert.Equal(t, w.host, describe(c).Host)
	w.apply(failure.ExitDone, other, "--yes", "--take-over", fleet)
	assert.Equal(t, "db3", describe(c).Host)
	assert.Equal(t, []string{"conflict backup " + c}, w.apply(failure.ExitPartly, adopting, "--yes").did()[:1])

	// What left the file goes; what is another's stays.
	w.listed(b)
	gone := fmt.Sprintf("fleet: %s\ndatabases: [{name: %s, host: db1, schedule: '0 3 * * *'}]\n", fleet, a)
	removed := w.apply(failure.ExitDone, gone, "--yes")
	assert.Subset(t, removed.did(), []string{"remove backup " + b, "remove drill " + b})
	w.refusedSchedule(b)
	assert.Equal(t, "db3", describe(c).Host)
}

// refusedSchedule asserts that a database has no schedule.
func (w *world) refusedSchedule(database string) {
	w.t.Helper()
	o := w.starter("schedule", "describe", "--database", database)
	assert.Equal(w.t, failure.ExitNotFound, o.status, o.out)
}

// listed waits until the server lists the schedules of a database: what it lists
// lags behind what it has.
func (w *world) listed(database string) {
	w.t.Helper()
	c := w.client()
	eventually(w.t, "the schedule is listed", func() bool {
		all, err := app.Databases(w.t.Context(), c)
		require.NoError(w.t, err)
		for _, name := range all {
			if name == database {
				return true
			}
		}
		return false
	})
}

// A cron workflow and a schedule never start the same backups.
func TestFleetBesideACronWorkflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	var cron cronDoc
	w.do(&cron, "cron", "--schedule", "0 3 1 1 *")
	text := fmt.Sprintf("fleet: %s\ndefaults: {host: db1, schedule: '@daily'}\ndatabases: [{name: %s}, {name: %s-b}]\n", w.name(), w.name(), w.name())
	d := w.apply(failure.ExitPartly, text, "--yes")
	assert.Equal(t, []string{"conflict backup " + w.name(), "create backup " + w.name() + "-b"}, d.did())
	assert.Contains(t, d.Steps[0].Hint, "starter stop --cron --database "+w.name())
	w.refusedSchedule(w.name())
	w.do(&struct{}{}, "stop", "--cron")
	assert.Equal(t, []string{"create backup " + w.name()}, w.apply(failure.ExitDone, text, "--yes").did())
	w.apply(failure.ExitDone, text, "--yes")
}

// Several people apply the same file at once: each ends well, and each database
// has the one schedule.
func TestFleetAppliedByManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	text := fmt.Sprintf("fleet: %s\ndefaults: {host: db1, schedule: '@daily'}\ndatabases:\n", w.name())
	for i := range 20 {
		text += fmt.Sprintf("  - {name: %s-%d}\n", w.name(), i)
	}
	path := filepath.Join(w.dir, "fleet.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	var all sync.WaitGroup
	outcomes := make([]outcome, 3)
	for i := range outcomes {
		all.Go(func() { outcomes[i] = w.starter("apply", "-f", path, "--yes") })
	}
	all.Wait()
	for _, o := range outcomes {
		assert.Equal(t, failure.ExitDone, o.status, "%s%s", o.out, o.errOut)
	}
	assert.Equal(t, 20, w.apply(failure.ExitDone, text, "--yes").Summary["unchanged"])
}

// moveTo is the fleet file with the world's database on a host.
func (w *world) moveTo(host string, args ...string) applyDoc {
	text := fmt.Sprintf("fleet: %s\ndatabases: [{name: %s, host: %s, schedule: '0 3 1 1 *'}]\n", w.name(), w.name(), host)
	return w.apply(failure.ExitDone, text, append(args, "--yes")...)
}

// triggered has the schedule start a run, once it knows that the one before has
// ended.
func (w *world) triggered() (run runDoc) {
	w.t.Helper()
	eventually(w.t, "the schedule starts a run", func() bool {
		o := w.starter("schedule", "trigger", "--database", w.name(), "--json")
		return o.status == failure.ExitDone && json.Unmarshal([]byte(o.out), &run) == nil
	})
	return run
}

// A database that moves to another host, whose worker has the same repository:
// the run at work ends where it began, the next one is on the new host, and the
// history and the backups stay. Both workers have it in their configuration.
func TestFleetMovesADatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	second, gate := w.host+"-two", filepath.Join(w.dir, "gate")
	w.startWorker("--config", w.slow("1GB",
		fmt.Sprintf("checkpoint: {mode: command, command: [/bin/sh, -c, 'until test -e %s; do sleep 0.1; done'], timeout: 10m}", gate)))
	w.startWorker("--database", w.name()+"="+w.database, "--repository", w.repository, "--host", second)
	w.waitForWorker()
	w.moveTo(w.host)
	var old runDoc
	w.do(&old, "schedule", "trigger")
	eventually(t, "the run waits for its owner", func() bool {
		r := w.status().Running
		return r != nil && r.Progress != nil && r.Progress.Step == "checkpoint"
	})

	d := w.moveTo(second)
	require.Equal(t, []string{"move backup " + w.name() + " host:" + w.host + "->" + second}, d.did())
	assert.Contains(t, d.Steps[0].Why, "ends on host "+w.host+" first")
	assert.Equal(t, second, w.status().Host, "two workers have it: the schedule's counts")
	w.refused(failure.Busy, "schedule", "trigger")
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	first := w.finished(old)
	fresh := w.triggered()
	last := w.finished(fresh)
	queue := func(r runDoc) string {
		run, err := w.client().DescribeWorkflowExecution(t.Context(), r.WorkflowID, r.RunID)
		require.NoError(t, err)
		return run.GetExecutionConfig().GetTaskQueue().GetName()
	}
	assert.Equal(t, job.Queue(w.host), queue(old))
	assert.Equal(t, job.Queue(second), queue(fresh))
	var runs []struct{ Backup, Host string }
	eventually(t, "both runs are remembered", func() bool { w.do(&runs, "history"); return len(runs) == 2 })
	assert.Equal(t, []struct{ Backup, Host string }{{last.ID, second}, {first.ID, w.host}}, runs)
	var out, errOut bytes.Buffer
	status := cli.Main(t.Context(), []string{"list", "--repository", w.repository, "--database", w.name()}, strings.NewReader(""), &out, &errOut)
	require.Equal(t, failure.ExitDone, status, &errOut)
	for _, id := range []string{first.ID, last.ID} {
		assert.Contains(t, out.String(), id)
	}
	assert.Empty(t, w.staged())
}

// A run that waits for a host that is gone would hold up the backups on the next
// one for most of a day.
func TestFleetMovesADatabaseFromAHostThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	w.moveTo(w.host + "-gone")
	var stuck runDoc
	w.do(&stuck, "schedule", "trigger")
	d := w.moveTo(w.host)
	require.Equal(t, 1, d.Done)
	assert.Contains(t, d.Steps[0].Why, stuck.WorkflowID)
	w.finished(w.triggered())
	info, err := w.client().DescribeWorkflowExecution(t.Context(), stuck.WorkflowID, stuck.RunID)
	require.NoError(t, err)
	assert.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, info.GetWorkflowExecutionInfo().GetStatus())
}

// A database that nothing knows of is not found, and named ones are.
func TestStatusOfAnUnknownDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.moveTo(w.host)
	w.status()
	o := w.starter("status", "--database", w.name()+"-typo")
	assert.Equal(t, failure.ExitNotFound, o.status, o.out)
	assert.Contains(t, o.errOut, `no database "`+w.name()+`-typo"`)
	assert.Contains(t, o.errOut, "known are ")
}
