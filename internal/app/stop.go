package app

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// takenWithin is how long a run may take to say that it will stop: its worker has
// to load it first.
const takenWithin = 15 * time.Second

// Stop asks a run to stop, and says why in what people read of it. Its steps put
// down what they are doing, and what it had staged is removed; Follow tells when
// that is done. A run that does not take the request, as one that an older
// worker began, is cancelled, without a reason.
func Stop(ctx context.Context, c client.Client, r Run, reason string) error {
	asking, cancel := context.WithTimeout(ctx, takenWithin)
	defer cancel()
	asked, err := c.UpdateWorkflow(asking, client.UpdateWorkflowOptions{
		WorkflowID: r.WorkflowID, RunID: r.RunID, UpdateName: job.StopUpdate,
		Args: []any{job.StopInput{Reason: reason}}, WaitForStage: client.WorkflowUpdateStageAccepted,
	})
	if ctx.Err() != nil {
		return err
	}
	if err == nil && !refused(ctx, asked) {
		return nil
	}
	return gone(c.CancelWorkflow(ctx, r.WorkflowID, r.RunID))
}

// refused says whether the run has refused an update. That is no error of sending
// it: a refusal counts as its outcome, which is there at once.
func refused(ctx context.Context, update client.WorkflowUpdateHandle) bool {
	ctx, cancel := context.WithCancel(ctx)
	cancel() // do not wait for any other outcome
	var app *temporal.ApplicationError
	return errors.As(update.Get(ctx, nil), &app)
}

// Terminate ends a run at once; what it had staged is swept by a later one.
func Terminate(ctx context.Context, c client.Client, r Run, why string) error {
	return gone(c.TerminateWorkflow(ctx, r.WorkflowID, r.RunID, why))
}

// gone takes a run that has ended meanwhile for stopped.
func gone(err error) error {
	if isNotFound(err) {
		return nil
	}
	return Unreachable(err)
}

// StopCron ends the cron workflow of a database, whichever of its runs is the
// present one, and says whether there was one. A run at work is to be stopped
// first.
func StopCron(ctx context.Context, c client.Client, database string) (bool, error) {
	cron, err := DescribeCron(ctx, c, database)
	if err != nil || cron == nil {
		return false, err
	}
	if !cron.Waiting {
		return false, failure.Errorf(failure.Busy, "a run of the cron workflow of %s is at work", database)
	}
	// The run that waits now is the only one there is.
	return true, Terminate(ctx, c, cron.Run, "the cron workflow was stopped")
}
