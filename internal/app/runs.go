package app

import (
	"context"
	"errors"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

type payload = *commonpb.Payload

// Run names one run of a workflow.
type Run struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
}

// Cron is the cron workflow of a database. Waiting means that its present run
// has not begun: it is there for its next time.
type Cron struct {
	Run
	Spec    Spec
	Waiting bool
	Next    time.Time
	Since   time.Time // when its first run was started, as far as the server knows
}

// DescribeCron returns the running cron workflow of a database, nil if none.
func DescribeCron(ctx context.Context, c client.Client, database string) (*Cron, error) {
	d, err := c.DescribeWorkflowExecution(ctx, job.BackupID(database), "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, Unreachable(err)
	}
	info := d.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, nil
	}
	cron := &Cron{Run: runOf(info), Next: info.GetExecutionTime().AsTime(), Since: timeOf(info.GetStartTime())}
	if first := info.GetFirstRunId(); first != "" && first != cron.RunID {
		if d, err := c.DescribeWorkflowExecution(ctx, cron.WorkflowID, first); err == nil {
			cron.Since = timeOf(d.GetWorkflowExecutionInfo().GetStartTime())
		}
	}
	cron.Waiting = cron.Next.After(time.Now())
	cron.Spec, _ = specOfMemo(info.GetMemo().GetFields()[specMemo])
	return cron, nil
}

// Running returns the run of the task that is at work, nil if none: started by
// its schedule, its cron workflow or by hand. A cron workflow that waits for its
// time is not at work.
func Running(ctx context.Context, c client.Client, task Task, database string) (*Run, error) {
	d, err := Schedule(ctx, c, task, database).Describe(ctx)
	var missing *serviceerror.NotFound
	if err != nil && !errors.As(err, &missing) {
		return nil, Unreachable(err)
	}
	if err == nil {
		for _, r := range d.Info.RunningWorkflows {
			if on, err := isRunning(ctx, c, r.WorkflowID, r.FirstExecutionRunID); on || err != nil {
				return &Run{r.WorkflowID, r.FirstExecutionRunID}, err
			}
		}
	}
	if task == TaskBackup {
		cron, err := DescribeCron(ctx, c, database)
		if err != nil {
			return nil, err
		}
		if cron != nil && !cron.Waiting {
			return &cron.Run, nil
		}
	}
	return runningAs(ctx, c, task.manualID(database))
}

// runningAs returns the present run of a workflow ID, nil if none.
func runningAs(ctx context.Context, c client.Client, id string) (*Run, error) {
	w, err := c.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, Unreachable(err)
	}
	info := w.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, nil
	}
	return &Run{info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId()}, nil
}

func isRunning(ctx context.Context, c client.Client, id, run string) (bool, error) {
	d, err := c.DescribeWorkflowExecution(ctx, id, run)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false, nil
	}
	if err != nil {
		return false, Unreachable(err)
	}
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// StartNow begins a backup or drill at once: by its schedule where there is one,
// so that the schedule's overlap policy knows of it, else by a workflow of its
// own. Busy while a run of the task is at work.
func StartNow(ctx context.Context, c client.Client, task Task, database, host string) (*Run, error) {
	busy, err := Running(ctx, c, task, database)
	if err != nil {
		return nil, err
	}
	if busy != nil {
		return nil, errBusy(task, database, busy.WorkflowID)
	}
	has, err := HasSchedule(ctx, c, task, database)
	if err != nil {
		return nil, err
	}
	if has {
		return trigger(ctx, c, task, database)
	}
	return start(ctx, c, Spec{Task: task, Database: database, Host: host}, task.manualID(database), task.input(database))
}

// StartDrill is StartNow for a drill of one backup: an ID, job.DrillLatest or
// job.DrillRandom; empty: what the schedule would take.
func StartDrill(ctx context.Context, c client.Client, in job.DrillInput, host string) (*Run, error) {
	if in.Backup == "" {
		return StartNow(ctx, c, TaskDrill, in.Database, host)
	}
	busy, err := Running(ctx, c, TaskDrill, in.Database)
	if err != nil {
		return nil, err
	}
	if busy != nil {
		return nil, errBusy(TaskDrill, in.Database, busy.WorkflowID)
	}
	return start(ctx, c, Spec{Task: TaskDrill, Database: in.Database, Host: host}, TaskDrill.manualID(in.Database), in)
}

// StartRestore begins a restore on the database's host. Busy while one runs.
func StartRestore(ctx context.Context, c client.Client, in job.RestoreInput, host string) (*Run, error) {
	return start(ctx, c, Spec{Task: TaskRestore, Database: in.Database, Host: host}, TaskRestore.manualID(in.Database), in)
}

