package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/human"
	"canvasback/internal/job"
)

// stepError says which step of which database failed and keeps the type that
// the activity gave its error. A cancellation stays one.
func stepError(step, db string, err error) error {
	if temporal.IsCanceledError(err) {
		if stopReason(err) == notStarted {
			return temporal.NewCanceledError()
		}
		return err
	}
	kind, message := cause(err)
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf("%s of %s: %s", step, db, message), kind, err)
}

// notStarted is what the server tells of the cancellation of a step that no worker
// had taken yet, in place of a reason.
const notStarted = "ACTIVITY_ID_NOT_STARTED"

// cause is why an activity failed: the name of a failure.Kind, and a message. A
// timeout goes before the failure of the last attempt, which is its cause.
func cause(err error) (kind, message string) {
	takesTurns := false
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e := e.(type) {
		case *temporal.ActivityError:
			takesTurns = job.TurnStep(e.ActivityType().GetName()) != ""
		case *temporal.ApplicationError:
			return e.Type(), e.Message()
		case *temporal.TimeoutError:
			return timedOut(e, takesTurns)
		}
	}
	return failure.RunFailed.Name, err.Error() + job.HintMark + job.DefaultHint
}

// timedOut is cause of a step whose time was over.
func timedOut(timeout *temporal.TimeoutError, takesTurns bool) (kind, message string) {
	var last *temporal.ApplicationError
	switch {
	case timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START && takesTurns:
		return failure.NoWorker.Name, fmt.Sprintf("its turn did not come in %s: the host's worker does not run, or has more databases than it gets done", human.Count(int64(turnWait/time.Hour), "hour")) +
			job.HintMark + "start the worker on that host; if it runs, let it make more copies at once (copies), or back up less often"
	case timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START:
		return failure.NoWorker.Name, "no worker took it: the host's worker does not run" + job.HintMark + failure.NoWorker.Hint
	case errors.As(timeout, &last) && last.Type() != job.WorkerStopping:
		what, hint, hinted := strings.Cut(last.Message(), job.HintMark)
		if !hinted {
			hint = job.DefaultHint
		}
		return last.Type(), what + " (and no time was left to try it again)" + job.HintMark + hint
	case timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT:
		return failure.RunFailed.Name, "its worker was not heard of any more" + job.HintMark +
			"see why the worker on its host was ended or cut off, start it, and run it again"
	}
	return failure.RunFailed.Name, fmt.Sprintf("it did not end in time (%s)", timeout.TimeoutType()) + job.HintMark + job.DefaultHint
}

func hasType(err error, kind string) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == kind
}

// joinErrors keeps what kind of end why is, and shows both.
func joinErrors(why, cleanup error) error {
	_, also := describe(cleanup)
	also, _, _ = strings.Cut(also, job.HintMark)
	if temporal.IsCanceledError(why) {
		// Details are what the server keeps of a cancellation.
		return errors.Join(temporal.NewCanceledError(also), why, cleanup)
	}
	kind, message := describe(why)
	what, hint, hinted := strings.Cut(message, job.HintMark)
	message = what + "\nalso: " + also
	if hinted {
		message += job.HintMark + hint
	}
	return temporal.NewNonRetryableApplicationError(message, kind, errors.Join(why, cleanup))
}

// withHint puts another hint at the end of a message.
func withHint(message, hint string) string {
	what, _, _ := strings.Cut(message, job.HintMark)
	return what + job.HintMark + hint
}

// describe is the type and message of an error that stepError made.
func describe(err error) (kind, message string) {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type(), app.Message()
	}
	return failure.RunFailed.Name, err.Error()
}
