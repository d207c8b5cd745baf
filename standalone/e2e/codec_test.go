package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	querypb "go.temporal.io/api/query/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"canvasback/internal/app"
	"canvasback/internal/codec"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/standalone/server"
)

// withKeys makes a key file and has the world's worker and starter use it. It is
// away from the world, whose paths are looked for.
func (w *world) withKeys() string {
	w.t.Helper()
	w.keys = filepath.Join(w.t.TempDir(), "codec.keys")
	id, err := codec.Create(w.keys, time.Now())
	require.NoError(w.t, err)
	return id
}

// decrypting is a client with the world's keys.
func (w *world) decrypting() client.Client {
	w.t.Helper()
	keys, err := codec.Load(w.keys, os.Getenv)
	require.NoError(w.t, err)
	c, err := app.Connect(w.t.Context(), app.ConnectOptions{Address: w.address, Codec: keys})
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// answered makes a bare call, which the SDK does not make again by itself, until the
// server has room for it: of a schedule and a run it answers one question at a time.
func answered[M any](t *testing.T, call func() (M, error)) (m M) {
	t.Helper()
	eventually(t, "the server has room for a question", func() bool {
		var err error
		m, err = call()
		if _, busy := errors.AsType[*serviceerror.ResourceExhausted](err); busy {
			return false
		}
		require.NoError(t, err)
		return true
	})
	return m
}

// scheduleAt is the schedule of the world's database in the server's own form.
func (w *world) scheduleAt(c client.Client) *workflowservice.DescribeScheduleResponse {
	w.t.Helper()
	return answered(w.t, func() (*workflowservice.DescribeScheduleResponse, error) {
		return c.WorkflowService().DescribeSchedule(w.t.Context(), &workflowservice.DescribeScheduleRequest{Namespace: server.Namespace, ScheduleId: job.BackupID(w.name())})
	})
}

// kept is all that a server tells a client of the world's host: the runs with
// their histories, memos and heartbeats, what they answer to questions, and the
// schedules.
func (w *world) kept(c client.Client) string {
	w.t.Helper()
	ctx, s := w.t.Context(), c.WorkflowService()
	var all strings.Builder
	add := func(m proto.Message, err error) {
		require.NoError(w.t, err)
		data, err := proto.Marshal(m)
		require.NoError(w.t, err)
		all.Write(data)
	}
	runs, err := s.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: server.Namespace, Query: "TaskQueue = '" + job.Queue(w.host) + "'"})
	add(runs, err)
	require.NotEmpty(w.t, runs.GetExecutions())
	for _, e := range runs.GetExecutions() {
		var page []byte
		for {
			h, err := s.GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{Namespace: server.Namespace, Execution: e.GetExecution(), NextPageToken: page})
			add(h, err)
			if page = h.GetNextPageToken(); len(page) == 0 {
				break
			}
		}
		d, err := s.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{Namespace: server.Namespace, Execution: e.GetExecution()})
		add(d, err)
		if e.GetType().GetName() == job.BackupWorkflow {
			for _, question := range []string{job.ProgressQuery, "__temporal_workflow_metadata"} {
				add(answered(w.t, func() (*workflowservice.QueryWorkflowResponse, error) {
					return s.QueryWorkflow(ctx, &workflowservice.QueryWorkflowRequest{
						Namespace: server.Namespace, Execution: e.GetExecution(), Query: &querypb.WorkflowQuery{QueryType: question},
					})
				}), nil)
			}
		}
	}
	add(w.scheduleAt(c), nil)
	list, err := s.ListSchedules(ctx, &workflowservice.ListSchedulesRequest{Namespace: server.Namespace, MaximumPageSize: 1000})
	require.NoError(w.t, err)
	list.Schedules = slices.DeleteFunc(list.GetSchedules(), func(e *schedulepb.ScheduleListEntry) bool { return e.GetScheduleId() != job.BackupID(w.name()) })
	add(list, err) // of which the others are those of other tests
	return all.String()
}

