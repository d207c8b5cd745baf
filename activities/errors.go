package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
)

// applicationError turns a failure into what Temporal records. Its type is the
// kind's name; the failure table decides whether it is retried. A step that was
// cancelled, paused or reset says so in Temporal's own terms; one whose worker
// stops is retried soon and counts as no failure.
func applicationError(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errStopping):
		return temporal.NewApplicationErrorWithOptions(errStopping.Error(), "WorkerStopping", temporal.ApplicationErrorOptions{
			Cause: err, NextRetryDelay: time.Second, Category: temporal.ApplicationErrorCategoryBenign,
		})
	case errors.Is(cause, activity.ErrActivityPaused), errors.Is(cause, activity.ErrActivityReset):
		return cause
	case errors.Is(cause, context.Canceled):
		return temporal.NewCanceledError(err.Error())
	}
	kind := failure.Of(err)
	message := err.Error()
	if kind.Hint != "" {
		message += "\nhint: " + kind.Hint
	}
	return temporal.NewApplicationErrorWithOptions(message, kind.Name, temporal.ApplicationErrorOptions{NonRetryable: !kind.Retry})
}
