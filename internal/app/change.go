package app

import (
	"context"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
)

// Change is what is to be done to one schedule. Without Now it is made, without
// Want it is deleted.
type Change struct {
	Now  *Present
	Want *Spec
	// Pause says whether it is to be paused; nil leaves that as it is, and a new
	// schedule runs.
	Pause *bool
}

// FleetNote is what a schedule says that was paused or let go on by its fleet's
// file.
const FleetNote = "by the fleet's file"

// Same says whether two Specs make the same schedule.
func (s Spec) Same(other Spec) bool { return s.Normal() == other.Normal() }

// Normal is the Spec with what was left out written out, and the cron expression
// with single spaces.
func (s Spec) Normal() Spec {
	s.Cron = strings.Join(strings.Fields(s.Cron), " ")
	s.Timezone = zoneOf(s.Timezone)
	if s.Overlap == "" {
		s.Overlap = "skip"
	}
	s.Paused = false
	return s
}

// Apply makes the changes, some at a time, and tells done of each as it ends,
// from one goroutine at a time, in no order. One that fails does not keep the
// others from being made; a server that does not answer does, and the rest are
// told to be not tried, as are those left when ctx ends. Each change can be made
// again: what was made already is found so.
func Apply(ctx context.Context, c client.Client, changes []Change, done func(i int, err error)) {
	var mu sync.Mutex
	tell := func(i int, err error) {
		mu.Lock()
		defer mu.Unlock()
		done(i, err)
	}
	stop, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, askers)
	var all sync.WaitGroup
	for i, ch := range changes {
		slots <- struct{}{}
		if stop.Err() != nil {
			<-slots
			tell(i, notTried(stop))
			continue
		}
		all.Go(func() {
			defer func() { <-slots }()
			err := patiently(ctx, func() error { return ch.apply(ctx, c) })
			if failure.Of(err) == failure.TemporalUnreachable {
				cancel(err)
			}
			tell(i, err)
		})
	}
	all.Wait()
}

func notTried(ctx context.Context) error {
	if cause := context.Cause(ctx); failure.Of(cause) == failure.TemporalUnreachable {
		return failure.Errorf(failure.TemporalUnreachable, "not tried: Temporal does not answer")
	}
	return failure.Errorf(failure.Interrupted, "not tried: interrupted")
}

func (ch Change) apply(ctx context.Context, c client.Client) error {
	switch {
	case ch.Now == nil:
		return ch.create(ctx, c)
	case ch.Want == nil:
		return ch.remove(ctx, c)
	}
	if err := ch.update(ctx, c); err != nil {
		return err
	}
	if ch.Now.Left && ch.Now.Running != nil && ch.Now.Spec.Host != ch.Want.Host {
		return Terminate(ctx, c, *ch.Now.Running, "the database has moved to host "+ch.Want.Host+", and no worker of host "+ch.Now.Spec.Host+" is there to end the run")
	}
	return nil
}

// create finds one that another made meanwhile, or an attempt whose answer was
// lost, and is content with it if it is what is wanted.
func (ch Change) create(ctx context.Context, c client.Client) error {
	s := *ch.Want
	s.Paused = ch.Pause != nil && *ch.Pause
	err := CreateSchedule(ctx, c, s)
	if failure.Of(err) != failure.ScheduleConflict {
		return err
	}
	there, unseen := presentOf(ctx, c, s.Task, s.Database)
	if unseen != nil {
		return unseen
	}
	if there == nil || !there.Ours {
		return err
	}
	if there.Spec.Same(s) && !there.Drifted && !there.Stale {
		return nil
	}
	return changedMeanwhile(s, there.Spec)
}

// update changes what the plan was made from, and nothing else: what it has
// become meanwhile is another plan.
func (ch Change) update(ctx context.Context, c client.Client) error {
	want := *ch.Want
	if err := want.Check(); err != nil {
		return err
	}
	sched, err := want.schedule()
	if err != nil {
		return err
	}
	var meanwhile error
	err = Schedule(ctx, c, want.Task, want.Database).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			there := newPresent(&in.Description, want.Task, want.Database)
			paused := ch.Pause == nil || there.Paused == *ch.Pause
			switch {
			case there.Ours && there.Spec.Same(want) && !there.Drifted && !there.Stale && paused:
				return nil, temporal.ErrSkipScheduleUpdate
			case !there.Ours || !there.Spec.Same(ch.Now.Spec) && !there.Spec.Same(want):
				meanwhile = changedMeanwhile(want, there.Spec)
				return nil, temporal.ErrSkipScheduleUpdate
			}
			if sched.State = in.Description.Schedule.State; !paused {
				state := client.ScheduleState{}
				if sched.State != nil {
					state = *sched.State
				}
				state.Paused, state.Note = *ch.Pause, FleetNote
				sched.State = &state
			}
			return &client.ScheduleUpdate{Schedule: sched}, nil
		},
	})
	if meanwhile != nil {
		return meanwhile
	}
	if isNotFound(err) {
		return failure.Errorf(failure.ScheduleConflict, "the %s schedule of %s was deleted meanwhile: run it again", want.Task, want.Database)
	}
	return scheduleError(want.Cron, err)
}

// remove deletes a schedule that is still of the fleet that it left.
func (ch Change) remove(ctx context.Context, c client.Client) error {
	s := ch.Now.Spec
	there, err := presentOf(ctx, c, s.Task, s.Database)
	if err != nil || there == nil {
		return err
	}
	if !there.Ours || there.Spec.Fleet != s.Fleet {
		return changedMeanwhile(s, there.Spec)
	}
	if err := Schedule(ctx, c, s.Task, s.Database).Delete(ctx); err != nil && !isNotFound(err) {
		return Unreachable(err)
	}
	return nil
}

func changedMeanwhile(s, there Spec) error {
	of := ""
	if there.Fleet != "" && there.Fleet != s.Fleet {
		of = ", and is of the fleet " + there.Fleet
	}
	return failure.Errorf(failure.ScheduleConflict, "the %s schedule of %s was changed meanwhile%s: look at the plan again", s.Task, s.Database, of)
}
