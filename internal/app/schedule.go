package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // time zones are known wherever the program runs

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/codec"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// RunTimeout bounds one run, so that a stuck one cannot hold up the next day's.
const RunTimeout = 23 * time.Hour

// Spec is when the backups, or the drills, of a database begin. Cron has five fields or a form
// such as @daily.
type Spec struct {
	Task     Task          `json:"task,omitempty"`
	Database string        `json:"database"`
	Host     string        `json:"host"`
	Cron     string        `json:"schedule"`
	Timezone string        `json:"timezone,omitempty"`       // a name such as Europe/Amsterdam; empty: UTC
	Jitter   time.Duration `json:"jitter,omitempty"`         // each start is put off by a random part of it
	Overlap  string        `json:"overlap,omitempty"`        // skip (default) or buffer-one
	Catchup  time.Duration `json:"catchup_window,omitempty"` // how late a missed start is made up for; 0: one interval
	Fleet    string        `json:"fleet,omitempty"`          // the fleet file that the schedule is kept by; empty: none
	// Paused is how a new schedule begins; an update leaves the present state.
	Paused bool `json:"-"`
}

// CatchupWindow is how late a start that was missed is still made up for. What
// Spec leaves open is one interval of its cron expression, a day at most and a
// minute at least.
func (s Spec) CatchupWindow() time.Duration {
	if s.Catchup != 0 {
		return s.Catchup
	}
	w, err := parseWhen(s.Cron, s.Timezone)
	if err != nil {
		return time.Hour
	}
	return max(w.interval(), time.Minute)
}

// specMemo is the memo key under which a schedule's action keeps its Spec: the
// server compiles cron expressions and does not give them back.
const specMemo = "canvasback"

var overlaps = map[string]enumspb.ScheduleOverlapPolicy{
	"":           enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	"skip":       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	"buffer-one": enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
}

// Overlap translates an overlap policy's name. Policies that would let two
// backups of one database run at once, or kill a running one, are not offered.
func Overlap(name string) (enumspb.ScheduleOverlapPolicy, error) {
	p, ok := overlaps[name]
	if !ok {
		return 0, failure.Errorf(failure.BadSchedule, "overlap policy %q: want skip or buffer-one", name)
	}
	return p, nil
}

// Check finds what can be known to be wrong without the server: a
// failure.BadSchedule.
func (s Spec) Check() error {
	if s.Cron == "" {
		return failure.Errorf(failure.BadSchedule, "the cron expression for %s is empty", s.Database)
	}
	if _, err := parseWhen(s.Cron, s.Timezone); err != nil {
		return err
	}
	if s.Jitter < 0 || s.Catchup < 0 {
		return failure.Errorf(failure.BadSchedule, "jitter and catch-up window cannot be negative")
	}
	_, err := Overlap(s.Overlap)
	return err
}

func (s Spec) schedule() (*client.Schedule, error) {
	memo, err := s.memo()
	if err != nil {
		return nil, err
	}
	overlap, err := Overlap(s.Overlap)
	if err != nil {
		return nil, err
	}
	summary, details := s.about()
	return &client.Schedule{
		Spec: &client.ScheduleSpec{CronExpressions: []string{s.Cron}, TimeZoneName: s.Timezone, Jitter: s.Jitter},
		Action: &client.ScheduleWorkflowAction{
			ID: s.Task.ID(s.Database), Workflow: s.Task.workflow(), TaskQueue: job.Queue(s.Host),
			Args:                     []any{s.Task.input(s.Database)},
			WorkflowExecutionTimeout: RunTimeout,
			StaticSummary:            summary,
			StaticDetails:            details,
			Memo:                     memo,
		},
		Policy: &client.SchedulePolicies{Overlap: overlap, CatchupWindow: s.CatchupWindow()},
		State:  &client.ScheduleState{Paused: s.Paused},
	}, nil
}

// memo is what every run carries of the Spec that it was started from, so that
// lists and descriptions can show it.
func (s Spec) memo() (map[string]any, error) {
	text, err := json.Marshal(s)
	return map[string]any{specMemo: string(text)}, err
}

