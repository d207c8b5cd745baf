package app

import (
	"context"
	"fmt"
	"sync"
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

// hostWorker is a worker of a host: of its own task queue, and of that for the
// steps that take turns. They start and stop together.
type hostWorker struct {
	worker.Worker
	turns worker.Worker
}

func (w *hostWorker) Start() error {
	if err := w.turns.Start(); err != nil {
		return err
	}
	if err := w.Worker.Start(); err != nil {
		w.turns.Stop()
		return err
	}
	return nil
}

// Stop gives the steps of both queues the same StopTimeout.
func (w *hostWorker) Stop() {
	var both sync.WaitGroup
	both.Go(w.turns.Stop)
	both.Go(w.Worker.Stop)
	both.Wait()
}

// Run works until interrupt is closed, or until a worker cannot go on.
func (w *hostWorker) Run(interrupt <-chan any) error {
	if err := w.turns.Start(); err != nil {
		return err
	}
	var turns sync.WaitGroup
	over := make(chan struct{})
	turns.Go(func() {
		select {
		case <-interrupt:
		case <-over:
		}
		w.turns.Stop()
	})
	err := w.Worker.Run(interrupt)
	close(over)
	turns.Wait()
	return err
}

// NewWorker returns the worker of cfg's host, not started yet. It polls the
// host's own task queue for workflows and activities, and that of the steps that
// take turns for as many of them as cfg.Copies says. What pulse returns is what it
// says of itself.
func NewWorker(c client.Client, cfg *config.Config, runner activities.Steps, announcer activities.Announcer, pulse func() job.Pulse, interceptors ...interceptor.WorkerInterceptor) worker.Worker {
	options := worker.Options{
		WorkerStopTimeout:                  StopTimeout,
		MaxHeartbeatThrottleInterval:       2 * time.Second,
		DefaultHeartbeatThrottleInterval:   2 * time.Second,
		MaxConcurrentActivityExecutionSize: shortSteps,
		Interceptors:                       interceptors,
	}
	w := worker.New(c, job.Queue(cfg.Host), options)
	a := activities.New(runner, cfg.Copies)
	a.Announcer = announcer
	Register(w, a)
	RegisterAttributes(w, AttributesOf(c))
	RegisterHost(w, &activities.Host{Report: pulse})
	options.MaxConcurrentActivityExecutionSize, options.DisableWorkflowWorker = cfg.Copies, true
	turns := worker.New(c, job.Turns(job.Queue(cfg.Host)), options)
	RegisterSteps(turns, a)
	return &hostWorker{w, turns}
}

// shortSteps is how many steps that take no turns run at once, the pulse and
// restores among them. Those that take turns may be there too: runs of an earlier
// release have them in the host's own queue.
const shortSteps = 32

// Register makes the workflows and their activities known to a worker.
func Register(r worker.Registry, a *activities.Activities) {
	r.RegisterWorkflowWithOptions(workflows.Backup, workflow.RegisterOptions{Name: job.BackupWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Restore, workflow.RegisterOptions{Name: job.RestoreWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Drill, workflow.RegisterOptions{Name: job.DrillWorkflow})
	RegisterSteps(r, a)
}

// RegisterSteps makes the steps known to a worker.
func RegisterSteps(r worker.Registry, a *activities.Activities) {
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
