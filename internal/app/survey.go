package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/job"
)

// Survey is what a server says of a host and its databases. What it does not
// tell this client is in the Err of its part.
type Survey struct {
	Namespace  string
	Retention  time.Duration // 0: not known
	Registered bool          // the namespace takes new workflows
	NamespaceErr,
	WorkflowsErr, // of listing workflows
	PollersErr error
	Pollers    []string // identities of the workers that poll the host's queue, sorted
	Processes  []string // those that say so of themselves: "HOST, process PID"; empty where the server does not tell
	Attributes []string // custom search attributes, sorted
	AttributesErr,
	ClockErr error
	// ClockFrom and ClockTo bound how far the server's clock is ahead of this
	// machine's; negative: behind.
	ClockFrom, ClockTo time.Duration
	Databases          []Surveyed
}

// Surveyed is one database.
type Surveyed struct {
	Name     string
	Schedule *ScheduleState // nil: there is none
	Drill    *ScheduleState
	Cron     *Cron // nil: there is none
	Err      error // of any of them
}

// ScheduleState is a schedule as doctor judges it.
type ScheduleState struct {
	Spec    Spec
	Ours    bool // made by this program
	Drifted bool
	Stale   bool // kept in plain, or encrypted with a key that is not the present one
	Paused  bool
	Note    string
}

// SurveyOf asks the server about everything that a set-up needs of it. The error
// is that of a server that does not answer at all, or of what cannot be decrypted.
func SurveyOf(ctx context.Context, c client.Client, namespace, host string, databases []string) (*Survey, error) {
	s := &Survey{Namespace: namespace}
	if err := s.describeNamespace(ctx, c); err != nil {
		return nil, err
	}
	if err := Readable(ctx, c, host, databases); err != nil {
		return nil, err
	}
	_, s.WorkflowsErr = list(ctx, c, TaskBackup, "", 1)
	s.ClockFrom, s.ClockTo, s.ClockErr = clockOf(ctx, c, namespace)
	s.Pollers, s.PollersErr = pollers(ctx, c, host, time.Now().Add(s.ClockFrom))
	s.Processes = processes(ctx, c, namespace, host)
	s.Attributes, s.AttributesErr = attributes(ctx, c, namespace)
	for _, name := range databases {
		s.Databases = append(s.Databases, surveyed(ctx, c, name))
	}
	return s, nil
}

func (s *Survey) describeNamespace(ctx context.Context, c client.Client) error {
	d, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.Namespace})
	if err != nil {
		var denied *serviceerror.PermissionDenied
		if errors.As(err, &denied) {
			s.NamespaceErr, s.Registered = err, true
			return nil
		}
		return Unreachable(err)
	}
	s.Registered = d.GetNamespaceInfo().GetState() == enumspb.NAMESPACE_STATE_REGISTERED
	s.Retention = d.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	return nil
}

// pollers names the workers that poll both task queues of the host. Now is the
// server's, by which polls are noted.
func pollers(ctx context.Context, c client.Client, host string, now time.Time) ([]string, error) {
	var both []map[string]bool
	for _, kind := range []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_WORKFLOW, enumspb.TASK_QUEUE_TYPE_ACTIVITY} {
		q, err := c.DescribeTaskQueue(ctx, job.Queue(host), kind)
		if err != nil {
			return nil, Unreachable(err)
		}
		seen := map[string]bool{}
		for _, p := range q.GetPollers() {
			if now.Sub(p.GetLastAccessTime().AsTime()) < pollFresh {
				seen[p.GetIdentity()] = true
			}
		}
		both = append(both, seen)
	}
	maps.DeleteFunc(both[0], func(name string, _ bool) bool { return !both[1][name] })
	return slices.Sorted(maps.Keys(both[0])), nil
}

// processes are the running workers of the host's queue by what their heartbeats
// say, which servers keep from 1.30 on.
func processes(ctx context.Context, c client.Client, namespace, host string) []string {
	l, err := c.WorkflowService().ListWorkers(ctx, &workflowservice.ListWorkersRequest{
		Namespace: namespace, PageSize: 100, Query: fmt.Sprintf("TaskQueue = '%s' AND Status = 'Running'", job.Queue(host)),
	})
	if err != nil {
		return nil
	}
	var all []string
	for _, w := range l.GetWorkers() {
		if name := fmt.Sprintf("%s, process %s", w.GetHostName(), w.GetProcessId()); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func attributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	a, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, Unreachable(err)
	}
	return slices.Sorted(maps.Keys(a.GetCustomAttributes())), nil
}

func surveyed(ctx context.Context, c client.Client, name string) Surveyed {
	s := Surveyed{Name: name}
	var errs [3]error
	s.Schedule, errs[0] = stateOf(ctx, c, TaskBackup, name)
	s.Drill, errs[1] = stateOf(ctx, c, TaskDrill, name)
	s.Cron, errs[2] = DescribeCron(ctx, c, name)
	s.Err = errors.Join(errs[:]...)
	return s
}

func stateOf(ctx context.Context, c client.Client, task Task, database string) (*ScheduleState, error) {
	d, err := Schedule(ctx, c, task, database).Describe(ctx)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Unreachable(err)
	}
	s := &ScheduleState{Drifted: Drifted(d), Stale: stale(d)}
	s.Spec, s.Ours = SpecOf(d)
	if d.Schedule.State != nil {
		s.Paused, s.Note = d.Schedule.State.Paused, d.Schedule.State.Note
	}
	return s, nil
}
