package workflows

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// The run ID that the test environment gives every run.
const run = "default-test-run-id"

var (
	in        = job.BackupInput{Database: "shop"}
	folded    = job.CheckpointResult{Mode: "none", IterationBefore: 7, IterationAfter: 7}
	copied    = job.CopyResult{ID: "b1", Rule: "A", Attempts: 2, Bytes: 4096, Seconds: 1.5}
	verified  = job.VerifyResult{State: "verified", Tables: 3, Rows: 12}
	removed   = []job.Decision{{ID: "b0", Reason: "too old"}}
	pruned    = job.PruneResult{Removed: removed}
	badError  = temporal.NewNonRetryableApplicationError("backup b1: block 7 is wrong"+job.HintMark+"look at it", failure.BackupBad.Name, nil)
	fullError = temporal.NewNonRetryableApplicationError("the disk is full", failure.RepoFull.Name, nil)
)

// environment is one run with exact mocks, which notes the order of the steps.
type environment struct {
	*testsuite.TestWorkflowEnvironment
	order []string
}

func newEnvironment(t *testing.T) *environment {
	var suite testsuite.WorkflowTestSuite
	e := &environment{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment()}
	e.RegisterActivity(&activities.Activities{})
	t.Cleanup(func() { e.AssertExpectations(t) })
	return e
}

// on expects one call of the step with exactly these arguments.
func (e *environment) on(name string, args any, results ...any) *testsuite.MockCallWrapper {
	return e.OnActivity(name, mock.Anything, args).Return(results...).Once().
		Run(func(mock.Arguments) { e.order = append(e.order, name) })
}

func (e *environment) onCopy(round int, id string) {
	c := copied
	c.ID = id
	e.on("Copy", job.CopyInput{Database: "shop", Run: run, Round: round}, c, nil)
}

func (e *environment) onVerify(id string, err error) {
	v := verified
	if err != nil {
		v = job.VerifyResult{}
	}
	e.on("Verify", job.VerifyInput{Database: "shop", ID: id, Run: run}, v, err)
}

func (e *environment) onAbandon(err error) *testsuite.MockCallWrapper {
	return e.on("Abandon", job.AbandonInput{Database: "shop", Run: run}, err)
}

func (e *environment) onCheckpoint() {
	e.on("Checkpoint", job.CheckpointInput{Database: "shop"}, folded, nil)
}

func (e *environment) run(t *testing.T) (job.BackupResult, error) {
	e.ExecuteWorkflow(Backup, given[job.BackupInput]{in: in})
	require.True(t, e.IsWorkflowCompleted())
	var result job.BackupResult
	err := e.GetWorkflowError()
	if err == nil {
		require.NoError(t, e.GetWorkflowResult(&result))
	}
	return result, err
}

// application is the error that the run ended with, as the starter sees it.
func application(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	return app
}

