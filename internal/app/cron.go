package app

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// StartCron starts the literal cron workflow of a database: ScheduleConflict
// where it has a schedule, or a cron workflow that differs. One that is there
// and is the same is reported and left alone.
func StartCron(ctx context.Context, c client.Client, s Spec) (already bool, err error) {
	if err := s.Check(); err != nil {
		return false, err
	}
	if err := refuseSchedule(ctx, c, s.Database); err != nil {
		return false, err
	}
	memo, err := s.memo()
	if err != nil {
		return false, err
	}
	summary, details := s.about()
	w, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: job.BackupID(s.Database), TaskQueue: job.Queue(s.Host), CronSchedule: s.cronLine(),
		WorkflowRunTimeout:                       RunTimeout, // an execution timeout would end the whole chain
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary,
		StaticDetails:                            details,
		Memo:                                     memo,
	}, job.BackupWorkflow, job.BackupInput{Database: s.Database})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return sameCron(ctx, c, s)
	}
	if err != nil {
		return false, scheduleError(s.Cron, err)
	}
	// A schedule may have been made meanwhile.
	if err := refuseSchedule(ctx, c, s.Database); err != nil {
		return false, errors.Join(err, c.TerminateWorkflow(ctx, w.GetID(), w.GetRunID(), "the database has a schedule"))
	}
	return false, nil
}

// cronLine is the form that a cron workflow takes.
func (s Spec) cronLine() string {
	if s.Timezone == "" || s.Timezone == "UTC" {
		return s.Cron
	}
	return "CRON_TZ=" + s.Timezone + " " + s.Cron
}

func sameCron(ctx context.Context, c client.Client, s Spec) (bool, error) {
	cron, err := DescribeCron(ctx, c, s.Database)
	if err != nil {
		return false, err
	}
	if cron != nil && cron.Spec.cronLine() == s.cronLine() && cron.Spec.Host == s.Host {
		return true, nil
	}
	return false, failure.Errorf(failure.ScheduleConflict,
		"database %s has a cron workflow with another schedule or host already: end it with 'starter stop --cron' first", s.Database)
}

func refuseSchedule(ctx context.Context, c client.Client, database string) error {
	has, err := HasSchedule(ctx, c, TaskBackup, database)
	if err != nil {
		return err
	}
	return conflictIf(has, "database %s has a schedule: delete it before starting a cron workflow", database)
}
