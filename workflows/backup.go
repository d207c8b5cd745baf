package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/job"
)

// Backup takes one backup of the named database. A copy that does not verify is
// set aside and made again, job.Rounds times at most; then the run fails with
// an application error of type BackupBad. A run that fails or is cancelled
// leaves nothing staged. Nothing is pruned unless the new backup passed.
func Backup(ctx workflow.Context, in job.BackupInput) (job.BackupResult, error) {
	res, err := backup(ctx, in)
	if err != nil {
		return job.BackupResult{}, verdict(ctx, err, abandon(ctx, in))
	}
	return res, nil
}

func backup(ctx workflow.Context, in job.BackupInput) (job.BackupResult, error) {
	var a *activities.Activities
	start := workflow.Now(ctx)
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	res := job.BackupResult{Database: in.Database, Pruned: []job.Decision{}}

	// 1. Checkpoint: less WAL to copy along, if the owner can be asked.
	say(ctx, "Asking the owner of **%s** to fold its WAL.", in.Database)
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, CheckpointOptions), a.Checkpoint,
		job.CheckpointInput{Database: in.Database}).Get(ctx, &res.Checkpoint)
	if err != nil {
		return res, err
	}

	// 2. Copy and 3. verify.
	var made job.CopyResult
	var seen job.VerifyResult
	for round := 1; ; round++ {
		say(ctx, "Copying **%s**.", in.Database)
		err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, CopyOptions), a.Copy,
			job.CopyInput{Database: in.Database, Run: run, Round: round}).Get(ctx, &made)
		if err != nil {
			return res, err
		}
		say(ctx, "Verifying **%s**: %d bytes, accepted by rule %s in attempt %d.", made.ID, made.Bytes, made.Rule, made.Attempts)
		err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, VerifyOptions), a.Verify,
			job.VerifyInput{Database: in.Database, ID: made.ID, Run: run}).Get(ctx, &seen)
		if err == nil {
			break
		}
		if !isBad(err) || round == job.Rounds {
			return res, err
		}
		workflow.GetLogger(ctx).Warn("the copy did not verify, making another", "backup", made.ID, "round", round)
	}

	// 4. Prune.
	say(ctx, "**%s** is %s: %d tables, %d rows. Pruning.", made.ID, seen.State, seen.Tables, seen.Rows)
	var pruned job.PruneResult
	err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, PruneOptions), a.Prune,
		job.PruneInput{Database: in.Database, Run: run}).Get(ctx, &pruned)
	if err != nil {
		return res, err
	}
	res.ID, res.State, res.Rule, res.Attempts, res.Bytes = made.ID, seen.State, made.Rule, made.Attempts, made.Bytes
	res.Tables, res.Rows, res.CopySeconds, res.Pruned = seen.Tables, seen.Rows, made.Seconds, pruned.Removed
	res.DurationSeconds = workflow.Now(ctx).Sub(start).Seconds()
	say(ctx, "**%s** is %s: %d bytes, %d tables, %d rows, rule %s; %d older backups removed.",
		made.ID, seen.State, made.Bytes, seen.Tables, seen.Rows, made.Rule, len(pruned.Removed))
	return res, nil
}

// abandon cleans up after a run that failed or was cancelled.
func abandon(ctx workflow.Context, in job.BackupInput) error {
	var a *activities.Activities
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, AbandonOptions), a.Abandon,
		job.AbandonInput{Database: in.Database, Run: workflow.GetInfo(ctx).WorkflowExecution.RunID}).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Error("the run's staged files could not be removed", "error", err)
	}
	return err
}

func say(ctx workflow.Context, format string, args ...any) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf(format, args...))
}
