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

// ensureSchedules makes the schedules of every configured database what the
// flags say, and removes those of databases that are configured no more: they
// would start runs that no worker here knows.
func (s *standalone) ensureSchedules(ctx context.Context) error {
	wanted := map[string]bool{}
	for _, d := range s.config.Databases {
		for _, task := range s.tasks() {
			wanted[task.ID(d.Name)] = true
			if err := s.ensureSchedule(ctx, task, d.Name); err != nil {
				return err
			}
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
		for _, task := range []app.Task{app.TaskBackup, app.TaskDrill} {
			database, ours := strings.CutPrefix(e.ID, task.ID(""))
			if !ours || wanted[e.ID] {
				continue
			}
			if err := s.client.ScheduleClient().GetHandle(ctx, e.ID).Delete(ctx); err != nil {
				return fmt.Errorf("remove the schedule %s: %w", e.ID, err)
			}
			s.screen.line("  Removed the %s schedule of %s, which is configured no more. Its backups stay.", task, database)
		}
	}
	return nil
}

// tasks are what has a schedule here.
func (s *standalone) tasks() []app.Task {
	if s.options.drillCron == "" {
		return []app.Task{app.TaskBackup}
	}
	return []app.Task{app.TaskBackup, app.TaskDrill}
}

func (s *standalone) ensureSchedule(ctx context.Context, task app.Task, database string) error {
	spec := app.Spec{Task: task, Database: database, Host: s.config.Host, Cron: s.options.cron, Timezone: s.options.timezone}
	if task == app.TaskDrill {
		spec.Cron = s.options.drillCron
	}
	_, err := app.EnsureSchedule(ctx, s.client, spec)
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
