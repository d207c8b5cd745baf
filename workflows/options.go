package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// workerWait is how long a step waits for a worker to take it. The queue belongs
// to one host: when its worker is gone, nobody else comes.
const workerWait = 30 * time.Minute

// turnWait is how long a step waits for its turn to load the disks. That is no
// fault of its own, and does not count: the run as a whole has 23 hours.
const turnWait = 20 * time.Hour

// inTurn lets a step wait for its turn, at the server. Time begins to count when it
// has come.
func inTurn(ctx workflow.Context, o workflow.ActivityOptions) workflow.ActivityOptions {
	o.TaskQueue = job.Turns(workflow.GetInfo(ctx).TaskQueueName)
	return o
}

// goesOn is the priority of a step that proves what is copied already: it goes
// before copies that have not begun, so that runs end in the order in which they
// began, and nothing lies about unproved for longer than it must. A server that
// knows of no priorities takes the steps as they come.
var goesOn = temporal.Priority{PriorityKey: 2}

// Times of one attempt (StartToClose) bound what hangs; a worker that died is
// noticed by its missing heartbeats. Times over all attempts (ScheduleToClose)
// bound what keeps failing.
var (
	checkpointOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    time.Hour,
		ScheduleToStartTimeout: workerWait,
		ScheduleToCloseTimeout: 2 * time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(time.Second, 30*time.Second, 5),
	}
	// copyOptions set no number of attempts: a worker that is killed or a server
	// that is away may cost any number of them, and each goes on where the last
	// one was. What the copy itself reports again and again becomes final in
	// the activity.
	copyOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    8 * time.Hour,
		ScheduleToStartTimeout: turnWait,
		ScheduleToCloseTimeout: turnWait + 2*time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(time.Second, 2*time.Minute, 0),
	}
	verifyOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    6 * time.Hour,
		ScheduleToStartTimeout: turnWait,
		ScheduleToCloseTimeout: turnWait + 2*time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(2*time.Second, 2*time.Minute, 10),
		Priority:               goesOn,
	}
	pruneOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    30 * time.Minute,
		ScheduleToStartTimeout: workerWait,
		ScheduleToCloseTimeout: 2 * time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(time.Second, time.Minute, 10),
	}
	chooseOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    10 * time.Minute,
		ScheduleToStartTimeout: workerWait,
		ScheduleToCloseTimeout: time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(time.Second, time.Minute, 10),
	}
	restoreOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    12 * time.Hour,
		ScheduleToStartTimeout: workerWait,
		ScheduleToCloseTimeout: 14 * time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(2*time.Second, 2*time.Minute, 10),
	}
	// A drill waits for its turn; whoever restores has waited enough.
	drillRestoreOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    12 * time.Hour,
		ScheduleToStartTimeout: turnWait,
		ScheduleToCloseTimeout: turnWait + 2*time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy:            retry(2*time.Second, 2*time.Minute, 10),
	}
	// Announcements hold a run up for a bounded time only, and never its steps.
	// Attempts within one, as long as a receiver does not answer, are the
	// activity's own; it is tried again where its worker went away.
	announceStartOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    2 * time.Minute,
		ScheduleToStartTimeout: time.Minute,
		ScheduleToCloseTimeout: 2 * time.Minute,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		RetryPolicy:            retry(time.Second, 10*time.Second, 3),
	}
	announceEndOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToStartTimeout: 10 * time.Minute,
		ScheduleToCloseTimeout: 15 * time.Minute,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		RetryPolicy:            retry(time.Second, 10*time.Second, 0),
	}
	// Both end a run, also one that is being cancelled.
	recordOptions, abandonOptions = lastOptions, lastOptions

	lastOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    10 * time.Minute,
		ScheduleToStartTimeout: workerWait,
		ScheduleToCloseTimeout: time.Hour,
		HeartbeatTimeout:       job.HeartbeatTimeout,
		RetryPolicy:            retry(time.Second, time.Minute, 10),
	}
)

// pulseOptions let the pulse wait for its worker for ever, and try again as often
// as workers come and go. One attempt lasts until its worker is stopped, or for
// job.PulseLasts.
var pulseOptions = workflow.ActivityOptions{
	StartToCloseTimeout: job.PulseLasts + time.Hour,
	HeartbeatTimeout:    job.HeartbeatTimeout,
	WaitForCancellation: true,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1, MaximumInterval: time.Second},
	Summary:             "the worker lives; its heartbeat says what it knows",
}

// retry backs off from first to longest between attempts, 0 of which means any
// number, and gives up at once on what trying again cannot mend.
func retry(first, longest time.Duration, attempts int32) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:        first,
		BackoffCoefficient:     2,
		MaximumInterval:        longest,
		MaximumAttempts:        attempts,
		NonRetryableErrorTypes: failure.Final(),
	}
}