// specOfMemo reads what memo wrote, as a string or as the server's payload.
func specOfMemo(value any) (Spec, bool) {
	var s Spec
	text, ok := memoText(value)
	return s, ok && json.Unmarshal([]byte(text), &s) == nil
}

// CreateSchedule makes the schedule of a database: ScheduleConflict where there
// is one, or a cron workflow.
func CreateSchedule(ctx context.Context, c client.Client, s Spec) error {
	if err := s.Check(); err != nil {
		return err
	}
	if err := s.refuseCron(ctx, c); err != nil {
		return err
	}
	sched, err := s.schedule()
	if err != nil {
		return err
	}
	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: s.Task.ID(s.Database), Spec: *sched.Spec, Action: sched.Action,
		Overlap: sched.Policy.Overlap, CatchupWindow: sched.Policy.CatchupWindow, Paused: s.Paused,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return failure.Errorf(failure.ScheduleConflict, "database %s has a %s schedule already: update it, or delete it first", s.Database, s.Task)
	}
	if err != nil {
		return scheduleError(s.Cron, err)
	}
	// A cron workflow may have been started meanwhile.
	if err := s.refuseCron(ctx, c); err != nil {
		return errors.Join(err, Schedule(ctx, c, s.Task, s.Database).Delete(ctx))
	}
	return nil
}

// UpdateSchedule replaces the spec, action and policy of a database's schedule,
// by what change makes of the present Spec. Nothing is sent when nothing
// differs: an update would drop a start that waits in its jitter. What was
// changed elsewhere is put back, and what is not encrypted with the present key
// is.
func UpdateSchedule(ctx context.Context, c client.Client, task Task, database string, change func(*Spec)) (changed bool, err error) {
	h := Schedule(ctx, c, task, database)
	d, err := h.Describe(ctx)
	if err != nil {
		return false, noSchedule(task, database, err)
	}
	now, known := SpecOf(d)
	want := now
	want.Task, want.Database = task, database
	change(&want)
	if known && want == now && !Drifted(d) && !stale(d) {
		return false, nil
	}
	if err := want.Check(); err != nil {
		return false, err
	}
	sched, err := want.schedule()
	if err != nil {
		return false, err
	}
	err = h.Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			sched.State = in.Description.Schedule.State
			return &client.ScheduleUpdate{Schedule: sched}, nil
		},
	})
	return true, scheduleError(want.Cron, err)
}

// EnsureSchedule makes the schedule what s says, whatever was there. One of a
// fleet stays of it unless s names another.
func EnsureSchedule(ctx context.Context, c client.Client, s Spec) (changed bool, err error) {
	err = CreateSchedule(ctx, c, s)
	if err == nil {
		return true, nil
	}
	if failure.Of(err) != failure.ScheduleConflict {
		return false, err
	}
	if err := s.refuseCron(ctx, c); err != nil {
		return false, err
	}
	return UpdateSchedule(ctx, c, s.Task, s.Database, func(now *Spec) {
		if s.Fleet == "" {
			s.Fleet = now.Fleet
		}
		*now = s
	})
}

// SpecOf is the Spec that a schedule was made from; false where it was not made
// by this program.
func SpecOf(d *client.ScheduleDescription) (Spec, bool) {
	a, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return Spec{}, false
	}
	return specOfMemo(a.Memo[specMemo])
}

// Schedule is the handle of a database's schedule, which may not exist.
func Schedule(ctx context.Context, c client.Client, task Task, database string) client.ScheduleHandle {
	return c.ScheduleClient().GetHandle(ctx, task.ID(database))
}

// DescribeSchedule fails with NoSchedule where the database has none.
func DescribeSchedule(ctx context.Context, c client.Client, task Task, database string) (*client.ScheduleDescription, error) {
	d, err := Schedule(ctx, c, task, database).Describe(ctx)
	if err != nil {
		return nil, noSchedule(task, database, err)
	}
	return d, nil
}

