package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// stoppable runs a workflow's body so that job.StopUpdate can end it as a
// cancellation would, with a reason. The update is answered when the body, its
// clean-up included, has ended.
func stoppable[R any](ctx workflow.Context, body func(workflow.Context) (R, error)) (R, error) {
	var none R
	inner, cancel := workflow.WithCancel(ctx)
	defer cancel()
	var asked, ended bool
	var reason, outcome string
	err := workflow.SetUpdateHandlerWithOptions(ctx, job.StopUpdate, func(ctx workflow.Context, in job.StopInput) (job.StopResult, error) {
		if !asked {
			asked, reason = true, in.Reason
			cancel()
		}
		ctx, disconnect := workflow.NewDisconnectedContext(ctx) // who asked is answered whatever else ends the run
		defer disconnect()
		err := workflow.Await(ctx, func() bool { return ended })
		return job.StopResult{Outcome: outcome}, err
	}, workflow.UpdateHandlerOptions{
		Description: "Stops the run, and removes what it had staged.",
		Validator: func(in job.StopInput) error {
			switch {
			case ended:
				return errors.New("the run has ended already")
			case len(in.Reason) > job.MaxStopReason:
				return fmt.Errorf("the reason has %d bytes, %d at most are taken", len(in.Reason), job.MaxStopReason)
			}
			return nil
		},
	})
	if err != nil {
		return none, fmt.Errorf("take the update %s: %w", job.StopUpdate, err)
	}
	result, err := body(inner)
	ended = true
	switch {
	case err == nil:
		outcome = "the run had done its work before it could be stopped"
	case asked && temporal.IsCanceledError(err):
		outcome = "stopped, and what it had staged is removed"
		err = stopped(reason, err)
	default:
		outcome = "the run failed by itself: " + err.Error()
	}
	// Ending without the answers would leave whoever asked without one.
	answering, disconnect := workflow.NewDisconnectedContext(ctx)
	defer disconnect()
	if await := workflow.Await(answering, func() bool { return workflow.AllHandlersFinished(ctx) }); await != nil {
		err = errors.Join(err, await)
	}
	return result, err
}

// stopped puts the reason in front of what the cancellation tells.
func stopped(reason string, err error) error {
	details := []any{"stopped: " + reason}
	if reason == "" {
		details = []any{"stopped"}
	}
	if more := stopReason(err); more != "" {
		details[0] = fmt.Sprintf("%s; %s", details[0], more)
	}
	return errors.Join(temporal.NewCanceledError(details...), err)
}

// stopReason is what a cancellation tells.
func stopReason(err error) string {
	var canceled *temporal.CanceledError
	var text string
	if errors.As(err, &canceled) && canceled.HasDetails() && canceled.Details(&text) == nil {
		return text
	}
	return ""
}