// start begins a workflow of its own. Busy while one of its ID runs.
func start(ctx context.Context, c client.Client, s Spec, id string, input any) (*Run, error) {
	memo, err := s.memo()
	if err != nil {
		return nil, err
	}
	summary, details := s.about()
	w, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: job.Queue(s.Host), WorkflowExecutionTimeout: RunTimeout,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary,
		StaticDetails:                            details,
		Memo:                                     memo,
	}, s.Task.workflow(), input)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil, errBusy(s.Task, s.Database, id)
	}
	if err != nil {
		return nil, Unreachable(err)
	}
	return &Run{w.GetID(), w.GetRunID()}, nil
}

func errBusy(task Task, database, id string) error {
	return failure.Errorf(failure.Busy, "a %s is running already: workflow %s", task.Of(database), id)
}

// triggerWait is how long a schedule may take to start what it was told to.
const triggerWait = 30 * time.Second

// trigger starts the schedule's action and finds the run that came of it: the
// server does not name it in its answer.
func trigger(ctx context.Context, c client.Client, task Task, database string) (*Run, error) {
	h := Schedule(ctx, c, task, database)
	before, err := h.Describe(ctx)
	if err != nil {
		return nil, noSchedule(task, database, err)
	}
	known := map[string]bool{}
	for _, a := range before.Info.RecentActions {
		known[actionRun(a).RunID] = true
	}
	if err := h.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP}); err != nil {
		return nil, noSchedule(task, database, err)
	}
	for end := time.Now().Add(triggerWait); time.Now().Before(end); {
		d, err := h.Describe(ctx)
		if err != nil {
			return nil, noSchedule(task, database, err)
		}
		for _, a := range d.Info.RecentActions {
			if r := actionRun(a); r.RunID != "" && !known[r.RunID] {
				return &r, nil
			}
		}
		if d.Info.NumActionsSkippedOverlap > before.Info.NumActionsSkippedOverlap {
			return nil, errBusy(task, database, task.ID(database))
		}
		select {
		case <-ctx.Done():
			return nil, failure.Errorf(failure.Interrupted, "interrupted while the schedule of %s started a %s", database, task)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil, failure.Errorf(failure.RunFailed, "the %s schedule of %s was triggered and started nothing within %s", task, database, triggerWait)
}

func actionRun(a client.ScheduleActionResult) Run {
	if a.StartWorkflowResult == nil {
		return Run{}
	}
	return Run{a.StartWorkflowResult.WorkflowID, a.StartWorkflowResult.FirstExecutionRunID}
}

// pollFresh is how long ago a worker that is alive has polled at most: a poll
// lasts a minute. The server remembers those that went away for longer.
const pollFresh = 90 * time.Second

// Polled says whether a worker polls the host's task queue.
func Polled(ctx context.Context, c client.Client, host string) (bool, error) {
	for _, kind := range []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_WORKFLOW, enumspb.TASK_QUEUE_TYPE_ACTIVITY} {
		q, err := c.DescribeTaskQueue(ctx, job.Queue(host), kind)
		if err != nil {
			return false, Unreachable(err)
		}
		fresh := func(p *taskqueuepb.PollerInfo) bool { return time.Since(p.GetLastAccessTime().AsTime()) < pollFresh }
		if !slices.ContainsFunc(q.GetPollers(), fresh) {
			return false, nil
		}
	}
	return true, nil
}

// ProgressOf is the newest heartbeat of a run; nil if none of its steps gives one.
func ProgressOf(ctx context.Context, c client.Client, r Run) (*job.Progress, error) {
	d, err := c.DescribeWorkflowExecution(ctx, r.WorkflowID, r.RunID)
	if err != nil {
		return nil, Unreachable(err)
	}
	return progressOf(d), nil
}

// pendingSteps are the steps of a run that are pending. The announcement of its
// start goes on beside the first ones, and says nothing of how they get on.
func pendingSteps(d *workflowservice.DescribeWorkflowExecutionResponse) []*workflowpb.PendingActivityInfo {
	all := d.GetPendingActivities()
	steps := slices.DeleteFunc(slices.Clone(all), func(a *workflowpb.PendingActivityInfo) bool {
		return a.GetActivityType().GetName() == job.AnnounceActivity
	})
	if len(steps) == 0 {
		return all
	}
	return steps
}

// progressOf is the newest heartbeat of a run's pending steps, or that one waits
// for its turn; nil if none.
func progressOf(d *workflowservice.DescribeWorkflowExecutionResponse) *job.Progress {
	for _, a := range pendingSteps(d) {
		if queued(a) {
			p := &job.Progress{Step: job.TurnStep(a.GetActivityType().GetName()), Phase: job.WaitingPhase, At: timeOf(a.GetScheduledTime())}
			p.Text = p.String()
			return p
		}
		var p job.Progress
		if details := a.GetHeartbeatDetails(); details != nil && len(details.GetPayloads()) > 0 && fromPayload(details.GetPayloads()[0], &p) {
			return &p
		}
	}
	return nil
}