// Backfill starts the runs that a past time span would have had, one after
// another. NoSchedule where the database has none.
func Backfill(ctx context.Context, c client.Client, task Task, database string, from, to time.Time) error {
	err := Schedule(ctx, c, task, database).Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{
		{Start: from, End: to, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL},
	}})
	if err != nil {
		return noSchedule(task, database, err)
	}
	return nil
}

// HostOf is the host whose worker takes the backups of a database: what its
// schedule or cron workflow says, else what the caller does.
func HostOf(ctx context.Context, c client.Client, database, otherwise string) (string, error) {
	s := &Status{Spec: Spec{Database: database, Host: otherwise}}
	if _, err := s.begins(ctx, c, lookUp(ctx, c, database)); err != nil {
		return "", err
	}
	if s.Spec.Host == "" {
		return otherwise, nil
	}
	return s.Spec.Host, nil
}

// HasSchedule says whether the database has a schedule of the task.
func HasSchedule(ctx context.Context, c client.Client, task Task, database string) (bool, error) {
	_, err := Schedule(ctx, c, task, database).Describe(ctx)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, Unreachable(err)
}

// refuseCron is for backups: drills have no cron workflow.
func (s Spec) refuseCron(ctx context.Context, c client.Client) error {
	if s.Task != TaskBackup {
		return nil
	}
	cron, err := DescribeCron(ctx, c, s.Database)
	if err != nil {
		return err
	}
	return conflictIf(cron != nil, "database %s has a cron workflow: stop it with 'starter stop --cron' before making a schedule", s.Database)
}

func conflictIf(there bool, format string, args ...any) error {
	if !there {
		return nil
	}
	return failure.Errorf(failure.ScheduleConflict, format, args...)
}

func isNotFound(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}

// noSchedule types the error of a schedule call.
func noSchedule(task Task, database string, err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return failure.Errorf(failure.NoSchedule, "database %s has no %s schedule", database, task)
	}
	return Unreachable(err)
}

// scheduleError types what the server says of a cron expression.
func scheduleError(cron string, err error) error {
	var invalid *serviceerror.InvalidArgument
	if errors.As(err, &invalid) {
		return failure.Errorf(failure.BadSchedule, "the schedule %q was refused: %w", cron, err)
	}
	return Unreachable(err)
}

// Unreachable types an error of a call to the server that got no answer, one that
// the server has no room for or does not let this client make, or one that cannot be
// decrypted.
func Unreachable(err error) error {
	switch failure.Of(err) {
	case failure.TemporalUnreachable, failure.TemporalBusy, failure.TemporalDenied, failure.Payload:
		return err
	}
	if err == nil {
		return nil
	}
	if exhausted(err) {
		return failure.Errorf(failure.TemporalBusy, "Temporal is too busy: %w", err)
	}
	if text, refused := codec.Refused(err); refused {
		return failure.Errorf(failure.Payload, "%s", text)
	}
	if denied(err) {
		return failure.Errorf(failure.TemporalDenied, "Temporal does not let this client do that: %w", err)
	}
	var unavailable *serviceerror.Unavailable
	var deadline *serviceerror.DeadlineExceeded
	var ended *serviceerror.Canceled // the server was stopped while it answered
	if errors.As(err, &unavailable) || errors.As(err, &deadline) || errors.As(err, &ended) || errors.Is(err, context.DeadlineExceeded) {
		return failure.Errorf(failure.TemporalUnreachable, "Temporal does not answer: %w", err)
	}
	return err
}

// memoText reads a string from a memo, which is a payload when it comes from
// the server.
func memoText(value any) (string, bool) {
	if s, ok := value.(string); ok {
		return s, true
	}
	var s string
	p, ok := value.(payload)
	if !ok {
		return "", false
	}
	return s, fromPayload(p, &s)
}

func fromPayload(p payload, to any) bool {
	return converter.GetDefaultDataConverter().FromPayload(p, to) == nil
}

// ScheduleError types the error of any other call on a database's schedule.
func ScheduleError(task Task, database string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s schedule of %s: %w", task, database, noSchedule(task, database, err))
}
