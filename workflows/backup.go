package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// steps is only ever asked for its methods' names.
var steps *activities.Activities

// Backup takes one backup of a database: checkpoint, copy, verify, prune. A
// copy that does not verify is replaced by a fresh one, job.Rounds times in
// all; then the run fails as failure.BackupBad. What a run that does not end
// well had staged is removed.
//
// An error is a temporal application error whose type is the name of a
// failure.Kind, or a cancellation.
func Backup(ctx workflow.Context, g given[job.BackupInput]) (job.BackupResult, error) {
	in := g.in
	if err := refuse(ctx, "Backup", g.why, databaseName(in.Database)); err != nil {
		return job.BackupResult{}, err
	}
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	s, err := begin(ctx, "Backup", in.Database)
	if err != nil {
		return job.BackupResult{}, err
	}
	stop, err := heed(ctx)
	if err != nil {
		return job.BackupResult{}, err
	}
	told := announce(ctx, job.AnnounceBackup, in.Database)
	found := label(ctx, in.Database)
	result, err := stoppable(ctx, stop, func(ctx workflow.Context) (job.BackupResult, error) {
		result, err := backup(ctx, s, in.Database, run)
		if err != nil {
			return job.BackupResult{}, abandon(ctx, s, in.Database, run, err)
		}
		return result, nil
	})
	s.end(ctx, err, "%s", backupVerdict(result))
	found.end(ctx, job.RunMemo{Outcome: result.State, Backup: result.ID, Rule: result.Rule, Bytes: result.Bytes}, err)
	if err != nil {
		told.failed(ctx, err)
		return job.BackupResult{}, err
	}
	told.passed(ctx, result.ID, result.State, result.Reason)
	return result, nil
}

func backup(ctx workflow.Context, s *story, db, run string) (job.BackupResult, error) {
	began := workflow.Now(ctx)

	// 1. The owner folds its WAL, if it can be asked to.
	var checkpointed job.CheckpointResult
	at := s.step(ctx, checkpointOptions, "checkpoint")
	err := workflow.ExecuteActivity(at, steps.Checkpoint, job.CheckpointInput{Database: db}).Get(at, &checkpointed)
	s.done(ctx, err, "%s", checkpointText(checkpointed))
	if err != nil {
		return job.BackupResult{}, stepError("checkpoint", db, err)
	}

	// 2. and 3. A copy is made, and proved.
	copied, verified, err := copyAndVerify(ctx, s, db, run)
	if err != nil {
		return job.BackupResult{}, err
	}

	// 4. Only now, with a good backup there, older ones may go.
	var pruned job.PruneResult
	at = s.step(ctx, pruneOptions, "prune")
	err = workflow.ExecuteActivity(at, steps.Prune, job.PruneInput{Database: db, Run: run}).Get(at, &pruned)
	s.done(ctx, err, "%s", pruneText(pruned))
	if err != nil {
		return job.BackupResult{}, stepError(fmt.Sprintf("backup %s is %s, but prune", copied.ID, verified.State), db, err)
	}

	return job.BackupResult{
		ID:              copied.ID,
		Database:        db,
		State:           verified.State,
		Rule:            copied.Rule,
		Attempts:        copied.Attempts,
		Bytes:           copied.Bytes,
		Tables:          verified.Tables,
		Rows:            verified.Rows,
		Level:           verified.Level,
		Engine:          verified.Engine,
		Assertions:      verified.Assertions,
		Reason:          verified.Reason,
		CopySeconds:     copied.Seconds,
		DurationSeconds: workflow.Now(ctx).Sub(began).Seconds(),
		Checkpoint:      checkpointed,
		Pruned:          append([]job.Decision{}, pruned.Removed...),
	}, nil
}

func copyAndVerify(ctx workflow.Context, s *story, db, run string) (copied job.CopyResult, verified job.VerifyResult, err error) {
	for round := 1; ; round++ {
		at := s.step(ctx, inTurn(ctx, copyOptions), "copy")
		err = workflow.ExecuteActivity(at, steps.Copy, job.CopyInput{Database: db, Run: run, Round: round}).Get(at, &copied)
		s.done(ctx, err, "%s", copyText(copied))
		if err != nil {
			return copied, verified, stepError("copy", db, err)
		}
		s.Backup, s.Rule, s.Attempts, s.Bytes = copied.ID, copied.Rule, copied.Attempts, copied.Bytes
		at = s.step(ctx, inTurn(ctx, verifyOptions), "verify")
		err = workflow.ExecuteActivity(at, steps.Verify, job.VerifyInput{Database: db, ID: copied.ID, Run: run}).Get(at, &verified)
		s.done(ctx, err, "%s", verifyText(verified))
		switch {
		case err == nil:
			s.State, s.Tables, s.Rows = verified.State, verified.Tables, verified.Rows
			return copied, verified, nil
		case !hasType(err, failure.BackupBad.Name):
			return copied, verified, stepError("verify", db, err)
		case round == job.Rounds:
			return copied, verified, stepError(fmt.Sprintf("%d copies in a row are bad, the last one is %s: verify", round, copied.ID), db, err)
		}
		workflow.GetLogger(ctx).Warn("A copy is bad, taking a fresh one", "database", db, "backup", copied.ID, "error", err)
	}
}

// abandon removes what the run had staged, also when the run is being
// cancelled, and returns why the run failed together with what went wrong here.
func abandon(ctx workflow.Context, s *story, db, run string, why error) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	at := s.step(ctx, abandonOptions, "abandon")
	err := workflow.ExecuteActivity(at, steps.Abandon, job.AbandonInput{Database: db, Run: run}).Get(at, nil)
	s.done(ctx, err, "what the run had staged is removed")
	if err == nil {
		return why
	}
	return joinErrors(why, stepError("abandon", db, err))
}
