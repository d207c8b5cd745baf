package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// stopper lets job.StopUpdate end a run's body as a cancellation would, with a
// reason.
type stopper struct {
	cancelled       workflow.Context // that of the body
	cancel          workflow.CancelFunc
	asked, ended    bool
	reason, outcome string
}

// heed takes the update from now on. It comes before all that waits: the update
// may be in the run's first task, and is refused there while nobody takes it.
func heed(ctx workflow.Context) (*stopper, error) {
	s := &stopper{}
	s.cancelled, s.cancel = workflow.WithCancel(ctx)
	err := workflow.SetUpdateHandlerWithOptions(ctx, job.StopUpdate, s.stop, workflow.UpdateHandlerOptions{
		Description: "Stops the run, and removes what it had staged.",
		Validator:   s.check,
	})
	if err != nil {
		return nil, fmt.Errorf("take the update %s: %w", job.StopUpdate, err)
	}
	return s, nil
}

// stop answers when the body, its clean-up included, has ended.
func (s *stopper) stop(ctx workflow.Context, in job.StopInput) (job.StopResult, error) {
	if !s.asked {
		s.asked, s.reason = true, in.Reason
		s.cancel()
	}
	ctx, disconnect := workflow.NewDisconnectedContext(ctx) // who asked is answered whatever else ends the run
	defer disconnect()
	err := workflow.Await(ctx, func() bool { return s.ended })
	return job.StopResult{Outcome: s.outcome}, err
}

// check refuses what could not be done.
func (s *stopper) check(in job.StopInput) error {
	switch {
	case s.ended:
		return errors.New("the run has ended already")
	case len(in.Reason) > job.MaxStopReason:
		return fmt.Errorf("the reason has %d bytes, %d at most are taken", len(in.Reason), job.MaxStopReason)
	}
	return nil
}

// stoppable runs a workflow's body so that s can stop it.
func stoppable[R any](ctx workflow.Context, s *stopper, body func(workflow.Context) (R, error)) (R, error) {
	defer s.cancel()
	result, err := body(s.cancelled)
	s.ended = true
	switch {
	case err == nil:
		s.outcome = "the run had done its work before it could be stopped"
	case s.asked && temporal.IsCanceledError(err):
		s.outcome = "stopped, and what it had staged is removed"
		if cleanup := stopReason(err); cleanup != "" {
			s.outcome = "stopped, and what it had staged could not be removed: " + cleanup
		}
		err = stopped(s.reason, err)
	default:
		s.outcome = "the run failed by itself: " + err.Error()
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
