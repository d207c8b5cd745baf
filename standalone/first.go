package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

const pollEvery = 200 * time.Millisecond

// firstBackups takes a backup of every database, one after another, and shows
// each. A failure does not keep the others from being tried.
func (s *standalone) firstBackups(ctx context.Context) error {
	var errs []error
	for _, d := range s.config.Databases {
		if err := s.firstBackup(ctx, d.Name); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *standalone) firstBackup(ctx context.Context, database string) error {
	s.screen.line("")
	run, running, err := s.begin(ctx, database)
	if err != nil {
		return err
	}
	if running {
		s.screen.line("A backup of %s is running already, going on with it.", database)
	} else {
		s.screen.line("Backing up %s ...", database)
	}
	before := s.commits()
	result, err := s.follow(ctx, run)
	if err != nil {
		return runFailure(ctx, database, err)
	}
	during := s.commits()
	r := &report{
		result:     result,
		database:   database,
		repository: s.config.Repository,
		page:       s.page(run),
		cron:       s.options.cron,
		timezone:   s.options.timezone,
		goRun:      goRun(),
	}
	if r.next, r.paused, err = s.next(ctx, database); err != nil {
		return err
	}
	if s.sample != nil {
		after, err := s.commitsAfter(ctx, during)
		if err != nil {
			return err
		}
		held, err := s.held(database, result.ID)
		if err != nil {
			return err
		}
		r.commits = &commits{before: before, during: during, after: after, held: held}
	}
	s.screen.report(r)
	return nil
}

// begin has the schedule start a backup, unless one runs already.
func (s *standalone) begin(ctx context.Context, database string) (run client.WorkflowRun, running bool, err error) {
	r, err := app.Running(ctx, s.client, app.TaskBackup, database)
	if err != nil {
		return nil, false, err
	}
	if running = r != nil; !running {
		if r, err = app.StartNow(ctx, s.client, app.TaskBackup, database, s.config.Host); err != nil {
			return nil, false, err
		}
	}
	return s.client.GetWorkflow(ctx, r.WorkflowID, r.RunID), running, nil
}

// follow shows the run's progress until it ends.
func (s *standalone) follow(ctx context.Context, run client.WorkflowRun) (*job.BackupResult, error) {
	var result job.BackupResult
	done := make(chan error, 1)
	go func() { done <- run.Get(ctx, &result) }()
	defer s.screen.endProgress()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return &result, err
		case <-tick.C:
			d, err := s.client.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
			if err == nil {
				s.screen.progress(pending(d))
			}
		}
	}
}

// step is the activity that a run is at.
type step struct {
	name     string
	attempt  int32
	failure  string // of the attempt before
	progress job.Progress
}

func pending(d *workflowservice.DescribeWorkflowExecutionResponse) (st step) {
	if len(d.PendingActivities) == 0 {
		return step{}
	}
	a := d.PendingActivities[0]
	st.name, st.attempt = a.GetActivityType().GetName(), a.GetAttempt()
	st.failure = a.GetLastFailure().GetMessage()
	if a.HeartbeatDetails != nil {
		// A heartbeat of another form is not shown, and nothing else.
		_ = converter.GetDefaultDataConverter().FromPayloads(a.HeartbeatDetails, &st.progress)
	}
	return st
}

// runFailure gives a run's failure the kind that the worker gave it.
func runFailure(ctx context.Context, database string, err error) error {
	if ctx.Err() != nil {
		return failure.Errorf(failure.Interrupted, "the backup of %s goes on at the next start: %w", database, ctx.Err())
	}
	kind := failure.RunFailed
	var cause *temporal.ApplicationError
	if errors.As(err, &cause) {
		for _, k := range failure.Kinds {
			if k.Name == cause.Type() {
				kind = k
			}
		}
		return failure.Errorf(kind, "backup of %s: %s", database, cause.Message())
	}
	return failure.Errorf(kind, "backup of %s: %w", database, err)
}

// page is the address of the run in the Web UI.
func (s *standalone) page(run client.WorkflowRun) string {
	ui := s.server.UIAddress()
	if ui == "" {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/default/workflows/%s/%s/timeline", ui, escape(run.GetID()), run.GetRunID())
}

func (s *standalone) commits() int64 {
	if s.sample == nil {
		return 0
	}
	return s.sample.Commits()
}

// commitsAfter waits for the writer to write on, and says how far it is.
func (s *standalone) commitsAfter(ctx context.Context, n int64) (int64, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if now := s.sample.Commits(); now > n {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-s.sample.Done():
			return 0, errors.Join(errors.New("the sample's writer has ended"), s.sample.Stop())
		case <-tick.C:
		}
	}
}

// held is the number of the sample's transactions in a backup, as the engine
// that verified it counted them.
func (s *standalone) held(database, id string) (int64, error) {
	r, err := repo.Open(vfs.OS(), s.config.Repository)
	if err != nil {
		return 0, err
	}
	m, err := r.Get(database, id)
	if err != nil {
		return 0, err
	}
	if m.Verification != nil {
		for _, t := range m.Verification.Tables {
			if t.Name == "main.ledger" {
				return t.Rows, nil
			}
		}
	}
	return 0, fmt.Errorf("backup %s of %s: the ledger is not in it", id, database)
}
