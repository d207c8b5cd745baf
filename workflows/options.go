package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// scheduleToStart is how long a step waits for the worker of its host: long
// enough for a restart of the machine, short enough to say the same day that
// the worker is gone.
const scheduleToStart = 30 * time.Minute

func retry(first, longest time.Duration, attempts int32) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval: first, BackoffCoefficient: 2, MaximumInterval: longest, MaximumAttempts: attempts,
		NonRetryableErrorTypes: failure.Final(),
	}
}

// The options of each step.
var (
	CheckpointOptions = workflow.ActivityOptions{
		Summary:                "ask the owner to fold its WAL",
		ScheduleToStartTimeout: scheduleToStart,
		StartToCloseTimeout:    time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		RetryPolicy:            retry(5*time.Second, time.Minute, 5),
	}
	// CopyOptions let a copy be retried for half a day: each attempt goes on
	// where the one before was stopped.
	CopyOptions = workflow.ActivityOptions{
		Summary:                "copy the live database",
		ScheduleToStartTimeout: scheduleToStart,
		StartToCloseTimeout:    8 * time.Hour,
		ScheduleToCloseTimeout: 12 * time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(2*time.Second, 5*time.Minute, 0),
	}
	VerifyOptions = workflow.ActivityOptions{
		Summary:                "check bytes, blocks and every row of the copy",
		ScheduleToStartTimeout: scheduleToStart,
		StartToCloseTimeout:    6 * time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(5*time.Second, 5*time.Minute, 5),
	}
	PruneOptions = workflow.ActivityOptions{
		Summary:                "apply the retention policy",
		ScheduleToStartTimeout: scheduleToStart,
		StartToCloseTimeout:    time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		RetryPolicy:            retry(5*time.Second, time.Minute, 5),
	}
	AbandonOptions = workflow.ActivityOptions{
		Summary:                "remove what the run had staged",
		ScheduleToStartTimeout: 5 * time.Minute,
		StartToCloseTimeout:    10 * time.Minute,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		RetryPolicy:            retry(2*time.Second, 30*time.Second, 5),
	}
)
