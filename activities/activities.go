// Package activities are the steps of a backup as Temporal calls them. Each
// unpacks its input, lets the runner do the step under a heartbeat, and gives
// its failure the type that the workflow and the starter know it by. What the
// steps do is in package backup.
package activities

import (
	"context"

	"canvasback/internal/job"
)

// Backuper does the steps. Each call returns soon after its context ends, with
// what it was doing safely put down for the next attempt of the same run.
type Backuper interface {
	Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error)
	Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error)
	Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error)
	Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error)
	Abandon(ctx context.Context, in job.AbandonInput) error
}

// Activities are registered with a worker. They are safe for concurrent use.
type Activities struct {
	Runner Backuper
	slots  chan struct{} // one for each copy or verification at once
}

// New makes activities that copy or verify at most copies databases at a time.
func New(runner Backuper, copies int) *Activities {
	return &Activities{Runner: runner, slots: make(chan struct{}, max(copies, 1))}
}

// Checkpoint asks the owner of the database to fold its WAL.
func (a *Activities) Checkpoint(ctx context.Context, in job.CheckpointInput) (job.CheckpointResult, error) {
	s := begin(ctx, "checkpoint")
	defer s.end()
	result, err := a.Runner.Checkpoint(s.ctx, in.Database)
	return result, s.outcome(err)
}

// Copy makes the copy of the run, or goes on with it.
func (a *Activities) Copy(ctx context.Context, in job.CopyInput) (job.CopyResult, error) {
	s := begin(ctx, "copy")
	defer s.end()
	release, err := a.slot(s)
	if err != nil {
		return job.CopyResult{}, s.outcome(err)
	}
	defer release()
	result, err := a.Runner.Copy(s.ctx, in, s.progress)
	return result, s.outcome(err)
}

// Verify proves the copy, or fails as failure.BackupBad.
func (a *Activities) Verify(ctx context.Context, in job.VerifyInput) (job.VerifyResult, error) {
	s := begin(ctx, "verify")
	defer s.end()
	release, err := a.slot(s)
	if err != nil {
		return job.VerifyResult{}, s.outcome(err)
	}
	defer release()
	result, err := a.Runner.Verify(s.ctx, in, s.progress)
	return result, s.outcome(err)
}

// Prune applies the retention policy.
func (a *Activities) Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error) {
	s := begin(ctx, "prune")
	defer s.end()
	result, err := a.Runner.Prune(s.ctx, in)
	return result, s.outcome(err)
}

// Abandon removes what the run had staged.
func (a *Activities) Abandon(ctx context.Context, in job.AbandonInput) error {
	s := begin(ctx, "abandon")
	defer s.end()
	return s.outcome(a.Runner.Abandon(s.ctx, in))
}

// slot waits for a turn to load the disks. The heartbeat goes on meanwhile.
func (a *Activities) slot(s *step) (release func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	default:
	}
	s.progress(job.Progress{Step: s.name, Phase: "waiting for another database's backup"})
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
}
