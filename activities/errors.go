package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// patience is how many times a failure that the step itself reports may be
// tried again, about half an hour with the copy's back-off. Attempts that
// ended with their worker count, but do not end the run by themselves.
const patience = 20

// outcome turns what a step returned into what Temporal is told. Why a step
// was interrupted goes before what it says about that.
func (s *step) outcome(err error) error {
	if err == nil {
		return nil
	}
	if s.ctx.Err() == nil {
		return applicationError(err, s.attempt)
	}
	cause := context.Cause(s.ctx)
	switch {
	case errors.Is(cause, errStopping), errors.Is(cause, worker.ErrWorkerShutdown):
		return stopping(s.name, err)
	case temporal.IsCanceledError(cause), errors.Is(cause, activity.ErrActivityPaused), errors.Is(cause, activity.ErrActivityReset):
		return cause
	default:
		// A heartbeat that the server did not take.
		return applicationError(failure.Errorf(failure.TemporalUnreachable, "%s was interrupted: %w", s.name, cause), s.attempt)
	}
}

// Final tells whether Temporal is told not to try a step again that failed in
// its so-manieth attempt. It may not do so for reasons of its own.
func Final(err error, attempt int32) bool {
	kind := failure.Of(err)
	return !kind.Retry || attempt >= patience && kind != failure.Busy && kind != failure.TemporalUnreachable
}

// applicationError carries err's kind as its type, and the hint in its message
// for those who read it in the Temporal UI.
func applicationError(err error, attempt int32) error {
	kind := failure.Of(err)
	message := err.Error()
	final := Final(err, attempt)
	if final && kind.Retry {
		message = fmt.Sprintf("%s (attempt %d, giving up)", message, attempt)
	}
	hint := kind.Hint
	if hint == "" {
		hint = job.DefaultHint
	}
	message += job.HintMark + hint
	return temporal.NewApplicationErrorWithOptions(message, kind.Name, temporal.ApplicationErrorOptions{NonRetryable: final, Cause: err})
}

// stopping ends an attempt that will be gone on with as soon as there is a
// worker again. It is no failure.
func stopping(name string, err error) error {
	return temporal.NewApplicationErrorWithOptions(name+" gives way: "+errStopping.Error(), job.WorkerStopping, temporal.ApplicationErrorOptions{
		Cause:          err,
		NextRetryDelay: time.Second,
		Category:       temporal.ApplicationErrorCategoryBenign,
	})
}
