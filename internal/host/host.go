// Package host puts together what runs beside the databases of one host, for the
// worker and for standalone: the steps of backups under Temporal, the watch over
// their state, and those who are told.
package host

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"canvasback/internal/app"
	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/notify"
	"canvasback/internal/telemetry"
	"canvasback/internal/vfs"
	"canvasback/internal/watch"
)

// Host works for the databases of a configuration once it is started.
type Host struct {
	worker    worker.Worker
	watch     *watch.Watch
	notifier  *notify.Notifier
	telemetry *telemetry.Worker
	log       *slog.Logger

	keeping sync.WaitGroup
	stop    context.CancelFunc
}

// New puts a host together. What it has to say goes to tel and log.
func New(c client.Client, cfg *config.Config, runner *backup.Runner, tel *telemetry.Worker, log *slog.Logger) *Host {
	h := &Host{
		watch:     watch.New(watch.Options{Client: c, Config: cfg, Repo: runner.Repo, FS: vfs.OS(), Log: log, Version: backup.Version()}),
		notifier:  notify.New(cfg),
		telemetry: tel,
		log:       log,
	}
	h.warn(cfg, runner)
	h.notifier.Complain = func(database, event, channel string, err error) {
		log.Warn("Not told", "database", database, "event", event, "channel", channel, "error", err)
	}
	tel.Metrics.Bandwidth(runner.Pace)
	for _, doubt := range runner.Doubts() {
		log.Warn("Bandwidth: " + doubt)
	}
	tel.Watch(h.watch.Report, h.watch.Writable)
	h.worker = app.NewWorker(c, cfg, tel.Recorder.Steps(runner), tel.Recorder.Announcer(h.notifier), h.watch.Pulse, tel.Tracing.Worker()...)
	return h
}

// warn says who else can get at the configuration and the backups. Nothing is
// refused for it: 'starter doctor' says the same.
func (h *Host) warn(cfg *config.Config, runner *backup.Runner) {
	for _, doubt := range cfg.Doubts() {
		h.log.Warn("Configuration: " + doubt)
	}
	if exposed, err := runner.Repo.Exposed(); err == nil && exposed != "" {
		h.log.Warn("Repository: "+exposed, "hint", "chmod 0700 "+runner.Repo.Dir())
	}
}

// keep begins what runs beside the steps.
func (h *Host) keep(ctx context.Context) {
	ctx, h.stop = context.WithCancel(ctx)
	h.keeping.Go(func() { h.notifier.Keep(ctx) })
	h.keeping.Go(func() { h.watch.Run(ctx) })
	h.telemetry.Polling(true)
}

// restWait is how long rest waits for what keep began: a file system that does
// not answer must not keep a worker from ending.
const restWait = 5 * time.Second

// rest ends it, and waits for that.
func (h *Host) rest() {
	h.telemetry.Polling(false)
	h.stop()
	ended := make(chan struct{})
	go func() {
		h.keeping.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(restWait):
		h.log.Warn("What looks after the messages to people has not come to an end, and is left behind: the repository's file system may not answer")
	}
}

// Run works until ctx ends and the steps at work have put down where they are,
// or until the worker cannot go on.
func (h *Host) Run(ctx context.Context) error {
	h.keep(ctx)
	defer h.rest()
	return app.Work(ctx, h.worker)
}

// Start begins the work; Stop ends it in good order.
func (h *Host) Start(ctx context.Context) error {
	if err := h.worker.Start(); err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	h.keep(ctx)
	return nil
}

// Stop ends what Start began.
func (h *Host) Stop() {
	h.worker.Stop()
	h.rest()
}
