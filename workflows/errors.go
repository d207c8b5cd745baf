package workflows

import (
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
)

// isBad reports whether a step failed because the copy did not verify.
func isBad(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == failure.BackupBad.Name
}

// verdict is what the run ends with: the failed step's own type and message on
// top, the error of the clean-up joined to it.
func verdict(ctx workflow.Context, err, cleanup error) error {
	if temporal.IsCanceledError(err) {
		if cleanup == nil {
			return err
		}
		return temporal.NewCanceledError(err.Error(), "clean-up: "+cleanup.Error())
	}
	kind, message := failure.RunFailed.Name, err.Error()
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &app):
		kind, message = app.Type(), app.Message()
	case errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START:
		kind = failure.NoWorker.Name
		message = "no worker took a task from " + workflow.GetInfo(ctx).TaskQueueName + " in " + scheduleToStart.String() + "\nhint: " + failure.NoWorker.Hint
	}
	if cleanup != nil {
		message += "\nclean-up failed too: " + cleanup.Error()
	}
	return temporal.NewNonRetryableApplicationError(message, kind, err)
}
