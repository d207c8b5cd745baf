package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// diagnosis is what doctor printed, by the names of the checks.
type diagnosis struct {
	status int
	found  map[string]symptom
}

type symptom struct{ Check, Database, Status, Found, Mend string }

func (w *world) doctor(more ...string) diagnosis {
	w.t.Helper()
	o := w.starter(append([]string{"doctor", "--json", "--database", w.name() + "=" + w.database, "--repository", w.repository}, more...)...)
	var doc struct {
		Findings []symptom
		Counts   struct{ Fail int }
	}
	require.NoError(w.t, json.Unmarshal([]byte(o.out), &doc), "%s %s", o.out, o.errOut)
	d := diagnosis{o.status, map[string]symptom{}}
	for _, s := range doc.Findings {
		d.found[s.Check] = s
	}
	want := failure.ExitDone
	if doc.Counts.Fail > 0 {
		want = failure.ExitFailed
	}
	assert.Equal(w.t, want, o.status)
	return d
}

// mend carries out the first command that a finding names.
func (w *world) mend(s symptom) {
	w.t.Helper()
	line, _, _ := strings.Cut(s.Mend, ", ")
	out, err := exec.Command("/bin/sh", "-c", `starter() { printf '%s\0' "$@"; }; `+line).Output()
	require.NoError(w.t, err, line)
	args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	o := w.starter(args...)
	require.Equal(w.t, failure.ExitDone, o.status, "%s: %s", line, o.errOut)
}

// diagnosed waits until the check has the status: what the server lists lags
// behind a little.
func (w *world) diagnosed(check, status, found string) (s symptom) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%s is %s: %s", check, status, found), func() bool {
		s = w.doctor().found[check]
		return s.Status == status && strings.Contains(s.Found, found)
	})
	return s
}

// TestDoctorMends spoils a set-up in one way after another, and does each time
// what doctor says.
func TestDoctorMends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	d := w.doctor()
	assert.Equal(t, failure.ExitFailed, d.status)
	for _, check := range []string{"temporal.reachable", "temporal.namespace", "temporal.retention", "temporal.permissions", "clock.temporal", "database.file", "engine.starts"} {
		assert.Equal(t, "ok", d.found[check].Status, "%s: %s", check, d.found[check].Found)
	}
	assert.Equal(t, "fail", d.found["worker.polls"].Status)
	w.startWorker()
	w.diagnosed("worker.polls", "ok", "canvasback-worker@"+w.host)
	w.mend(w.diagnosed("schedule.backup", "fail", "nothing starts its backups"))
	assert.Equal(t, failure.ExitDone, w.doctor().status)

	o := w.starter("schedule", "pause", "--database", w.name(), "--note", "holidays")
	require.Equal(t, failure.ExitDone, o.status, o.errOut)
	w.mend(w.diagnosed("schedule.backup", "warn", "holidays"))
	w.diagnosed("schedule.backup", "ok", "0 3 * * *")

	_, err := app.UpdateSchedule(t.Context(), w.client(), app.TaskBackup, w.name(), func(s *app.Spec) { s.Host = "elsewhere" })
	require.NoError(t, err)
	w.mend(w.diagnosed("schedule.backup", "fail", "for the worker on elsewhere"))
	w.diagnosed("schedule.backup", "ok", "0 3 * * *")

	require.NoError(t, app.Schedule(t.Context(), w.client(), app.TaskBackup, w.name()).Update(t.Context(), client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			in.Description.Schedule.Policy.CatchupWindow = 17 * time.Minute
			return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
		},
	}))
	w.mend(w.diagnosed("schedule.backup", "warn", "changed elsewhere"))
	w.diagnosed("schedule.backup", "ok", "0 3 * * *")

	_, err = w.client().ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: job.BackupID(w.name()), TaskQueue: job.Queue(w.host), CronSchedule: "0 4 * * *",
	}, job.BackupWorkflow, job.BackupInput{Database: w.name()})
	require.NoError(t, err)
	w.mend(w.diagnosed("schedule.backup", "fail", "a schedule and a cron workflow"))
	w.diagnosed("schedule.backup", "ok", "0 3 * * *")
	assert.Equal(t, failure.ExitDone, w.doctor().status)
}

func TestDoctorSeesTwoWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.diagnosed("worker.polls", "ok", w.host)
	w.startWorker()
	s := w.diagnosed("worker.polls", "warn", "2 workers")
	assert.Contains(t, s.Mend, "stop all but one")
}

func TestDoctorWithoutAServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	w := newWorld(t, l.Addr().String())
	w.create()
	d := w.doctor()
	assert.Equal(t, "fail", d.found["temporal.reachable"].Status)
	assert.Contains(t, d.found["temporal.reachable"].Found, l.Addr().String())
	assert.Equal(t, "ok", d.found["database.file"].Status, "the rest is checked all the same")
	local := w.doctor("--local")
	assert.NotContains(t, local.found, "temporal.reachable")
	assert.Equal(t, "skipped", local.found["temporal"].Status)
	assert.Equal(t, failure.ExitDone, local.status)
}

func TestDoctorLooksAtTheNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	name := "short-" + w.host
	d := w.doctor("--namespace", name)
	assert.Equal(t, "ok", d.found["temporal.reachable"].Status)
	assert.Equal(t, "fail", d.found["temporal.namespace"].Status)
	assert.Contains(t, d.found["temporal.namespace"].Mend, "temporal operator namespace create -n "+name)
	_, err := w.client().WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	eventually(t, "the short retention is found", func() bool {
		s := w.doctor("--namespace", name).found["temporal.retention"]
		return s.Status == "warn" && strings.Contains(s.Mend, "-n "+name+" --retention 7d")
	})
}

// TestSurveyBoundsTheClock compares with a server that goes by the same clock.
func TestSurveyBoundsTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	s, err := app.SurveyOf(t.Context(), w.client(), "default", w.host, nil)
	require.NoError(t, err)
	require.NoError(t, s.ClockErr)
	assert.LessOrEqual(t, s.ClockFrom, time.Duration(0))
	assert.GreaterOrEqual(t, s.ClockTo, time.Duration(0))
	assert.Less(t, s.ClockFrom, s.ClockTo)
}
