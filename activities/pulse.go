package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"canvasback/internal/job"
)

// Host is the worker's own activity, of which there is one for each host. It
// takes none of the turns that copies wait for.
type Host struct {
	// Report is what the worker says of itself now. It returns at once.
	Report func() job.Pulse
	// Every is how often it is said, and Lasts how long before the workflow begins
	// a new run; zero: job.PulseEvery and job.PulseLasts.
	Every, Lasts time.Duration
}

// Pulse says that the worker lives, by its heartbeats, until it is stopped. The
// next attempt is another worker's, or this one's when it is back.
func (h *Host) Pulse(ctx context.Context, _ job.PulseInput) error {
	every, lasts := h.Every, h.Lasts
	if every == 0 {
		every = job.PulseEvery
	}
	if lasts == 0 {
		lasts = job.PulseLasts
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	end := time.NewTimer(lasts)
	defer end.Stop()
	for {
		activity.RecordHeartbeat(ctx, h.Report())
		select {
		case <-tick.C:
		case <-end.C:
			return nil
		case <-activity.GetWorkerStopChannel(ctx):
			return stopping("pulse", errStopping)
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return ctx.Err()
		}
	}
}
