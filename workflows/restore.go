package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// Restore puts a backup in place of a target that the worker's configuration
// names, on the worker's host. An interrupted restore leaves the target as it
// was, or as it is to be.
func Restore(ctx workflow.Context, in job.RestoreInput) (job.RestoreResult, error) {
	// 1. Which backup is decided once, so that a retry restores the same one.
	chosen, err := choose(ctx, job.ChooseInput{Database: in.Database, Backup: in.Backup, At: in.At})
	if err != nil {
		return job.RestoreResult{}, err
	}

	// 2. It is put in place, opened and compared with what it held.
	var result job.RestoreResult
	at := step(ctx, restoreOptions, "restore", in.Database)
	err = workflow.ExecuteActivity(at, steps.Restore, job.RestoreStepInput{
		Database: in.Database, ID: chosen.ID, Target: in.Target, KeepOld: in.KeepOld,
	}).Get(at, &result)
	if err != nil {
		return job.RestoreResult{}, stepError("restore", in.Database, err)
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("Backup `%s` of %s, finished %s, is restored to %s.",
		result.ID, in.Database, chosen.Finished.UTC().Format("2006-01-02 15:04:05 UTC"), result.Target))
	return result, nil
}

func choose(ctx workflow.Context, in job.ChooseInput) (chosen job.ChooseResult, err error) {
	at := step(ctx, chooseOptions, "choose a backup", in.Database)
	if err := workflow.ExecuteActivity(at, steps.Choose, in).Get(at, &chosen); err != nil {
		return chosen, stepError("choose a backup", in.Database, err)
	}
	return chosen, nil
}
