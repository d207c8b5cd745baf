package workflows

import (
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// Restore puts a backup in place of a target that the worker's configuration
// names, on the worker's host. An interrupted restore leaves the target as it
// was, or as it is to be.
func Restore(ctx workflow.Context, g given[job.RestoreInput]) (job.RestoreResult, error) {
	in := g.in
	if err := refuse(ctx, "Restore", g.why, databaseName(in.Database), backupName(in.Backup), targetName(in.Target)); err != nil {
		return job.RestoreResult{}, err
	}
	s, err := begin(ctx, "Restore", in.Database)
	if err != nil {
		return job.RestoreResult{}, err
	}
	stop, err := heed(ctx)
	if err != nil {
		return job.RestoreResult{}, err
	}
	found := label(ctx, in.Database)
	result, err := stoppable(ctx, stop, func(ctx workflow.Context) (job.RestoreResult, error) { return restore(ctx, s, in) })
	s.end(ctx, err, "Backup `%s` is restored to **%s**, opened and compared with what it held.", result.ID, plain(result.Target))
	found.end(ctx, job.RunMemo{Outcome: "restored", Backup: result.ID, Bytes: result.Bytes}, err)
	return result, err
}

func restore(ctx workflow.Context, s *story, in job.RestoreInput) (job.RestoreResult, error) {
	// 1. Which backup is decided once, so that a retry restores the same one.
	chosen, err := choose(ctx, s, job.ChooseInput{Database: in.Database, Backup: in.Backup, At: in.At})
	if err != nil {
		return job.RestoreResult{}, err
	}

	// 2. It is put in place, opened and compared with what it held.
	var result job.RestoreResult
	at := s.step(ctx, restoreOptions, "restore")
	err = workflow.ExecuteActivity(at, steps.Restore, job.RestoreStepInput{
		Database: in.Database, ID: chosen.ID, Target: in.Target, KeepOld: in.KeepOld,
	}).Get(at, &result)
	s.done(ctx, err, "%s", restoredText(result.Bytes, result.Seconds))
	if err != nil {
		return job.RestoreResult{}, stepError("restore", in.Database, err)
	}
	s.Tables, s.Rows = result.Tables, result.Rows
	return result, nil
}

func choose(ctx workflow.Context, s *story, in job.ChooseInput) (chosen job.ChooseResult, err error) {
	at := s.step(ctx, chooseOptions, "choose a backup")
	err = workflow.ExecuteActivity(at, steps.Choose, in).Get(at, &chosen)
	s.done(ctx, err, "%s", chosenText(chosen))
	if err != nil {
		return chosen, stepError("choose a backup", in.Database, err)
	}
	s.Backup, s.State, s.Bytes = chosen.ID, chosen.State, chosen.Bytes
	return chosen, nil
}
