package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
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
			return interrupted(context.Cause(ctx))
		}
	}
}

// interrupted passes on what a person did to the step. A heartbeat that the
// server did not take, as while it is away, is no failure: the next attempt goes
// on.
func interrupted(cause error) error {
	if temporal.IsCanceledError(cause) || errors.Is(cause, activity.ErrActivityPaused) || errors.Is(cause, activity.ErrActivityReset) {
		return cause
	}
	return temporal.NewApplicationErrorWithOptions("the pulse was not taken", failure.TemporalUnreachable.Name, temporal.ApplicationErrorOptions{
		Cause: cause, NextRetryDelay: time.Second, Category: temporal.ApplicationErrorCategoryBenign,
	})
}
