// Package activities are the steps of a backup as Temporal sees them: each
// unpacks its input, calls one function of the engine room, heartbeats while it
// runs, and maps its error through one table.
package activities

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"canvasback/internal/job"
)

// Runner does the work; *backup.Runner is one.
type Runner interface {
	Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error)
	Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error)
	Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error)
	Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error)
	Abandon(ctx context.Context, in job.AbandonInput) error
}

// Activities are registered as one struct; the methods' names are the
// activities' names.
type Activities struct {
	runner Runner
	copies chan struct{} // one place for each copy at once
}

// New returns activities that run at most copies copies at once.
func New(runner Runner, copies int) *Activities {
	return &Activities{runner: runner, copies: make(chan struct{}, max(1, copies))}
}

// Checkpoint asks the owner of the database to fold its WAL.
func (a *Activities) Checkpoint(ctx context.Context, in job.CheckpointInput) (job.CheckpointResult, error) {
	return step(ctx, "checkpoint", func(ctx context.Context, _ func(job.Progress)) (job.CheckpointResult, error) {
		return a.runner.Checkpoint(ctx, in.Database)
	})
}

// Copy makes the copy, resuming what an earlier attempt left.
func (a *Activities) Copy(ctx context.Context, in job.CopyInput) (job.CopyResult, error) {
	return step(ctx, "copy", func(ctx context.Context, progress func(job.Progress)) (job.CopyResult, error) {
		select {
		case a.copies <- struct{}{}:
		case <-ctx.Done():
			return job.CopyResult{}, context.Cause(ctx)
		}
		defer func() { <-a.copies }()
		return a.runner.Copy(ctx, in, progress)
	})
}

// Verify checks the copy.
func (a *Activities) Verify(ctx context.Context, in job.VerifyInput) (job.VerifyResult, error) {
	return step(ctx, "verify", func(ctx context.Context, progress func(job.Progress)) (job.VerifyResult, error) {
		return a.runner.Verify(ctx, in, progress)
	})
}

// Prune applies the retention policy.
func (a *Activities) Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error) {
	return step(ctx, "prune", func(ctx context.Context, _ func(job.Progress)) (job.PruneResult, error) {
		return a.runner.Prune(ctx, in)
	})
}

// Abandon removes what a failed or cancelled run had staged.
func (a *Activities) Abandon(ctx context.Context, in job.AbandonInput) error {
	_, err := step(ctx, "abandon", func(ctx context.Context, _ func(job.Progress)) (struct{}, error) {
		return struct{}{}, a.runner.Abandon(ctx, in)
	})
	return err
}

// errStopping is the cause of a step's end when its worker stops.
var errStopping = errors.New("the worker is stopping; the step goes on when it is back")

// step runs work with a heartbeat and stops it when the worker does.
func step[T any](ctx context.Context, name string, work func(context.Context, func(job.Progress)) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var last atomic.Pointer[job.Progress]
	last.Store(&job.Progress{Step: name, Phase: "waiting", Attempt: int(activity.GetInfo(ctx).Attempt), At: time.Now().UTC()})
	done := make(chan struct{})
	beaten := make(chan struct{})
	go func() {
		defer close(beaten)
		beat(ctx, cancel, &last, done)
	}()
	res, err := work(ctx, func(p job.Progress) { last.Store(&p) })
	close(done)
	<-beaten
	if err == nil {
		return res, nil
	}
	var none T
	return none, applicationError(ctx, fmt.Errorf("%s: %w", name, err))
}

// beat records the newest progress every few seconds until done. A cancelled
// activity learns of it through its heartbeat.
func beat(ctx context.Context, cancel context.CancelCauseFunc, last *atomic.Pointer[job.Progress], done <-chan struct{}) {
	interval := 2 * time.Second
	if t := activity.GetInfo(ctx).HeartbeatTimeout; t > 0 {
		interval = min(interval, t/3)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	stop := activity.GetWorkerStopChannel(ctx)
	for {
		activity.RecordHeartbeat(ctx, *last.Load())
		select {
		case <-tick.C:
		case <-stop:
			cancel(errStopping)
			stop = nil
		case <-done:
			return
		}
	}
}
