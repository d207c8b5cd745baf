package app

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// DrillStatus is what Temporal knows about the drills of one database.
type DrillStatus struct {
	Cron   string       `json:"schedule,omitempty"` // empty: drills have no schedule
	Paused bool         `json:"paused"`
	Next   *time.Time   `json:"next,omitempty"`
	Last   *DrillResult `json:"last,omitempty"` // the drill that ended last
}

// DrillResult is a drill that has ended.
type DrillResult struct {
	Run
	Status         string    `json:"status"` // completed, failed, canceled, terminated or timed_out
	Passed         bool      `json:"passed"`
	Ended          time.Time `json:"ended"`
	Error          string    `json:"error,omitempty"`
	Backup         string    `json:"backup,omitempty"` // its ID, where the drill passed
	RestoreSeconds float64   `json:"restore_seconds"`
	BytesPerSecond float64   `json:"bytes_per_second"`
}

// drills fills in the drills; it leaves nil where there never were any and no
// schedule starts one.
func (s *Status) drills(ctx context.Context, c client.Client) error {
	d := &DrillStatus{}
	schedule, err := DescribeSchedule(ctx, c, TaskDrill, s.Database)
	switch {
	case err == nil:
		spec, _ := SpecOf(schedule)
		d.Cron = spec.Cron
		d.Paused = schedule.Schedule.State != nil && schedule.Schedule.State.Paused
		if len(schedule.Info.NextActionTimes) > 0 {
			d.Next = &schedule.Info.NextActionTimes[0]
		}
	case failure.Of(err) != failure.NoSchedule:
		return err
	}
	if d.Last, err = lastDrill(ctx, c, s.Database); err != nil {
		return err
	}
	if schedule != nil || d.Last != nil {
		s.Drill = d
	}
	return nil
}

func lastDrill(ctx context.Context, c client.Client, database string) (*DrillResult, error) {
	info, err := newestEnded(ctx, c, TaskDrill, database)
	if info == nil || err != nil {
		return nil, err
	}
	d := &DrillResult{
		Run:    Run{info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId()},
		Status: statusNames[info.GetStatus()],
		Ended:  info.GetCloseTime().AsTime(),
	}
	result, err := resultOf[job.DrillResult](ctx, c, d.Run)
	if err != nil {
		d.Error = RunError(ctx, TaskDrill.Of(database), err).Error()
		return d, nil
	}
	d.Passed, d.Backup, d.RestoreSeconds, d.BytesPerSecond = true, result.ID, result.RestoreSeconds, result.BytesPerSecond
	return d, nil
}