func TestBackup(t *testing.T) {
	t.Run("all steps pass, in their order", func(t *testing.T) {
		e := newEnvironment(t)
		e.onCheckpoint()
		e.onCopy(1, "b1")
		e.onVerify("b1", nil)
		e.on("Prune", job.PruneInput{Database: "shop", Run: run}, pruned, nil)
		result, err := e.run(t)
		require.NoError(t, err)
		assert.Equal(t, []string{"Checkpoint", "Copy", "Verify", "Prune"}, e.order)
		result.DurationSeconds = 0
		assert.Equal(t, job.BackupResult{
			ID: "b1", Database: "shop", State: "verified", Rule: "A", Attempts: 2, Bytes: 4096, Tables: 3, Rows: 12,
			CopySeconds: 1.5, Checkpoint: folded, Pruned: removed,
		}, result)
	})

	t.Run("a bad copy is replaced by a fresh one", func(t *testing.T) {
		e := newEnvironment(t)
		e.onCheckpoint()
		e.onCopy(1, "b1")
		e.onVerify("b1", badError)
		e.onCopy(2, "b2")
		e.onVerify("b2", nil)
		e.on("Prune", job.PruneInput{Database: "shop", Run: run}, job.PruneResult{}, nil)
		result, err := e.run(t)
		require.NoError(t, err)
		assert.Equal(t, []string{"Checkpoint", "Copy", "Verify", "Copy", "Verify", "Prune"}, e.order)
		assert.Equal(t, "b2", result.ID)
		assert.Equal(t, []job.Decision{}, result.Pruned)
	})

	t.Run("three bad copies fail the run and nothing is pruned", func(t *testing.T) {
		e := newEnvironment(t)
		e.onCheckpoint()
		for round, id := range []string{"b1", "b2", "b3"} {
			e.onCopy(round+1, id)
			e.onVerify(id, badError)
		}
		e.onAbandon(nil)
		_, err := e.run(t)
		app := application(t, err)
		assert.Equal(t, "BackupBad", app.Type())
		assert.Equal(t, "3 copies in a row are bad, the last one is b3: verify of shop: backup b1: block 7 is wrong\nhint: look at it", app.Message())
		assert.Equal(t, []string{"Checkpoint", "Copy", "Verify", "Copy", "Verify", "Copy", "Verify", "Abandon"}, e.order)
	})
}

func TestBackupFails(t *testing.T) {
	accident := temporal.NewNonRetryableApplicationError("no memory", failure.Engine.Name, nil)
	tests := []struct {
		name  string
		on    func(e *environment)
		order []string
		kind  string
		text  string
	}{
		{"checkpoint fails and nothing is copied", func(e *environment) {
			e.on("Checkpoint", job.CheckpointInput{Database: "shop"}, job.CheckpointResult{},
				temporal.NewNonRetryableApplicationError("no such file", failure.NoSuchFile.Name, nil))
			e.onAbandon(nil)
		}, []string{"Checkpoint", "Abandon"}, "NoSuchFile", "checkpoint of shop: no such file"},
		{"copy fails and nothing is verified", func(e *environment) {
			e.onCheckpoint()
			e.on("Copy", job.CopyInput{Database: "shop", Run: run, Round: 1}, job.CopyResult{}, fullError)
			e.onAbandon(nil)
		}, []string{"Checkpoint", "Copy", "Abandon"}, "RepoFull", "copy of shop: the disk is full"},
		{"verify fails by accident, no fresh copy and no prune", func(e *environment) {
			e.onCheckpoint()
			e.onCopy(1, "b1")
			e.onVerify("b1", accident)
			e.onAbandon(nil)
		}, []string{"Checkpoint", "Copy", "Verify", "Abandon"}, "Engine", "verify of shop: no memory"},
		{"prune fails after a good backup", func(e *environment) {
			e.onCheckpoint()
			e.onCopy(1, "b1")
			e.onVerify("b1", nil)
			e.on("Prune", job.PruneInput{Database: "shop", Run: run}, job.PruneResult{}, fullError)
			e.onAbandon(nil)
		}, []string{"Checkpoint", "Copy", "Verify", "Prune", "Abandon"}, "RepoFull", "backup b1 is verified, but prune of shop: the disk is full"},
		{"abandon fails too and both are told", func(e *environment) {
			e.onCheckpoint()
			e.on("Copy", job.CopyInput{Database: "shop", Run: run, Round: 1}, job.CopyResult{}, badError)
			e.onAbandon(fullError)
		}, []string{"Checkpoint", "Copy", "Abandon"}, "BackupBad",
			"copy of shop: backup b1: block 7 is wrong\nalso: abandon of shop: the disk is full\nhint: look at it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnvironment(t)
			tt.on(e)
			_, err := e.run(t)
			app := application(t, err)
			assert.Equal(t, tt.kind, app.Type())
			assert.Equal(t, tt.text, app.Message())
			assert.Equal(t, tt.order, e.order)
		})
	}
}

