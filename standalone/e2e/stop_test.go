package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/app"
	"canvasback/internal/job"
)

// stoppedAs waits for a run that was stopped, and returns what it tells of that.
func (w *world) stoppedAs(r app.Run) string {
	w.t.Helper()
	err := w.client().GetWorkflow(w.t.Context(), r.WorkflowID, r.RunID).
		GetWithOptions(w.t.Context(), nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	require.True(w.t, temporal.IsCanceledError(err), "%v", err)
	var canceled *temporal.CanceledError
	require.ErrorAs(w.t, err, &canceled)
	var text string
	if canceled.HasDetails() {
		require.NoError(w.t, canceled.Details(&text))
	}
	return text
}

// A request to stop is there before a run begins: it makes a cron workflow that
// waits for its time begin, and is in its first task.
func TestStopBeforeTheFirstStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	var cron cronDoc
	w.do(&cron, "cron", "--schedule", "0 0 1 1 *")
	run := app.Run{WorkflowID: cron.WorkflowID, RunID: cron.RunID}
	require.NoError(t, app.Stop(t.Context(), w.client(), run, "no more of it"))
	assert.Equal(t, "stopped: no more of it", w.stoppedAs(run))
	assert.Empty(t, glob(t, w.repository, w.name(), "*", "manifest.json"))
	w.record("backup_stopped_first", runDoc{WorkflowID: run.WorkflowID, RunID: run.RunID})
}

// A run whose worker's release knows of no such request is cancelled.
func TestStopOfARunThatRefusesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	c := w.client()
	older := worker.New(c, job.Queue(w.host), worker.Options{})
	older.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx.Done().Receive(ctx, nil)
		return ctx.Err()
	}, workflow.RegisterOptions{Name: job.BackupWorkflow})
	require.NoError(t, older.Start())
	t.Cleanup(older.Stop)
	started, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: job.BackupID(w.name()), TaskQueue: job.Queue(w.host)}, job.BackupWorkflow)
	require.NoError(t, err)
	run := app.Run{WorkflowID: started.GetID(), RunID: started.GetRunID()}
	require.NoError(t, app.Stop(t.Context(), c, run, "a move"))
	assert.Empty(t, w.stoppedAs(run))
}
