package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// How the backups of a database begin.
const (
	BySchedule = "schedule"
	ByCron     = "cron"
	ByHand     = "hand"
)

// Status is what Temporal knows about the backups of one database. Of its Spec
// only the database and the host are set where backups begin by hand.
type Status struct {
	Spec    `json:"-"`
	Begins  string     `json:"begins"`         // schedule, cron or hand
	Paused  bool       `json:"paused"`         // the schedule is
	Next    *time.Time `json:"next,omitempty"` // when the next backup begins
	Last    *Outcome   `json:"last,omitempty"` // the run that ended last
	Running *Active    `json:"running,omitempty"`
	Worker  bool       `json:"worker"` // one polls the host's queue

	Drill *DrillStatus `json:"drill,omitempty"`
}

// Outcome is a run that has ended.
type Outcome struct {
	Run
	Status string    `json:"status"` // completed, failed, canceled, terminated or timed_out
	Ended  time.Time `json:"ended"`
	Error  string    `json:"error,omitempty"`
	Backup string    `json:"backup,omitempty"` // its ID
	State  string    `json:"state,omitempty"`
}

// Active is a run at work.
type Active struct {
	Run
	Progress *job.Progress `json:"progress,omitempty"`
}

// Databases names those that Temporal has seen: with a schedule, or with a run
// that it still remembers. What it lists may lag behind by a second or two.
func Databases(ctx context.Context, c client.Client) ([]string, error) {
	names := map[string]bool{}
	schedules, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return nil, Unreachable(err)
	}
	for schedules.HasNext() {
		e, err := schedules.Next()
		if err != nil {
			return nil, Unreachable(err)
		}
		for _, task := range []Task{TaskBackup, TaskDrill} {
			if name, ours := strings.CutPrefix(e.ID, task.ID("")); ours && e.WorkflowType.Name == task.workflow() {
				names[name] = true
			}
		}
	}
	for _, task := range []Task{TaskBackup, TaskDrill} {
		runs, err := list(ctx, c, task, "", 1000)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			if s, ok := specOfMemo(r.GetMemo().GetFields()[specMemo]); ok {
				names[s.Database] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// list returns up to limit runs of the task, the newest first, all or those that
// also match the condition.
func list(ctx context.Context, c client.Client, task Task, condition string, limit int) ([]*workflowpb.WorkflowExecutionInfo, error) {
	query := "WorkflowType = '" + task.workflow() + "'"
	if condition != "" {
		query += " AND " + condition
	}
	var out []*workflowpb.WorkflowExecutionInfo
	var page []byte
	for {
		resp, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, NextPageToken: page})
		if err != nil {
			return nil, Unreachable(err)
		}
		out = append(out, resp.GetExecutions()...)
		page = resp.GetNextPageToken()
		if len(page) == 0 || len(out) >= limit {
			return out[:min(len(out), limit)], nil
		}
	}
}

// StatusOf describes the backups of a database. Host is where its worker is
// looked for if nothing says another one.
func StatusOf(ctx context.Context, c client.Client, database, host string) (*Status, error) {
	s := &Status{Spec: Spec{Database: database, Host: host}, Begins: ByHand}
	if err := s.begins(ctx, c); err != nil {
		return nil, err
	}
	run, err := Running(ctx, c, TaskBackup, database)
	if err != nil {
		return nil, err
	}
	if run != nil {
		s.Running = &Active{Run: *run}
		d, err := c.DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
		if err != nil {
			return nil, Unreachable(err)
		}
		s.Running.Progress = progressOf(d)
	}
	if s.Last, err = s.last(ctx, c); err != nil {
		return nil, err
	}
	if err := s.drills(ctx, c); err != nil {
		return nil, err
	}
	s.Worker, err = Polled(ctx, c, s.Host)
	return s, err
}

// begins fills in the schedule or cron workflow.
func (s *Status) begins(ctx context.Context, c client.Client) error {
	d, err := Schedule(ctx, c, TaskBackup, s.Database).Describe(ctx)
	if err == nil {
		s.Begins = BySchedule
		if spec, ok := SpecOf(d); ok {
			s.Spec = spec
		}
		s.Paused = d.Schedule.State != nil && d.Schedule.State.Paused
		if len(d.Info.NextActionTimes) > 0 {
			s.Next = &d.Info.NextActionTimes[0]
		}
		return nil
	}
	if err := noSchedule(TaskBackup, s.Database, err); failure.Of(err) != failure.NoSchedule {
		return err
	}
	cron, err := DescribeCron(ctx, c, s.Database)
	if err != nil || cron == nil {
		return err
	}
	s.Begins, s.Spec = ByCron, cron.Spec
	if cron.Waiting {
		s.Next = &cron.Next
	}
	return nil
}

// recent bounds how many runs are looked through for the last of a database.
const recent = 200

// last finds the run that ended last.
func (s *Status) last(ctx context.Context, c client.Client) (*Outcome, error) {
	newest, err := newestEnded(ctx, c, TaskBackup, s.Database)
	if newest == nil || err != nil {
		return nil, err
	}
	if s.Begins == ByHand {
		if spec, ok := specOfMemo(newest.GetMemo().GetFields()[specMemo]); ok {
			s.Host = spec.Host
		}
	}
	return outcome(ctx, c, s.Database, newest), nil
}

// newestEnded is the run of the task that ended last, nil if none has.
func newestEnded(ctx context.Context, c client.Client, task Task, database string) (*workflowpb.WorkflowExecutionInfo, error) {
	runs, err := list(ctx, c, task, "WorkflowId STARTS_WITH '"+task.ID(database)+"' AND ExecutionStatus != 'Running'", recent)
	if err != nil {
		return nil, err
	}
	var newest *workflowpb.WorkflowExecutionInfo
	for _, r := range runs {
		// The name of another database may begin with this one's.
		spec, ok := specOfMemo(r.GetMemo().GetFields()[specMemo])
		if ok && spec.Database == database && (newest == nil || r.GetCloseTime().AsTime().After(newest.GetCloseTime().AsTime())) {
			newest = r
		}
	}
	return newest, nil
}

func outcome(ctx context.Context, c client.Client, database string, info *workflowpb.WorkflowExecutionInfo) *Outcome {
	o := &Outcome{
		Run:    Run{info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId()},
		Status: statusNames[info.GetStatus()],
		Ended:  info.GetCloseTime().AsTime(),
	}
	result, err := resultOf[job.BackupResult](ctx, c, o.Run)
	if err != nil {
		o.Error = RunError(ctx, TaskBackup.Of(database), err).Error()
		if o.Status == "completed" {
			o.Status = "failed" // and followed by the next run of its cron workflow
		}
		return o
	}
	o.Backup, o.State = result.ID, result.State
	return o
}

var statusNames = map[enumspb.WorkflowExecutionStatus]string{
	enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:        "completed",
	enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:           "failed",
	enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:         "canceled",
	enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:       "terminated",
	enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:        "timed_out",
	enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: "completed",
}