// A copy that is cancelled is waited for, and what it staged is removed.
func TestBackupIsCancelledInMidCopy(t *testing.T) {
	tests := []struct {
		name    string
		abandon error
	}{
		{"abandon passes", nil},
		{"abandon fails", fullError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnvironment(t)
			e.onCheckpoint()
			e.OnActivity("Copy", mock.Anything, job.CopyInput{Database: "shop", Run: run, Round: 1}).Once().
				After(time.Hour).Return(job.CopyResult{}, temporal.NewCanceledError())
			e.onAbandon(tt.abandon)
			e.RegisterDelayedCallback(e.CancelWorkflow, time.Minute)
			_, err := e.run(t)
			require.True(t, temporal.IsCanceledError(err), "%v", err)
			assert.Contains(t, e.order, "Abandon")
			if tt.abandon != nil {
				var canceled *temporal.CanceledError
				require.ErrorAs(t, err, &canceled)
				var details string
				require.NoError(t, canceled.Details(&details))
				assert.Contains(t, details, "abandon of shop: the disk is full")
			}
		})
	}
}

func TestStepErrorKeepsWhyItFailed(t *testing.T) {
	last := temporal.NewApplicationError("the disk is full"+job.HintMark+"free some", failure.RepoFull.Name)
	bare := temporal.NewApplicationError("boom", failure.Unexpected.Name)
	gaveWay := temporal.NewApplicationError("copy gives way: the worker is being stopped", job.WorkerStopping)
	for _, tt := range []struct {
		name      string
		err       error
		kind, say string
	}{
		{"no worker came", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil), "NoWorker",
			"no worker took it: the host's worker does not run\nhint: start the worker on the database's host, or name its host with --host"},
		{"the worker was stopped and none came", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, gaveWay), "NoWorker",
			"no worker took it: the host's worker does not run\nhint: start the worker on the database's host, or name its host with --host"},
		{"it hung", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil), "RunFailed",
			"it did not end in time (StartToClose)\nhint: look at the worker's log on its host, mend what it tells of, and run it again"},
		{"its worker died again and again", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_HEARTBEAT, nil), "RunFailed",
			"its worker was not heard of any more\nhint: see why the worker on its host was ended or cut off, start it, and run it again"},
		{"it was tried until its time was over", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, last), "RepoFull",
			"the disk is full (and no time was left to try it again)\nhint: free some"},
		{"the same without a hint", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, bare), "Unexpected",
			"boom (and no time was left to try it again)\nhint: look at the worker's log on its host, mend what it tells of, and run it again"},
		{"its worker was stopped until its time was over", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, gaveWay), "RunFailed",
			"it did not end in time (ScheduleToClose)\nhint: look at the worker's log on its host, mend what it tells of, and run it again"},
		{"it said why", last, "RepoFull", "the disk is full\nhint: free some"},
		{"anything else", errors.New("boom"), "RunFailed", "boom\nhint: look at the worker's log on its host, mend what it tells of, and run it again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := application(t, stepError("copy", "shop", tt.err))
			assert.Equal(t, tt.kind, app.Type())
			assert.Equal(t, "copy of shop: "+tt.say, app.Message())
		})
	}
	canceled := temporal.NewCanceledError()
	assert.Equal(t, canceled, stepError("copy", "shop", canceled))
	assert.Equal(t, canceled, stepError("copy", "shop", temporal.NewCanceledError("ACTIVITY_ID_NOT_STARTED")))
	reasoned := temporal.NewCanceledError("a move")
	assert.Equal(t, reasoned, stepError("copy", "shop", reasoned))
}

