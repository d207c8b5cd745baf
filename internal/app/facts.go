package app

import (
	"context"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
)

func runOf(info *workflowpb.WorkflowExecutionInfo) Run {
	return Run{info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId()}
}

// begun is the length of the history of a run whose first task a worker has
// taken: it was started, the task scheduled, and more.
const begun = 3

// runFacts are what the server tells of a run at work; nil if it is not.
func runFacts(d *workflowservice.DescribeWorkflowExecutionResponse) *health.Run {
	info := d.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil
	}
	run := runOf(info)
	r := &health.Run{
		WorkflowID: run.WorkflowID, RunID: run.RunID,
		Started: timeOf(info.GetExecutionTime()), Begun: info.GetHistoryLength() >= begun, Progress: progressOf(d),
	}
	if r.Started.IsZero() {
		r.Started = timeOf(info.GetStartTime())
	}
	if t := d.GetPendingWorkflowTask(); t != nil {
		r.Task, r.TaskSince = int(t.GetAttempt()), timeOf(t.GetScheduledTime())
	}
	for _, a := range pendingSteps(d) {
		r.Attempt = int(a.GetAttempt())
		r.Waiting = a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED
		r.Queued = queued(a)
		r.Error = a.GetLastFailure().GetMessage()
		for _, at := range []*timestamppb.Timestamp{a.GetScheduledTime(), a.GetLastStartedTime(), a.GetLastHeartbeatTime()} {
			if t := timeOf(at); t.After(r.Heartbeat) {
				r.Heartbeat = t
			}
		}
	}
	return r
}

// queued tells a step that waits for its turn from one that waits to be tried
// again.
func queued(a *workflowpb.PendingActivityInfo) bool {
	return job.TurnStep(a.GetActivityType().GetName()) != "" && a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED &&
		a.GetNextAttemptScheduleTime() == nil
}

// timeOf is zero where the server says nothing, or says zero.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t.GetSeconds() <= 0 {
		return time.Time{}
	}
	return t.AsTime()
}

// endedFacts are what came of a run that has ended; nil where it was forgotten
// since it was listed.
func endedFacts(ctx context.Context, c client.Client, database string, info *workflowpb.WorkflowExecutionInfo) (*health.Ended, error) {
	run := runOf(info)
	e := &health.Ended{
		WorkflowID: run.WorkflowID, RunID: run.RunID, Status: statusNames[info.GetStatus()],
		Started: timeOf(info.GetExecutionTime()), Ended: timeOf(info.GetCloseTime()),
	}
	if e.Started.IsZero() {
		e.Started = timeOf(info.GetStartTime())
	}
	if spec, ok := specOfMemo(info.GetMemo().GetFields()[specMemo]); ok {
		e.Host = spec.Host
	}
	result, failed, err := cameTo[job.BackupResult](ctx, c, run)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if failed != nil {
		failed = RunError(ctx, TaskBackup.Of(database), failed)
		e.Error, e.Kind = failed.Error(), failure.Of(failed).Name
		if e.Status == "completed" {
			e.Status = "failed" // and followed by the next run of its cron workflow
		}
		if e.Kind == failure.Hook.Name {
			e.Hook = e.Error
		}
		return e, nil
	}
	e.Backup, e.State, e.Rule, e.Attempts, e.Bytes, e.Hook = result.ID, result.State, result.Rule, result.Attempts, result.Bytes, result.Checkpoint.Error
	return e, nil
}

var statusNames = map[enumspb.WorkflowExecutionStatus]string{
	enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:        "completed",
	enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:           "failed",
	enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:         "canceled",
	enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:       "terminated",
	enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:        "timed_out",
	enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: "completed",
}
