package e2e

import (
	"context"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// tree is every name below dir but the workers' logs.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) != ".log" {
			names = append(names, path)
		}
		return err
	}))
	return names
}

// TestInputsOfStrangers starts runs as somebody may who reaches Temporal and knows
// the queue of a host. None writes a file, none disturbs the worker, and each ends
// at once and for good, as a failure of a kind.
func TestInputsOfStrangers(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t, shared.HostPort()), newWorld(t, shared.HostPort())
	w.create()
	other.create()
	p := w.startWorker("--config", w.slow("1GB", "restore: {targets: {spare: "+w.dir+"/spare/shop.duckdb}}"))
	w.waitForWorker()
	var good resultDoc
	w.do(&good, "run")
	before := tree(t, w.dir)
	c := w.client()
	long := strings.Repeat("x", 1<<20)
	type object = map[string]any
	for _, test := range []struct {
		name, workflow string
		input          any
		kind           *failure.Kind
	}{
		{"a path", job.BackupWorkflow, object{"database": "../../etc"}, failure.BadInput},
		{"the path of the database", job.BackupWorkflow, object{"database": w.database}, failure.BadInput},
		{"a name of 1 MiB", job.BackupWorkflow, object{"database": long}, failure.BadInput},
		{"a name with lines", job.BackupWorkflow, object{"database": w.name() + "\n" + w.name()}, failure.BadInput},
		{"another host's database", job.BackupWorkflow, object{"database": other.name()}, failure.UnknownDatabase},
		{"a number", job.BackupWorkflow, object{"database": -1}, failure.BadInput},
		{"a list", job.BackupWorkflow, []int{1, 2, 3}, failure.BadInput},
		{"nothing", job.BackupWorkflow, nil, failure.BadInput},
		{"an empty object", job.DrillWorkflow, object{}, failure.BadInput},
		{"a huge number", job.DrillWorkflow, math.MaxFloat64, failure.BadInput},
		{"a drill of a path", job.DrillWorkflow, object{"database": w.name(), "backup": "../../x"}, failure.BadInput},
		{"a drill of what is no backup", job.DrillWorkflow, object{"database": w.name(), "backup": "manifest.json"}, failure.UnknownBackup},
		{"a drill of another host's", job.DrillWorkflow, object{"database": other.name()}, failure.UnknownDatabase},
		{"a restore to a path", job.RestoreWorkflow, object{"database": w.name(), "backup": "latest", "target": w.dir + "/spare/x"}, failure.BadInput},
		{"a restore to a target that is none", job.RestoreWorkflow, object{"database": w.name(), "backup": "latest", "target": "live"}, failure.TargetBad},
		{"a restore as of a number", job.RestoreWorkflow, object{"database": w.name(), "at": -5, "target": "spare"}, failure.BadInput},
		{"a restore as of the year 1", job.RestoreWorkflow, object{"database": w.name(), "at": "0001-01-01T00:00:00Z", "target": "spare"}, failure.UnknownBackup},
		{"a restore of 1 MiB", job.RestoreWorkflow, object{"database": w.name(), "backup": long, "target": "spare"}, failure.BadInput},
		{"a field that there is not", job.RestoreWorkflow, object{"database": "..", "path": "/etc/passwd", "target": "spare"}, failure.BadInput},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "stranger-" + w.name() + "-" + test.name, TaskQueue: job.Queue(w.host)}, test.workflow, test.input)
			require.NoError(t, err)
			err = run.Get(ctx, nil)
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			assert.Equal(t, test.kind.Name, app.Type(), "%s", app.Message())
			assert.True(t, app.NonRetryable())
			assert.Less(t, len(err.Error()), 4<<10)
			d, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
			require.NoError(t, err)
			assert.Less(t, d.GetWorkflowExecutionInfo().GetHistoryLength(), int64(80), "it did not try again and again")
		})
	}
	t.Run("more than the server takes", func(t *testing.T) {
		_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "stranger-" + w.name(), TaskQueue: job.Queue(w.host)}, job.BackupWorkflow, object{"database": strings.Repeat("x", 2<<20)})
		require.Error(t, err)
		assert.Less(t, len(err.Error()), 4<<10)
	})
	assert.Equal(t, before, tree(t, w.dir))
	assert.NotContains(t, p.said(), "panic")
	var again resultDoc
	w.do(&again, "run")
	assert.Equal(t, "verified", again.State, "the worker is as well as before")
	select {
	case <-p.exited:
		assert.Fail(t, "the worker ended")
	default:
	}
}

// TestCallsOfStrangers asks a run at work, whose hook hangs, what nobody should, and stops
// it in the end.
func TestCallsOfStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	p := w.startWorker("--config", w.slow("1GB", "checkpoint: {mode: command, command: [/bin/sleep, '600'], timeout: 20m}"))
	w.waitForWorker()
	var run runDoc
	w.do(&run, "run", "--no-wait")
	before := tree(t, w.dir)
	c := w.client()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, args := range [][]any{nil, {nil}, {strings.Repeat("x", 1<<20)}, {-1, "a", []int{1}}} {
		value, err := c.QueryWorkflow(ctx, run.WorkflowID, run.RunID, job.ProgressQuery, args...)
		if err != nil {
			assert.Less(t, len(err.Error()), 4<<10)
			continue
		}
		var progress job.RunProgress
		require.NoError(t, value.Get(&progress))
		assert.False(t, progress.Ended)
	}
	_, err := c.QueryWorkflow(ctx, run.WorkflowID, run.RunID, "../"+job.ProgressQuery)
	require.Error(t, err)

	update := func(name string, args ...any) error {
		h, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: run.WorkflowID, RunID: run.RunID, UpdateName: name, Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			err = h.Get(ctx, nil)
		}
		return err
	}
	for what, err := range map[string]error{
		"a number":      update(job.StopUpdate, -1),
		"a list":        update(job.StopUpdate, []string{"now"}),
		"a text":        update(job.StopUpdate, "now"),
		"a long reason": update(job.StopUpdate, job.StopInput{Reason: strings.Repeat("x", 1<<20)}),
		"another name":  update("../" + job.StopUpdate),
	} {
		require.Error(t, err, what)
		assert.NotErrorIs(t, err, context.DeadlineExceeded, what)
		assert.Less(t, len(err.Error()), 4<<10, what)
	}
	d, err := c.DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
	require.NoError(t, err)
	assert.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus(), "none of it stopped the run")
	assert.Equal(t, before, tree(t, w.dir))
	require.NoError(t, update(job.StopUpdate, job.StopInput{Reason: "a tag\nof two lines"}))
	assert.Contains(t, w.stoppedAs(app.Run{WorkflowID: run.WorkflowID, RunID: run.RunID}), "a tag")
	assert.NotContains(t, p.said(), "panic")
}
