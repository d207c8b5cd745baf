package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"canvasback/internal/job"
)

// errStopping is why a step's context ends when its worker is being stopped.
var errStopping = errors.New("the worker is being stopped")

// beatEvery bounds how often progress is handed to the SDK, which sends only
// some of it on.
const beatEvery = time.Second

// step is one attempt of an activity: its context, its heartbeat and what is
// known of its progress.
type step struct {
	ctx     context.Context
	name    string
	attempt int32
	cancel  context.CancelCauseFunc
	beats   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	latest job.Progress
	fresh  bool // latest was not handed on yet
}

// begin starts the heartbeat of an activity. It goes on by itself, also while
// the step is silent, until end; what bounds a step that hangs is its time to
// close. The step's context ends when the activity is cancelled, paused or
// reset, and already when its worker begins to stop.
func begin(ctx context.Context, name string) *step {
	s := &step{name: name, attempt: activity.GetInfo(ctx).Attempt}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.progress(job.Progress{Step: name, Phase: "starting"})
	s.beats.Go(func() { s.beat(ctx) })
	return s
}

// end stops the heartbeat and waits for it.
func (s *step) end() {
	s.cancel(nil)
	s.beats.Wait()
}

// progress takes note of how far the step is. It returns at once.
func (s *step) progress(p job.Progress) {
	if p.At.IsZero() {
		p.At = time.Now().UTC()
	}
	p.Text = p.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.fresh = p, true
}

// beat runs in a goroutine of its own until the step's context ends.
func (s *step) beat(ctx context.Context) {
	silence := activity.GetInfo(ctx).HeartbeatTimeout / 3
	if silence <= 0 {
		silence = job.HeartbeatTimeout / 3
	}
	tick := time.NewTicker(min(silence, beatEvery))
	defer tick.Stop()
	stopping := activity.GetWorkerStopChannel(ctx)
	var last time.Time
	for {
		if p, ok := s.due(time.Since(last) >= silence); ok {
			activity.RecordHeartbeat(ctx, p)
			last = time.Now()
		}
		select {
		case <-tick.C:
		case <-stopping:
			s.cancel(errStopping)
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// due returns what is to be sent, if it is new or the silence was too long.
func (s *step) due(silent bool) (job.Progress, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	send := s.fresh || silent
	s.fresh = false
	return s.latest, send
}
