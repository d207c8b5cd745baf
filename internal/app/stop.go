package app

import (
	"context"

	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
)

// Cancel asks a run to stop. Its steps put down what they are doing, and what
// it had staged is removed; Follow tells when that is done.
func Cancel(ctx context.Context, c client.Client, r Run) error {
	return gone(c.CancelWorkflow(ctx, r.WorkflowID, r.RunID))
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
