package workflows

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// Drill proves that a backup can be restored: it restores one to a scratch
// directory, lets the engine read it, and records beside the backup how it went
// and how long it took. A drill that fails is recorded too, and its run fails:
// as failure.DrillFailed where the backup is to blame, else as what stopped it.
func Drill(ctx workflow.Context, in job.DrillInput) (job.DrillResult, error) {
	told := announce(ctx, job.AnnounceDrill, in.Database)
	result, err := drill(ctx, in)
	if err != nil {
		told.failed(ctx, err)
		return job.DrillResult{}, err
	}
	told.passed(ctx, result.ID, "", "")
	return result, nil
}

func drill(ctx workflow.Context, in job.DrillInput) (job.DrillResult, error) {
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID

	// 1. Which backup is decided once.
	chosen, err := choose(ctx, job.ChooseInput{Database: in.Database, Backup: in.Backup, Run: run, Drill: true})
	if err != nil {
		return job.DrillResult{}, err
	}

	// 2. and 3. It is restored, and what was restored is proved.
	outcome := job.DrillRecordInput{Database: in.Database, Run: run, ID: chosen.ID}
	err = restoreAndProve(ctx, &outcome)

	// 4. The evidence is kept, whatever it is, and the restored files go.
	if err := record(ctx, outcome, err); err != nil {
		return job.DrillResult{}, err
	}
	result := outcome.Result()
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Backup `%s` of %s was restored in %.1f s (%.0f MB/s) and proved: %d tables, %d rows, %d assertions.",
		result.ID, in.Database, result.RestoreSeconds, result.BytesPerSecond/1e6, result.Tables, result.Rows, result.Assertions))
	return result, nil
}

func restoreAndProve(ctx workflow.Context, d *job.DrillRecordInput) error {
	in := job.DrillStepInput{Database: d.Database, ID: d.ID, Run: d.Run}
	at := step(ctx, restoreOptions, "restore to scratch", d.Database)
	if err := workflow.ExecuteActivity(at, steps.DrillRestore, in).Get(at, &d.Restored); err != nil {
		return drillError("restore", d, err)
	}
	at = step(ctx, verifyOptions, "prove the restored copy", d.Database)
	if err := workflow.ExecuteActivity(at, steps.DrillVerify, in).Get(at, &d.Verified); err != nil {
		return drillError("prove", d, err)
	}
	return nil
}

// drillError blames the backup where the step did.
func drillError(what string, d *job.DrillRecordInput, err error) error {
	err = stepError(fmt.Sprintf("drill: %s backup %s", what, d.ID), d.Database, err)
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == failure.BackupBad.Name {
		return temporal.NewNonRetryableApplicationError(withHint(app.Message(), failure.DrillFailed.Hint), failure.DrillFailed.Name, err)
	}
	return err
}

// record notes how the drill went, also while the run is being cancelled: then
// only the scratch directory goes. It returns why the drill failed together
// with what went wrong here.
func record(ctx workflow.Context, outcome job.DrillRecordInput, why error) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	switch {
	case temporal.IsCanceledError(why):
		outcome.ID = ""
	case why != nil:
		_, message := describe(why)
		outcome.Failure, _, _ = strings.Cut(message, job.HintMark)
	}
	at := step(ctx, recordOptions, "record the drill", outcome.Database)
	err := workflow.ExecuteActivity(at, steps.DrillRecord, outcome).Get(at, nil)
	switch {
	case err == nil:
		return why
	case why == nil:
		return stepError("the drill passed, but its record", outcome.Database, err)
	}
	return joinErrors(why, stepError("record the drill", outcome.Database, err))
}
