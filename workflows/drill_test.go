package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

var (
	finished  = time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	chosen    = job.ChooseResult{ID: "b1", State: "verified", Finished: finished, Bytes: 4096}
	drillStep = job.DrillStepInput{Database: "shop", ID: "b1", Run: run}
	restored  = job.DrillRestoreResult{Bytes: 4096, Seconds: 2}
	proved    = job.DrillVerifyResult{Level: "assert", Engine: "v1.5.6", Tables: 3, Rows: 12, Assertions: 1, Seconds: 1.5}
)

func (e *environment) onChoose(in job.ChooseInput, err error) {
	result := chosen
	if err != nil {
		result = job.ChooseResult{}
	}
	e.on("Choose", in, result, err)
}

func drillChoose(backup string) job.ChooseInput {
	return job.ChooseInput{Database: "shop", Backup: backup, Run: run, Drill: true}
}

func (e *environment) onRecord(d job.DrillRecordInput, err error) {
	d.Database, d.Run = "shop", run
	e.on("DrillRecord", d, err)
}

func (e *environment) drill(t *testing.T, in job.DrillInput) (job.DrillResult, error) {
	e.ExecuteWorkflow(Drill, given[job.DrillInput]{in: in})
	require.True(t, e.IsWorkflowCompleted())
	var result job.DrillResult
	err := e.GetWorkflowError()
	if err == nil {
		require.NoError(t, e.GetWorkflowResult(&result))
	}
	return result, err
}

func TestDrillPasses(t *testing.T) {
	e := newEnvironment(t)
	e.onChoose(drillChoose("random"), nil)
	e.on("DrillRestore", drillStep, restored, nil)
	e.on("DrillVerify", drillStep, proved, nil)
	e.onRecord(job.DrillRecordInput{ID: "b1", Restored: restored, Verified: proved}, nil)
	result, err := e.drill(t, job.DrillInput{Database: "shop", Backup: "random"})
	require.NoError(t, err)
	assert.Equal(t, []string{"Choose", "DrillRestore", "DrillVerify", "DrillRecord"}, e.order)
	assert.Equal(t, job.DrillResult{
		ID: "b1", Database: "shop", Level: "assert", Engine: "v1.5.6", Bytes: 4096, RestoreSeconds: 2, BytesPerSecond: 2048,
		VerifySeconds: 1.5, Tables: 3, Rows: 12, Assertions: 1,
	}, result)
}

func TestDrillFails(t *testing.T) {
	const blamed = "drill: prove backup b1 of shop: backup b1: block 7 is wrong"
	hint := job.HintMark + failure.DrillFailed.Hint
	tests := []struct {
		name  string
		on    func(e *environment)
		order []string
		kind  string
		text  string
	}{
		{"there is no backup, and nothing is recorded", func(e *environment) {
			e.onChoose(drillChoose(""), temporal.NewNonRetryableApplicationError("no verified backup", failure.UnknownBackup.Name, nil))
		}, []string{"Choose"}, "UnknownBackup", "choose a backup of shop: no verified backup"},
		{"the disk is full, which does not blame the backup", func(e *environment) {
			e.onChoose(drillChoose(""), nil)
			e.on("DrillRestore", drillStep, job.DrillRestoreResult{}, fullError)
			e.onRecord(job.DrillRecordInput{ID: "b1", Failure: "drill: restore backup b1 of shop: the disk is full"}, nil)
		}, []string{"Choose", "DrillRestore", "DrillRecord"}, "RepoFull", "drill: restore backup b1 of shop: the disk is full"},
		{"the restored copy is bad", func(e *environment) {
			e.onChoose(drillChoose(""), nil)
			e.on("DrillRestore", drillStep, restored, nil)
			e.on("DrillVerify", drillStep, job.DrillVerifyResult{}, badError)
			e.onRecord(job.DrillRecordInput{ID: "b1", Restored: restored, Failure: blamed}, nil)
		}, []string{"Choose", "DrillRestore", "DrillVerify", "DrillRecord"}, "DrillFailed", blamed + hint},
		{"the restored copy is bad, and that cannot be recorded", func(e *environment) {
			e.onChoose(drillChoose(""), nil)
			e.on("DrillRestore", drillStep, restored, nil)
			e.on("DrillVerify", drillStep, job.DrillVerifyResult{}, badError)
			e.onRecord(job.DrillRecordInput{ID: "b1", Restored: restored, Failure: blamed}, fullError)
		}, []string{"Choose", "DrillRestore", "DrillVerify", "DrillRecord"}, "DrillFailed",
			"drill: prove backup b1 of shop: backup b1: block 7 is wrong\nalso: record the drill of shop: the disk is full" + hint},
		{"all is well but cannot be recorded", func(e *environment) {
			e.onChoose(drillChoose(""), nil)
			e.on("DrillRestore", drillStep, restored, nil)
			e.on("DrillVerify", drillStep, proved, nil)
			e.onRecord(job.DrillRecordInput{ID: "b1", Restored: restored, Verified: proved}, fullError)
		}, []string{"Choose", "DrillRestore", "DrillVerify", "DrillRecord"}, "RepoFull",
			"the drill passed, but its record of shop: the disk is full"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnvironment(t)
			tt.on(e)
			_, err := e.drill(t, job.DrillInput{Database: "shop"})
			app := application(t, err)
			assert.Equal(t, tt.kind, app.Type())
			assert.Equal(t, tt.text, app.Message())
			assert.Equal(t, tt.order, e.order)
		})
	}
}