// With a codec the commands show what they show without, and nothing of it can be
// read on the server.
func TestNothingIsReadableOnTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	id := w.withKeys()
	w.createLarge(6 << 20)
	broken := filepath.Join(w.dir, "live", "broken.duckdb")
	require.NoError(t, os.WriteFile(broken, make([]byte, 1<<16), 0o600))
	config := w.slow("400KB") // the run that is stopped is asked about first, on a busy machine too
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	text = fmt.Appendf(text, "  - {name: %s-broken, path: %s}\n", w.name(), broken)
	require.NoError(t, os.WriteFile(config, text, 0o600))
	w.startWorker("--config", config)
	w.waitForWorker()

	w.do(&scheduleDoc{}, "schedule", "create", "--schedule", "0 3 * * *")
	var good resultDoc
	w.do(&good, "run")
	assert.Equal(t, "verified", good.State)
	failed := w.starter("run", "--database", w.name()+"-broken", "--json")
	assert.NotEqual(t, failure.ExitDone, failed.status)
	assert.Contains(t, failed.out, broken, "the error comes through")

	open, plain := w.decrypting(), w.client()
	var seen, raw strings.Builder
	w.do(&runDoc{}, "run", "--no-wait")
	w.copied(1)
	seen.WriteString(w.kept(open))
	raw.WriteString(w.kept(plain))
	var stopped stopDoc
	w.do(&stopped, "stop", "--reason", "the disk is being moved")
	assert.Contains(t, stopped.Outcome, "the disk is being moved")
	seen.WriteString(w.kept(open))
	raw.WriteString(w.kept(plain))
	for name, secret := range map[string]string{
		"paths": w.dir, "the reason of a stop": "the disk is being moved", "an error": "not a DuckDB", "IDs of backups": good.ID,
		"details": "checkpoint, copy, verify, prune", "a heartbeat": "copy: copy, attempt", "the schedule of the memo": `\"schedule\":\"0 3 * * *\"`, "an input": `{"database":`,
	} {
		assert.True(t, strings.Contains(seen.String(), secret), "%s: %q is nowhere even with the key", name, secret)
		assert.False(t, strings.Contains(raw.String(), secret), "%s: %q can be read without the key", name, secret)
	}
	assert.True(t, strings.Contains(raw.String(), id), "the name of the key is to be seen")

	var described scheduleDoc
	w.do(&described, "schedule", "describe")
	assert.Equal(t, "0 3 * * *", described.Schedule)
	assert.Equal(t, w.host, described.Host)
	assert.False(t, described.Edited)
	history := w.starter("history", "--database", w.name())
	assert.Contains(t, history.out, good.ID)
	assert.Contains(t, history.out, "the disk is being moved")
	d := w.doctor()
	assert.Equal(t, "what Temporal keeps is encrypted with the key "+id, d.found["temporal.encryption"].Found)
	assert.Equal(t, "ok", d.found["schedule.backup"].Status, d.found["schedule.backup"].Found)
}

// keyIDOf is the name of the key of a payload on the server; empty: it is plain.
func keyIDOf(p *commonpb.Payload) string { return string(p.GetMetadata()["encryption-key-id"]) }

// keyedBy are the names of the keys that the host's workflow and the database's
// schedule are kept with.
func (w *world) keyedBy() (host, schedule string) {
	w.t.Helper()
	d, err := w.client().DescribeWorkflowExecution(w.t.Context(), job.HostID(w.host), "")
	require.NoError(w.t, err)
	s := w.scheduleAt(w.client())
	return keyIDOf(d.GetExecutionConfig().GetUserMetadata().GetSummary()), keyIDOf(s.GetSchedule().GetAction().GetStartWorkflow().GetInput().GetPayloads()[0])
}

