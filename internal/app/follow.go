package app

import (
	"context"
	"errors"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// followEvery is how often a run's heartbeat is looked at.
const followEvery = 500 * time.Millisecond

// Follow waits for a run to end, which people call what ("backup of shop"), and
// tells progress, which may be nil, what its
// steps report meanwhile, from one goroutine. A run that failed is an error of
// the kind that its step gave it; the run goes on when ctx ends.
func Follow[R any](ctx context.Context, c client.Client, what string, r Run, progress func(job.Progress)) (R, error) {
	type end struct {
		result R
		err    error
	}
	done := make(chan end, 1)
	go func() {
		result, err := resultOf[R](ctx, c, r)
		done <- end{result, err}
	}()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var seen time.Time
	for {
		select {
		case e := <-done:
			return e.result, RunError(ctx, what, e.err)
		case <-tick.C:
		}
		if progress == nil {
			continue
		}
		// What cannot be seen now may be seen the next time.
		if d, err := c.DescribeWorkflowExecution(ctx, r.WorkflowID, r.RunID); err == nil {
			if p := progressOf(d); p != nil && p.At.After(seen) {
				seen = p.At
				progress(*p)
			}
		}
	}
}

// resultOf waits for a run to end. A run of a cron workflow ends by being
// followed by the next one; what it came to is in its last event.
func resultOf[R any](ctx context.Context, c client.Client, r Run) (R, error) {
	var result R
	err := c.GetWorkflow(ctx, r.WorkflowID, r.RunID).GetWithOptions(ctx, &result, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	if !workflow.IsContinueAsNewError(err) {
		return result, err
	}
	events := c.GetWorkflowHistory(ctx, r.WorkflowID, r.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !events.HasNext() {
		return result, err
	}
	event, err := events.Next()
	if err != nil {
		return result, err
	}
	next := event.GetWorkflowExecutionContinuedAsNewEventAttributes()
	//lint:ignore SA1019 the server still fills it in, and nothing else in the run's history says why it failed
	if f := next.GetFailure(); f != nil {
		return result, temporal.GetDefaultFailureConverter().FailureToError(f)
	}
	return result, converter.GetDefaultDataConverter().FromPayloads(next.GetLastCompletionResult(), &result)
}

// cameTo is resultOf for a run that has ended: what it failed of is failed, an error
// that the server did not say what it came to, and NotFound where it forgot the run.
func cameTo[R any](ctx context.Context, c client.Client, r Run) (result R, failed, err error) {
	result, err = resultOf[R](ctx, c, r)
	var call serviceerror.ServiceError
	if errors.As(err, &call) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return result, nil, Unreachable(err)
	}
	return result, err, nil
}

// RunError gives the failure of a run the kind that its step gave it.
func RunError(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return failure.Errorf(failure.Interrupted, "the %s goes on without being watched: %w", what, ctx.Err())
	}
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	var terminated *temporal.TerminatedError
	switch {
	case temporal.IsCanceledError(err):
		var canceled *temporal.CanceledError
		var details string
		if errors.As(err, &canceled) && canceled.HasDetails() && canceled.Details(&details) == nil {
			return failure.Errorf(failure.RunFailed, "the %s was stopped: %s", what, strings.TrimPrefix(details, "stopped: "))
		}
		return failure.Errorf(failure.RunFailed, "the %s was stopped", what)
	case errors.As(err, &terminated):
		return failure.Errorf(failure.RunFailed, "the %s was terminated", what)
	case errors.As(err, &app):
		message, _, _ := strings.Cut(app.Message(), job.HintMark)
		return failure.Errorf(kindNamed(app.Type()), "%s", message)
	case errors.As(err, &timeout):
		return failure.Errorf(failure.RunFailed, "the %s did not end in time (%s)", what, timeout.TimeoutType())
	}
	return Unreachable(err)
}

func kindNamed(name string) *failure.Kind {
	for _, k := range failure.Kinds {
		if k.Name == name {
			return k
		}
	}
	return failure.RunFailed
}
