package fleettest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"canvasback/internal/app"
	"canvasback/internal/job"
)

// run is one run of the Backup workflow, as Temporal tells of it.
type run struct {
	database, id, run   string
	nominal             time.Time // when it was due, without jitter
	due                 time.Time // with it; zero: no longer known
	began, ended        time.Time
	status              enumspb.WorkflowExecutionStatus
	events, historySize int64
	activities          []activity
	failedTasks         []string // workflow tasks that failed, by cause
}

// activity is one step that was done.
type activity struct {
	name                    string
	scheduled, began, ended time.Time
	attempt                 int32
}

// starts is what a schedule says of itself.
type starts struct {
	made            time.Time
	actions         int
	missed, skipped int
	due             map[string]time.Time // by run ID, of the last ones
	running         int
}

func (s *stage) starts(database string) starts {
	s.t.Helper()
	d, err := app.DescribeSchedule(s.t.Context(), s.client, app.TaskBackup, database)
	require.NoError(s.t, err)
	i := d.Info
	st := starts{made: i.CreatedAt, actions: i.NumActions, missed: i.NumActionsMissedCatchupWindow, skipped: i.NumActionsSkippedOverlap, running: len(i.RunningWorkflows), due: map[string]time.Time{}}
	for _, a := range i.RecentActions {
		if a.StartWorkflowResult != nil {
			st.due[a.StartWorkflowResult.FirstExecutionRunID] = a.ScheduleTime
		}
	}
	return st
}

// list returns all runs of Backup that match the rest of a query.
func (s *stage) list(and string) []*run {
	s.t.Helper()
	var runs []*run
	var token []byte
	for {
		r, err := s.client.ListWorkflow(s.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: 1000, NextPageToken: token, Query: "WorkflowType = '" + job.BackupWorkflow + "'" + and,
		})
		require.NoError(s.t, err)
		for _, e := range r.Executions {
			runs = append(runs, s.runOf(e))
		}
		if token = r.NextPageToken; len(token) == 0 {
			return runs
		}
	}
}

func (s *stage) runOf(e *workflowpb.WorkflowExecutionInfo) *run {
	r := &run{
		id: e.Execution.WorkflowId, run: e.Execution.RunId, status: e.Status,
		began: e.StartTime.AsTime(), events: e.HistoryLength, historySize: e.HistorySizeBytes,
	}
	if e.CloseTime != nil {
		r.ended = e.CloseTime.AsTime()
	}
	payload := e.SearchAttributes.GetIndexedFields()["TemporalScheduledStartTime"]
	require.NotNil(s.t, payload, "%s was not started by a schedule", r.id)
	require.NoError(s.t, converter.GetDefaultDataConverter().FromPayload(payload, &r.nominal))
	name := strings.TrimPrefix(r.id, job.BackupID(""))
	at := strings.LastIndex(name, "-"+r.nominal.UTC().Format("2006-01-02T"))
	require.Positive(s.t, at, r.id)
	r.database = name[:at]
	return r
}

const atWork = " AND ExecutionStatus = 'Running'"

// running counts the host's runs at work.
func (s *stage) running(h *host) (n int) {
	for _, r := range s.list(atWork) {
		if slices.Contains(h.databases, r.database) {
			n++
		}
	}
	return n
}

// settled waits for the end of all runs, of which every database has one at
// least.
func (s *stage) settled() {
	s.t.Helper()
	count := func(and string) int64 {
		r, err := s.client.CountWorkflow(s.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: "WorkflowType = '" + job.BackupWorkflow + "'" + and})
		if err != nil {
			return -1
		}
		return r.Count
	}
	s.eventually("no run is at work", time.Hour, func() bool { return count("") >= int64(*databases) && count(atWork) == 0 })
}

// follow reads the run's history.
func (s *stage) follow(r *run) {
	s.t.Helper()
	at := map[int64]int{}
	it := s.client.GetWorkflowHistory(context.Background(), r.id, r.run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(s.t, err)
		when := e.EventTime.AsTime()
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			at[e.EventId] = len(r.activities)
			r.activities = append(r.activities, activity{name: a.ActivityType.Name, scheduled: when})
		}
		if a := e.GetActivityTaskStartedEventAttributes(); a != nil {
			r.activities[at[a.ScheduledEventId]].began = when
			r.activities[at[a.ScheduledEventId]].attempt = a.Attempt
		}
		if a := e.GetActivityTaskCompletedEventAttributes(); a != nil {
			r.activities[at[a.ScheduledEventId]].ended = when
		}
		if a := e.GetWorkflowTaskFailedEventAttributes(); a != nil {
			r.failedTasks = append(r.failedTasks, a.Cause.String()+": "+a.GetFailure().GetMessage())
		}
	}
}

// pauseAll lets no more starts happen. A server that is hard at work may take
// its time.
func (s *stage) pauseAll() {
	s.t.Helper()
	for _, h := range s.hosts {
		for _, db := range h.databases {
			s.eventually("the schedule of "+db+" is paused", 10*time.Minute, func() bool {
				return app.Schedule(s.t.Context(), s.client, app.TaskBackup, db).Pause(s.t.Context(), client.SchedulePauseOptions{Note: "the end"}) == nil
			})
		}
	}
}