// A worker or starter that lacks the key says so and does no harm; and keys are
// changed while backups go on.
func TestOtherKeysAndNewKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.createLarge(12 << 20)
	config := w.slow("3MB")
	p := w.startWorker("--config", config) // nothing is encrypted yet
	w.waitForWorker()
	w.do(&scheduleDoc{}, "schedule", "create", "--schedule", "0 3 * * *")
	first := w.withKeys()
	require.Zero(t, p.stop(syscall.SIGTERM))

	p = w.startWorker("--config", config)
	eventually(t, "the host's workflow is made anew", func() bool { host, _ := w.keyedBy(); return host == first })
	d := w.doctor()
	assert.Equal(t, "warn", d.found["schedule.backup"].Status, d.found["schedule.backup"].Found)
	w.mend(d.found["schedule.backup"])
	_, schedule := w.keyedBy()
	assert.Equal(t, first, schedule, "what was in plain is encrypted")

	w.waitForWorker()
	var run runDoc
	w.do(&run, "run", "--no-wait")
	w.copied(1)
	require.Zero(t, p.stop(syscall.SIGTERM))
	right := w.keys

	for name, refused := range map[string]string{"another": "which is not in the key file", "no": "and no key file is named"} {
		if w.keys = ""; name == "another" {
			w.withKeys()
		}
		wrong := w.startWorker("--config", config)
		select {
		case <-wrong.exited:
		case <-time.After(3 * time.Minute):
			require.Fail(t, "a worker without the key runs")
		}
		assert.Equal(t, failure.Payload.Exit, wrong.cmd.ProcessState.ExitCode(), name)
		assert.Contains(t, wrong.said(), "a payload of Temporal is encrypted with the key "+first+", "+refused)
		assert.Contains(t, wrong.said(), "canvasback: hint: "+failure.Payload.Hint)
		for _, command := range [][]string{{"status"}, {"schedule", "describe"}, {"run"}, {"drill"}, {"stop"}} {
			assert.Contains(t, w.refused(failure.Payload, command...), "is encrypted with the key "+first+", "+refused, "%v with %s key", command, name)
		}
		assert.Equal(t, "fail", w.doctor().found["temporal.encryption"].Status)
	}
	w.keys = right
	p = w.startWorker("--config", config)
	assert.Equal(t, "verified", string(w.finished(run).State), "the run goes on")

	second, err := codec.Add(w.keys, time.Now())
	require.NoError(t, err)
	require.NoError(t, codec.Use(w.keys, second))
	require.Zero(t, p.stop(syscall.SIGTERM))
	w.startWorker("--config", config)
	eventually(t, "the host's workflow is made anew", func() bool { host, _ := w.keyedBy(); return host == second })
	w.waitForWorker()
	assert.Contains(t, w.starter("history", "--database", w.name()).out, "verified", "the old key decrypts")
	var updated struct{ Changed bool }
	w.do(&updated, "schedule", "update")
	_, schedule = w.keyedBy()
	assert.Equal(t, second, schedule)
	w.keys = ""
	assert.Contains(t, w.refused(failure.Payload, "history"), "is encrypted with the key ", "a list without the run would be wrong")
}

// The failure of a step that is tried again is cut by the server where it is long:
// what is sealed would be gone.
func TestLongFailuresAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.withKeys()
	c, queue := w.decrypting(), w.name()+"-fails"
	long := errors.New(strings.Repeat("<what is at the bottom of it> ", 100))
	for range 12 {
		long = fmt.Errorf("one more: %w", long)
	}
	k := worker.New(c, queue, worker.Options{})
	k.RegisterActivityWithOptions(func(context.Context) error { return long }, activity.RegisterOptions{Name: "Fails"})
	k.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Hour},
		})
		return workflow.ExecuteActivity(ctx, "Fails").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "Fails"})
	require.NoError(t, k.Start())
	defer k.Stop()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: queue, TaskQueue: queue}, "Fails")
	require.NoError(t, err)
	var kept *failurepb.Failure
	eventually(t, "the step has failed", func() bool {
		d, err := c.DescribeWorkflowExecution(t.Context(), queue, run.GetRunID())
		require.NoError(t, err)
		for _, a := range d.GetPendingActivities() {
			kept = a.GetLastFailure()
		}
		return kept != nil
	})
	assert.True(t, strings.HasPrefix(kept.GetMessage(), "one more: one more: "), kept.GetMessage())
	assert.Contains(t, kept.GetMessage(), "<what is at the bottom of it>")
	require.NoError(t, c.TerminateWorkflow(t.Context(), queue, run.GetRunID(), "the test is done"))
}

// A fleet is applied beside schedules that others have encrypted, which it leaves
// alone; those that it names must be readable.
func TestApplyBesideOthersKeys(t *testing.T) {
	t.Parallel()
	other := newWorld(t, shared.HostPort())
	other.withKeys()
	other.do(&scheduleDoc{}, "schedule", "create", "--schedule", "0 3 1 1 *")
	w := newWorld(t, shared.HostPort())
	w.moveTo(w.host)
	eventually(t, "what is left out is said", func() bool {
		path := filepath.Join(w.dir, "fleet.yaml")
		o := w.starter("apply", "-f", path, "--yes")
		require.Equal(t, failure.ExitDone, o.status, o.errOut)
		return strings.Contains(o.errOut, "left out: the schedule "+job.BackupID(other.name()))
	})
	text := fmt.Sprintf("fleet: %s\ndatabases: [{name: %s, host: %s, schedule: '0 3 1 1 *'}]\n", w.name(), other.name(), w.host)
	path := filepath.Join(w.dir, "other.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	o := w.starter("apply", "-f", path, "--yes")
	assert.Equal(t, failure.Payload.Exit, o.status)
	assert.Contains(t, o.errOut, "is encrypted with the key ")
}
