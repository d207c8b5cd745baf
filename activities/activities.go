// Package activities are the steps of a backup as Temporal calls them. Each
// unpacks its input, lets the runner do the step under a heartbeat, and gives
// its failure the type that the workflow and the starter know it by. What the
// steps do is in package backup.
package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"canvasback/internal/job"
)

// Steps does the work of the activities. Each call returns soon after its context ends, with
// what it was doing safely put down for the next attempt of the same run.
type Steps interface {
	Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error)
	Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error)
	Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error)
	Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error)
	Abandon(ctx context.Context, in job.AbandonInput) error

	Choose(ctx context.Context, in job.ChooseInput) (job.ChooseResult, error)
	Restore(ctx context.Context, in job.RestoreStepInput, progress func(job.Progress)) (job.RestoreResult, error)
	DrillRestore(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillRestoreResult, error)
	DrillVerify(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillVerifyResult, error)
	DrillRecord(ctx context.Context, in job.DrillRecordInput) error
}

// Activities are registered with a worker. They are safe for concurrent use.
type Activities struct {
	Runner    Steps
	Announcer Announcer     // nil: nobody is told
	slots     chan struct{} // one for each copy or verification at once
}

// New makes activities that copy or verify at most copies databases at a time,
// whoever hands out the steps. Where the server does, from the queue job.Turns,
// nobody waits here.
func New(runner Steps, copies int) *Activities {
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
	result, err := inTurn(a, ctx, "copy", in, a.Runner.Copy)
	result.Tries = int(activity.GetInfo(ctx).Attempt)
	return result, err
}

// Verify proves the copy, or fails as failure.BackupBad.
func (a *Activities) Verify(ctx context.Context, in job.VerifyInput) (job.VerifyResult, error) {
	return inTurn(a, ctx, "verify", in, a.Runner.Verify)
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

// Choose says which backup a restore or a drill takes.
func (a *Activities) Choose(ctx context.Context, in job.ChooseInput) (job.ChooseResult, error) {
	s := begin(ctx, "choose")
	defer s.end()
	result, err := a.Runner.Choose(s.ctx, in)
	return result, s.outcome(err)
}

// Restore puts a backup in place of a configured target. It does not wait for a
// slot: whoever restores has waited enough.
func (a *Activities) Restore(ctx context.Context, in job.RestoreStepInput) (job.RestoreResult, error) {
	s := begin(ctx, "restore")
	defer s.end()
	result, err := a.Runner.Restore(s.ctx, in, s.progress)
	return result, s.outcome(err)
}

// DrillRestore restores a backup to the scratch directory of the drill.
func (a *Activities) DrillRestore(ctx context.Context, in job.DrillStepInput) (job.DrillRestoreResult, error) {
	return inTurn(a, ctx, "drill restore", in, a.Runner.DrillRestore)
}

// DrillVerify proves what DrillRestore made, or fails as failure.BackupBad.
func (a *Activities) DrillVerify(ctx context.Context, in job.DrillStepInput) (job.DrillVerifyResult, error) {
	return inTurn(a, ctx, "drill verify", in, a.Runner.DrillVerify)
}

// DrillRecord keeps the evidence of the drill and removes what it restored.
func (a *Activities) DrillRecord(ctx context.Context, in job.DrillRecordInput) error {
	s := begin(ctx, "drill record")
	defer s.end()
	return s.outcome(a.Runner.DrillRecord(s.ctx, in))
}

// inTurn runs a step that loads the disks, when its turn has come.
func inTurn[In, Out any](a *Activities, ctx context.Context, name string, in In, do func(context.Context, In, func(job.Progress)) (Out, error)) (Out, error) {
	s := begin(ctx, name)
	defer s.end()
	release, err := a.slot(s)
	if err != nil {
		var none Out
		return none, s.outcome(err)
	}
	defer release()
	result, err := do(s.ctx, in, s.progress)
	return result, s.outcome(err)
}

// slot waits for a turn to load the disks, in the order of those that came: so do
// senders on a channel. The heartbeat goes on meanwhile.
func (a *Activities) slot(s *step) (release func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	default:
	}
	s.progress(job.Progress{Step: s.name, Phase: job.WaitingPhase})
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
}