func TestOptionsBoundEveryStep(t *testing.T) {
	for name, o := range map[string]workflow.ActivityOptions{
		"checkpoint": checkpointOptions, "copy": copyOptions, "verify": verifyOptions, "prune": pruneOptions, "abandon": abandonOptions,
		"choose": chooseOptions, "restore": restoreOptions, "record": recordOptions, "drill restore": drillRestoreOptions,
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, job.HeartbeatTimeout, o.HeartbeatTimeout)
			wait := workerWait
			if slices.Contains([]string{"copy", "verify", "drill restore"}, name) {
				wait = turnWait
			}
			assert.Equal(t, wait, o.ScheduleToStartTimeout)
			assert.Greater(t, o.ScheduleToCloseTimeout, wait)
			assert.Less(t, o.ScheduleToCloseTimeout, 23*time.Hour, "the run ends in good order")
			assert.Positive(t, o.StartToCloseTimeout)
			assert.Greater(t, o.ScheduleToCloseTimeout, o.StartToCloseTimeout)
			assert.Equal(t, name == "copy", o.RetryPolicy.MaximumAttempts == 0, "only a copy may be tried for ever")
			assert.Contains(t, o.RetryPolicy.NonRetryableErrorTypes, failure.BackupBad.Name)
			assert.NotContains(t, o.RetryPolicy.NonRetryableErrorTypes, failure.Busy.Name)
		})
	}
	assert.False(t, abandonOptions.WaitForCancellation)
}

// The steps that load the disks wait at the server, in a queue of their own; what
// proves a copy goes before the next copy.
func TestStepsThatTakeTurns(t *testing.T) {
	queues := map[string]string{}
	look := func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		queues[info.ActivityType.Name] = info.TaskQueue
	}
	e := newEnvironment(t)
	e.on("Checkpoint", job.CheckpointInput{Database: "shop"}, folded, nil)
	e.onCopy(1, "b1")
	e.onVerify("b1", nil)
	e.on("Prune", job.PruneInput{Database: "shop", Run: run}, pruned, nil)
	e.SetOnActivityStartedListener(look)
	e.ExecuteWorkflow(Backup, given[job.BackupInput]{in: in})
	require.NoError(t, e.GetWorkflowError())
	d := newEnvironment(t)
	d.on("Choose", job.ChooseInput{Database: "shop", Run: run, Drill: true}, job.ChooseResult{ID: "b1"}, nil)
	d.on("DrillRestore", job.DrillStepInput{Database: "shop", ID: "b1", Run: run}, job.DrillRestoreResult{}, nil)
	d.on("DrillVerify", job.DrillStepInput{Database: "shop", ID: "b1", Run: run}, job.DrillVerifyResult{}, nil)
	d.on("DrillRecord", job.DrillRecordInput{Database: "shop", ID: "b1", Run: run}, nil)
	d.SetOnActivityStartedListener(look)
	d.ExecuteWorkflow(Drill, given[job.DrillInput]{in: job.DrillInput{Database: "shop"}})
	require.NoError(t, d.GetWorkflowError())
	require.Subset(t, slices.Collect(maps.Keys(queues)), []string{"Checkpoint", "Copy", "Verify", "Prune", "Choose", "DrillRestore", "DrillVerify", "DrillRecord"})
	own := queues["Prune"]
	for name, queue := range queues {
		if job.TurnStep(name) == "" {
			assert.Equal(t, own, queue, name)
			continue
		}
		assert.Equal(t, job.Turns(own), queue, name)
	}
	assert.Equal(t, 2, verifyOptions.Priority.PriorityKey)
	assert.Zero(t, copyOptions.Priority, "which is 3")
	assert.Zero(t, drillRestoreOptions.Priority)
}

func TestATurnThatDoesNotCome(t *testing.T) {
	e := newEnvironment(t)
	e.on("Checkpoint", job.CheckpointInput{Database: "shop"}, folded, nil)
	e.OnActivity("Copy", mock.Anything, mock.Anything).Return(job.CopyResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)).Once()
	e.on("Abandon", job.AbandonInput{Database: "shop", Run: run}, nil)
	e.ExecuteWorkflow(Backup, given[job.BackupInput]{in: in})
	app := application(t, e.GetWorkflowError())
	assert.Equal(t, failure.NoWorker.Name, app.Type())
	assert.Contains(t, app.Message(), "copy of shop: its turn did not come in 20 hours: the host's worker does not run, or has more databases than it gets done")
	assert.Contains(t, app.Message(), "(copies)")
}
