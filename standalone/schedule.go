package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/internal/job"
)

// ensureSchedules makes the schedule of every configured database what the
// flags say, and removes those of databases that are configured no more: they
// would start backups that no worker here knows.
func (s *standalone) ensureSchedules(ctx context.Context) error {
	wanted := map[string]bool{}
	for _, d := range s.config.Databases {
		wanted[job.BackupID(d.Name)] = true
		if err := s.ensureSchedule(ctx, d.Name); err != nil {
			return err
		}
	}
	schedules, err := s.client.ScheduleClient().List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return fmt.Errorf("list the schedules: %w", err)
	}
	for schedules.HasNext() {
		e, err := schedules.Next()
		if err != nil {
			return fmt.Errorf("list the schedules: %w", err)
		}
		database, ours := strings.CutPrefix(e.ID, job.BackupID(""))
		if !ours || wanted[e.ID] {
			continue
		}
		if err := s.client.ScheduleClient().GetHandle(ctx, e.ID).Delete(ctx); err != nil {
			return fmt.Errorf("remove the schedule %s: %w", e.ID, err)
		}
		s.screen.line("  Removed the schedule of %s, which is configured no more. Its backups stay.", database)
	}
	return nil
}

func (s *standalone) ensureSchedule(ctx context.Context, database string) error {
	_, err := app.EnsureSchedule(ctx, s.client, app.Spec{
		Database: database,
		Host:     s.config.Host,
		Cron:     s.options.cron,
		Timezone: s.options.timezone,
	})
	return err
}

// next is when the schedule of the database starts its next backup; zero if it
// never does.
func (s *standalone) next(ctx context.Context, database string) (at time.Time, paused bool, err error) {
	d, err := s.client.ScheduleClient().GetHandle(ctx, job.BackupID(database)).Describe(ctx)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("describe the schedule of %s: %w", database, err)
	}
	paused = d.Schedule.State != nil && d.Schedule.State.Paused
	if len(d.Info.NextActionTimes) > 0 {
		at = d.Info.NextActionTimes[0]
	}
	return at, paused, nil
}
