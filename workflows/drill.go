package workflows

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/human"
	"canvasback/internal/job"
)

// Drill proves that a backup can be restored: it restores one to a scratch
// directory, lets the engine read it, and records beside the backup how it went
// and how long it took. A drill that fails is recorded too, and its run fails:
// as failure.DrillFailed where the backup is to blame, else as what stopped it.
func Drill(ctx workflow.Context, g given[job.DrillInput]) (job.DrillResult, error) {
	in := g.in
	if err := refuse(ctx, "Restore drill", g.why, databaseName(in.Database), backupName(in.Backup)); err != nil {
		return job.DrillResult{}, err
	}
	s, err := begin(ctx, "Restore drill", in.Database)
	if err != nil {
		return job.DrillResult{}, err
	}
	stop, err := heed(ctx)
	if err != nil {
		return job.DrillResult{}, err
	}
	told := announce(ctx, job.AnnounceDrill, in.Database)
	found := label(ctx, in.Database)
	result, err := stoppable(ctx, stop, func(ctx workflow.Context) (job.DrillResult, error) { return drill(ctx, s, in) })
	s.end(ctx, err, "Backup `%s` was restored in %s and **proved**.", result.ID, human.Seconds(result.RestoreSeconds))
	found.end(ctx, job.RunMemo{Outcome: "passed", Backup: result.ID, Bytes: result.Bytes}, err)
	if err != nil {
		told.failed(ctx, err)
		return job.DrillResult{}, err
	}
	told.passed(ctx, result.ID, "", "")
	return result, nil
}

func drill(ctx workflow.Context, s *story, in job.DrillInput) (job.DrillResult, error) {
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID

	// 1. Which backup is decided once.
	chosen, err := choose(ctx, s, job.ChooseInput{Database: in.Database, Backup: in.Backup, Run: run, Drill: true})
	if err != nil {
		return job.DrillResult{}, err
	}

	// 2. and 3. It is restored, and what was restored is proved.
	outcome := job.DrillRecordInput{Database: in.Database, Run: run, ID: chosen.ID}
	err = restoreAndProve(ctx, s, &outcome)

	// 4. The evidence is kept, whatever it is, and the restored files go.
	if err := record(ctx, s, outcome, err); err != nil {
		return job.DrillResult{}, err
	}
	return outcome.Result(), nil
}

func restoreAndProve(ctx workflow.Context, s *story, d *job.DrillRecordInput) error {
	in := job.DrillStepInput{Database: d.Database, ID: d.ID, Run: d.Run}
	at := s.step(ctx, inTurn(ctx, drillRestoreOptions), "restore to scratch")
	err := workflow.ExecuteActivity(at, steps.DrillRestore, in).Get(at, &d.Restored)
	s.done(ctx, err, "%s", restoredText(d.Restored.Bytes, d.Restored.Seconds))
	if err != nil {
		return drillError("restore", d, err)
	}
	at = s.step(ctx, inTurn(ctx, verifyOptions), "prove the restored copy")
	err = workflow.ExecuteActivity(at, steps.DrillVerify, in).Get(at, &d.Verified)
	s.done(ctx, err, "%s", readText(d.Verified.Level, d.Verified.Engine, d.Verified.Tables, d.Verified.Rows, d.Verified.Assertions))
	if err != nil {
		return drillError("prove", d, err)
	}
	s.Tables, s.Rows = d.Verified.Tables, d.Verified.Rows
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
func record(ctx workflow.Context, s *story, outcome job.DrillRecordInput, why error) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	switch {
	case temporal.IsCanceledError(why):
		outcome.ID = ""
	case why != nil:
		_, message := describe(why)
		outcome.Failure, _, _ = strings.Cut(message, job.HintMark)
	}
	at := s.step(ctx, recordOptions, "record the drill")
	err := workflow.ExecuteActivity(at, steps.DrillRecord, outcome).Get(at, nil)
	s.done(ctx, err, "%s", recordText(outcome.ID))
	switch {
	case err == nil:
		return why
	case why == nil:
		return stepError("the drill passed, but its record", outcome.Database, err)
	}
	return joinErrors(why, stepError("record the drill", outcome.Database, err))
}
