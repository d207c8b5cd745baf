package app

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/config"
	"canvasback/internal/job"
	"canvasback/workflows"
)

// StopTimeout is how long a stopping worker waits for its steps to record how
// far they are.
const StopTimeout = 30 * time.Second

// NewWorker returns the worker of cfg's host, not started yet. It polls the
// host's own task queue for workflows and activities. What pulse returns is what
// it says of itself.
func NewWorker(c client.Client, cfg *config.Config, runner activities.Steps, announcer activities.Announcer, pulse func() job.Pulse, interceptors ...interceptor.WorkerInterceptor) worker.Worker {
	w := worker.New(c, job.Queue(cfg.Host), worker.Options{
		WorkerStopTimeout:                  StopTimeout,
		MaxHeartbeatThrottleInterval:       2 * time.Second,
		DefaultHeartbeatThrottleInterval:   2 * time.Second,
		MaxConcurrentActivityExecutionSize: 17 + cfg.Copies, // one is for the pulse
		Interceptors:                       interceptors,
	})
	a := activities.New(runner, cfg.Copies)
	a.Announcer = announcer
	Register(w, a)
	RegisterAttributes(w, AttributesOf(c))
	RegisterHost(w, &activities.Host{Report: pulse})
	return w
}

// Register makes the workflows and their activities known to a worker.
func Register(r worker.Registry, a *activities.Activities) {
	r.RegisterWorkflowWithOptions(workflows.Backup, workflow.RegisterOptions{Name: job.BackupWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Restore, workflow.RegisterOptions{Name: job.RestoreWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Drill, workflow.RegisterOptions{Name: job.DrillWorkflow})
	r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
}

// RegisterAttributes makes known to a worker what its workflows ask of the
// namespace.
func RegisterAttributes(r worker.Registry, a *activities.Attributes) {
	r.RegisterActivityWithOptions(a.SearchAttributes, activity.RegisterOptions{Name: job.AttributesActivity})
}

// RegisterHost makes the workflow of the host and its pulse known to a worker.
func RegisterHost(r worker.Registry, h *activities.Host) {
	r.RegisterWorkflowWithOptions(workflows.Host, workflow.RegisterOptions{Name: job.HostWorkflow})
	r.RegisterActivityWithOptions(h.Pulse, activity.RegisterOptions{Name: job.PulseActivity})
}

// Work runs w until ctx ends and w has stopped in good order, or until w cannot
// go on.
func Work(ctx context.Context, w worker.Worker) error {
	interrupt := make(chan any)
	stop := context.AfterFunc(ctx, func() { close(interrupt) })
	defer stop()
	if err := w.Run(interrupt); err != nil {
		return fmt.Errorf("run the worker: %w", Unreachable(err))
	}
	return nil
}
