package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/version"
)

// Options are what a worker's telemetry has to know.
type Options struct {
	Host      string
	Databases []string
	Service   string // the name of the program in traces
	Address   string // of the HTTP server; empty: there is none
	Log       *slog.Logger
	Getenv    func(string) string
}

// Worker is the telemetry of one worker.
type Worker struct {
	Metrics  *Metrics
	Recorder *Recorder
	Tracing  *Tracing // nil: off

	log       *slog.Logger
	closing   context.CancelFunc // ends the tries to listen
	listening sync.WaitGroup     // of the goroutine that makes them

	mu       sync.Mutex // guards what follows
	server   *Server    // nil: off, or its address is not to be had yet
	report   func() health.Report
	writable func() error
	polling  bool
	writing  *write // the try to write to the repository that is at work; nil: none is
}

// write is one try to write to the repository.
type write struct {
	began time.Time
	ended chan struct{} // closed when it has
	err   error         // once it has
}

// How old what is known may be before a probe says so. The watch reports every
// 10 s, and asks Temporal every 30 s.
const (
	reportTooOld   = 2 * time.Minute
	temporalTooOld = 2 * time.Minute
	// writeSlow is how long a probe waits for the repository to be written.
	writeSlow = 3 * time.Second
)

// listenAgain is how long an address that could not be had is left alone.
var listenAgain = 5 * time.Second

// Start sets everything up and answers over HTTP from then on: first that the
// worker is not ready. An address that is none is InvalidConfig, and so is an
// environment variable that makes no sense. One that cannot be had now, because
// another process listens there, is no reason to take no backups: it is tried
// again until it is free.
func Start(ctx context.Context, o Options) (*Worker, error) {
	metrics := NewMetrics(o.Host, version.String(), o.Databases)
	w := &Worker{Metrics: metrics, Recorder: NewRecorder(o.Log, metrics), log: o.Log}
	var err error
	if w.Tracing, err = NewTracing(ctx, o.Getenv, o.Service, o.Log); err != nil {
		return nil, err
	}
	if w.Tracing != nil {
		o.Log.Info("Delivering traces as OTEL_* says", "service", o.Service)
	}
	if o.Address == "" {
		return w, nil
	}
	if err := w.listen(ctx, o.Address); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// listen takes the address and answers there, or leaves a goroutine behind that
// goes on trying until ctx ends or w is closed.
func (w *Worker) listen(ctx context.Context, address string) error {
	err := w.serve(address)
	if err == nil || failure.Of(err) == failure.InvalidConfig {
		return err
	}
	w.log.Error("Metrics and health are not served yet, trying again", "address", address, "error", err)
	ctx, w.closing = context.WithCancel(ctx)
	w.listening.Go(func() {
		tick := time.NewTicker(listenAgain)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if w.serve(address) == nil {
					return
				}
			}
		}
	})
	return nil
}

func (w *Worker) serve(address string) error {
	server, err := Listen(address)
	if err != nil {
		return err
	}
	server.Serve(w.Metrics, Health{Alive: w.alive, Ready: w.ready}, w.log)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server = server
	return nil
}

// Address is where the HTTP server listens; empty: it does not.
func (w *Worker) Address() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.server == nil {
		return ""
	}
	return w.server.Address()
}

// Watch tells what is found out about the host from now on: report is the newest
// there is, and writable whether the repository can be written now.
func (w *Worker) Watch(report func() health.Report, writable func() error) {
	w.mu.Lock()
	w.report, w.writable = report, writable
	w.mu.Unlock()
	w.Metrics.Watch(report)
}

// Polling notes whether the worker polls its queue.
func (w *Worker) Polling(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling = on
}

// Close delivers the last traces and ends the HTTP server. What goes wrong is
// logged: it changes nothing of what the worker did.
func (w *Worker) Close() {
	if err := w.close(); err != nil {
		w.log.Warn("Telemetry", "error", err)
	}
}

func (w *Worker) close() error {
	if w.closing != nil {
		w.closing()
		w.listening.Wait()
	}
	err := w.Tracing.Close()
	if w.server != nil {
		err = errors.Join(err, w.server.Close())
	}
	return err
}

// alive fails when the watch has come to a stand.
func (w *Worker) alive() error {
	w.mu.Lock()
	report := w.report
	w.mu.Unlock()
	if report == nil {
		return nil
	}
	if r := report(); !r.At.IsZero() && time.Since(r.At) > reportTooOld {
		return fmt.Errorf("the watch of this host has not reported since %s", r.At.UTC().Format(time.RFC3339))
	}
	return nil
}

// ready fails, with all that is wrong, when no backup would be taken.
func (w *Worker) ready() error {
	err := w.alive()
	w.mu.Lock()
	report, polling := w.report, w.polling
	w.mu.Unlock()
	if report == nil {
		return errors.New("not connected to Temporal yet")
	}
	if !polling {
		err = errors.Join(err, errors.New("the worker does not poll its queue"))
	}
	switch seen := report().TemporalSeen; {
	case seen.IsZero():
		err = errors.Join(err, errors.New("no answer from Temporal yet"))
	case time.Since(seen) > temporalTooOld:
		err = errors.Join(err, fmt.Errorf("no answer from Temporal since %s", seen.UTC().Format(time.RFC3339)))
	}
	return errors.Join(err, w.written(writeSlow))
}

// written tries to write to the repository, and waits no longer than patience
// for a file system that does not answer. There is one try at a time, however
// many ask.
func (w *Worker) written(patience time.Duration) error {
	w.mu.Lock()
	try := w.writing
	if try == nil {
		try = &write{began: time.Now(), ended: make(chan struct{})}
		w.writing = try
		go func(writable func() error) {
			try.err = writable()
			w.mu.Lock()
			w.writing = nil
			w.mu.Unlock()
			close(try.ended)
		}(w.writable)
	}
	w.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-try.ended:
		return try.err
	case <-timer.C:
		return fmt.Errorf("writing to the repository has not come to an end since %s", try.began.UTC().Format(time.RFC3339))
	}
}
