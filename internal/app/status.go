package app

import (
	"context"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
)

// Status is what Temporal knows about the backups of one database. Of its Spec
// only the database and the host are set where backups begin by hand.
type Status struct {
	Spec  Spec
	Facts health.Temporal
}

// StatusOf describes the backups of a database. Host is where its worker is
// looked for if nothing says another one.
func StatusOf(ctx context.Context, c client.Client, database, host string) (*Status, error) {
	return statusOf(ctx, c, database, host, lookUp(ctx, c, database))
}

// lookup finds, of a task of the database, the run that ended last, nil if none
// has, and the schedule, NoSchedule if there is none.
type lookup struct {
	newest   func(Task) (*workflowpb.WorkflowExecutionInfo, error)
	schedule func(Task) (*client.ScheduleDescription, error)
}

func lookUp(ctx context.Context, c client.Client, database string) lookup {
	return lookup{
		func(task Task) (*workflowpb.WorkflowExecutionInfo, error) { return newestEnded(ctx, c, task, database) },
		func(task Task) (*client.ScheduleDescription, error) { return DescribeSchedule(ctx, c, task, database) },
	}
}

// statusOf is StatusOf with other ways to look things up.
func statusOf(ctx context.Context, c client.Client, database, host string, l lookup) (*Status, error) {
	s := &Status{Spec: Spec{Database: database, Host: host}, Facts: health.Temporal{Begins: health.ByHand}}
	running, err := s.begins(ctx, c, l)
	if err != nil {
		return nil, err
	}
	if running == nil {
		if running, err = runningAs(ctx, c, TaskBackup.manualID(database)); err != nil {
			return nil, err
		}
	}
	if running != nil {
		d, err := c.DescribeWorkflowExecution(ctx, running.WorkflowID, running.RunID)
		if err != nil && !isNotFound(err) {
			return nil, Unreachable(err)
		}
		s.Facts.Run = runFacts(d)
	}
	info, err := l.newest(TaskBackup)
	if err != nil {
		return nil, err
	}
	if info != nil {
		if spec, ok := specOfMemo(info.GetMemo().GetFields()[specMemo]); ok && s.Facts.Begins == health.ByHand {
			s.Spec.Host = spec.Host
		} else if ok && s.Facts.Partial {
			s.Spec = spec
			s.times()
		}
		if s.Facts.Last, err = endedFacts(ctx, c, database, info); err != nil {
			return nil, err
		}
	}
	if info, err = l.newest(TaskDrill); err != nil {
		return nil, err
	}
	return s, s.drills(ctx, c, l, info)
}

// begins fills in the schedule or cron workflow, and returns the run of it that
// is at work, nil if none is.
func (s *Status) begins(ctx context.Context, c client.Client, l lookup) (*Run, error) {
	d, err := l.schedule(TaskBackup)
	if err == nil {
		s.bySchedule(d)
		for _, r := range d.Info.RunningWorkflows {
			if on, err := isRunning(ctx, c, r.WorkflowID, r.FirstExecutionRunID); on || err != nil {
				return &Run{r.WorkflowID, r.FirstExecutionRunID}, err
			}
		}
		return nil, nil
	}
	if failure.Of(err) != failure.NoSchedule {
		return nil, err
	}
	cron, err := DescribeCron(ctx, c, s.Spec.Database)
	if err != nil || cron == nil {
		return nil, err
	}
	s.Spec = cron.Spec
	s.Facts.Begins, s.Facts.Since = health.ByCron, cron.Since
	s.times()
	if cron.Waiting {
		s.Facts.Next = cron.Next
		return nil, nil
	}
	return &cron.Run, nil
}

func (s *Status) bySchedule(d *client.ScheduleDescription) {
	if spec, ok := SpecOf(d); ok {
		s.Spec = spec
	}
	f := &s.Facts
	f.Begins, f.Partial = health.BySchedule, fromList(d)
	s.times()
	if state := d.Schedule.State; state != nil && state.Paused {
		f.Paused, f.Note = true, state.Note
	}
	f.Since = d.Info.CreatedAt
	f.Missed, f.Skipped = d.Info.NumActionsMissedCatchupWindow, d.Info.NumActionsSkippedOverlap
	if len(d.Info.NextActionTimes) > 0 {
		f.Next = d.Info.NextActionTimes[0]
	}
	for _, a := range d.Info.RecentActions {
		if a.ScheduleTime.After(f.Newest) {
			f.Newest = a.ScheduleTime
		}
	}
	if w, err := parseWhen(s.Spec.Cron, s.Spec.Timezone); err == nil {
		since := d.Info.CreatedAt
		if d.Info.LastUpdateAt.After(since) {
			since = d.Info.LastUpdateAt
		}
		f.Due = w.last(since, time.Now())
	}
}

// times are what follows from the Spec alone.
func (s *Status) times() {
	f := &s.Facts
	f.Schedule, f.Timezone, f.Jitter = s.Spec.Cron, s.Spec.Timezone, s.Spec.Jitter
	if f.Timezone == "" {
		f.Timezone = "UTC"
	}
	if w, err := parseWhen(s.Spec.Cron, s.Spec.Timezone); err == nil {
		f.Longest = w.longest()
		f.Catchup = s.Spec.CatchupWindow()
	}
}

// drills fills in the drills, of which newest is the one that ended last; it
// leaves nil where there never were any and no schedule starts one.
func (s *Status) drills(ctx context.Context, c client.Client, l lookup, newest *workflowpb.WorkflowExecutionInfo) error {
	d := &health.Drills{}
	schedule, err := l.schedule(TaskDrill)
	switch {
	case err == nil:
		spec, _ := SpecOf(schedule)
		d.Cron = spec.Cron
		s.Facts.Partial = s.Facts.Partial || fromList(schedule)
		d.Paused = schedule.Schedule.State != nil && schedule.Schedule.State.Paused
		if len(schedule.Info.NextActionTimes) > 0 {
			d.Next = &schedule.Info.NextActionTimes[0]
		}
	case failure.Of(err) != failure.NoSchedule:
		return err
	}
	if newest != nil {
		if d.Last, err = drillFacts(ctx, c, s.Spec.Database, newest); err != nil {
			return err
		}
	}
	if schedule != nil || d.Last != nil {
		s.Facts.Drill = d
	}
	return nil
}

// drillFacts is endedFacts for drills.
func drillFacts(ctx context.Context, c client.Client, database string, info *workflowpb.WorkflowExecutionInfo) (*health.Drilled, error) {
	run := runOf(info)
	d := &health.Drilled{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: statusNames[info.GetStatus()], Ended: info.GetCloseTime().AsTime()}
	result, failed, err := cameTo[job.DrillResult](ctx, c, run)
	switch {
	case isNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case failed != nil:
		d.Error = RunError(ctx, TaskDrill.Of(database), failed).Error()
		return d, nil
	}
	d.Passed, d.Backup, d.RestoreSeconds, d.BytesPerSecond = true, result.ID, result.RestoreSeconds, result.BytesPerSecond
	return d, nil
}
