package app

import (
	"github.com/robfig/cron"
	"go.temporal.io/sdk/client"

	"canvasback/internal/codec"
	"canvasback/internal/job"
)

// Drifted says whether a schedule does something else than the Spec that it
// carries: it was changed elsewhere, in the Temporal UI for one.
func Drifted(d *client.ScheduleDescription) bool {
	s, ok := SpecOf(d)
	if !ok {
		return true
	}
	want, err := s.schedule()
	if err != nil || d.Schedule.Policy == nil || *d.Schedule.Policy != *want.Policy {
		return true
	}
	return !s.sameAction(d.Schedule.Action) || !s.sameTimes(d.Schedule.Spec)
}

// stale says whether the server keeps the schedule's action in plain, or encrypted
// with a key that is not the present one, where there is one.
func stale(d *client.ScheduleDescription) bool {
	a, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return false
	}
	for _, arg := range a.Args {
		if p, ok := arg.(payload); ok && codec.Stale(p) {
			return true
		}
	}
	p, ok := a.Memo[specMemo].(payload)
	return ok && codec.Stale(p)
}

func (s Spec) sameAction(action client.ScheduleAction) bool {
	a, ok := action.(*client.ScheduleWorkflowAction)
	if !ok || len(a.Args) != 1 {
		return false
	}
	summary, details := s.about()
	arg, ok := a.Args[0].(payload)
	return ok && s.Task.asks(s.Database, arg) &&
		a.Workflow == s.Task.workflow() && a.ID == s.Task.ID(s.Database) && a.TaskQueue == job.Queue(s.Host) &&
		a.WorkflowExecutionTimeout == RunTimeout && a.StaticSummary == summary && a.StaticDetails == details
}

// sameTimes compares with what the server made of the cron expression.
func (s Spec) sameTimes(spec *client.ScheduleSpec) bool {
	w, err := parseWhen(s.Cron, s.Timezone)
	if err != nil || spec == nil || spec.Jitter != s.Jitter || zoneOf(spec.TimeZoneName) != w.timezone {
		return false
	}
	if len(spec.Skip) > 0 || !spec.StartAt.IsZero() || !spec.EndAt.IsZero() || len(spec.CronExpressions) > 0 {
		return false
	}
	switch want := w.parsed.(type) {
	case cron.ConstantDelaySchedule:
		return len(spec.Calendars) == 0 && len(spec.Intervals) == 1 && spec.Intervals[0] == client.ScheduleIntervalSpec{Every: want.Delay}
	case *cron.SpecSchedule:
		if len(spec.Calendars) != 1 || len(spec.Intervals) > 0 {
			return false
		}
		c := spec.Calendars[0]
		return len(c.Year) == 0 && values(c.Second) == 1 && values(c.Minute) == want.Minute&^star && values(c.Hour) == want.Hour&^star &&
			values(c.DayOfMonth) == want.Dom&^star && values(c.Month) == want.Month&^star && values(c.DayOfWeek) == want.Dow&^star
	}
	return false
}

func zoneOf(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
}

// values are the bits of the numbers below 64 that the ranges hold.
func values(ranges []client.ScheduleRange) uint64 {
	var bits uint64
	for _, r := range ranges {
		for n := r.Start; n <= min(max(r.End, r.Start), 63); n += max(r.Step, 1) {
			bits |= 1 << n
		}
	}
	return bits
}