// A drill that is cancelled leaves no evidence, and no files.
func TestDrillIsCancelled(t *testing.T) {
	e := newEnvironment(t)
	e.onChoose(drillChoose(""), nil)
	e.OnActivity("DrillRestore", mock.Anything, drillStep).Once().
		After(time.Hour).Return(job.DrillRestoreResult{}, temporal.NewCanceledError())
	e.onRecord(job.DrillRecordInput{ID: ""}, nil)
	e.RegisterDelayedCallback(e.CancelWorkflow, time.Minute)
	_, err := e.drill(t, job.DrillInput{Database: "shop"})
	require.True(t, temporal.IsCanceledError(err), "%v", err)
	assert.Contains(t, e.order, "DrillRecord")
}

func TestRestore(t *testing.T) {
	at := finished.Add(time.Hour)
	in := job.RestoreInput{Database: "shop", At: &at, Target: "spare", KeepOld: true}
	stepIn := job.RestoreStepInput{Database: "shop", ID: "b1", Target: "spare", KeepOld: true}
	answer := job.RestoreResult{ID: "b1", Database: "shop", Target: "spare", Path: "/srv/spare.duckdb", Bytes: 4096}

	t.Run("the chosen backup is put in place", func(t *testing.T) {
		e := newEnvironment(t)
		e.onChoose(job.ChooseInput{Database: "shop", At: &at}, nil)
		e.on("Restore", stepIn, answer, nil)
		e.ExecuteWorkflow(Restore, given[job.RestoreInput]{in: in})
		var result job.RestoreResult
		require.NoError(t, e.GetWorkflowResult(&result))
		assert.Equal(t, answer, result)
	})
	t.Run("the target is in use", func(t *testing.T) {
		e := newEnvironment(t)
		e.onChoose(job.ChooseInput{Database: "shop", At: &at}, nil)
		e.on("Restore", stepIn, job.RestoreResult{}, temporal.NewNonRetryableApplicationError("process 7 has it open", failure.TargetInUse.Name, nil))
		e.ExecuteWorkflow(Restore, given[job.RestoreInput]{in: in})
		app := application(t, e.GetWorkflowError())
		assert.Equal(t, "TargetInUse", app.Type())
		assert.Equal(t, "restore of shop: process 7 has it open", app.Message())
	})
	t.Run("a worker that dies is followed by another attempt on the same backup", func(t *testing.T) {
		e := newEnvironment(t)
		e.onChoose(job.ChooseInput{Database: "shop", At: &at}, nil)
		e.on("Restore", stepIn, job.RestoreResult{}, temporal.NewApplicationError("the worker is being stopped", job.WorkerStopping, nil))
		e.on("Restore", stepIn, answer, nil)
		e.ExecuteWorkflow(Restore, given[job.RestoreInput]{in: in})
		require.NoError(t, e.GetWorkflowError())
		assert.Equal(t, []string{"Choose", "Restore", "Restore"}, e.order)
	})
}
