package workflows

import (
	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/job"
)

// host is only ever asked for its method's name.
var host *activities.Host

// Host keeps the pulse of a host's worker: one activity without end, whose
// heartbeat is what the worker says of itself. While no worker is there it stays
// pending, with the last word of the one that was. A run lasts a day, so that the
// workflow's code of a new release is in use a day later at most.
func Host(ctx workflow.Context, in job.PulseInput) error {
	at := workflow.WithActivityOptions(ctx, pulseOptions)
	if err := workflow.ExecuteActivity(at, host.Pulse, in).Get(at, nil); err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, job.HostWorkflow, in)
}
