package app

import (
	"context"
	"slices"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/job"
)

// AttributeTypes are the search attributes that runs carry where the namespace
// has them.
var AttributeTypes = map[string]enumspb.IndexedValueType{
	job.AttributeDatabase: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeHost:     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeOutcome:  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeRule:     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	job.AttributeBytes:    enumspb.INDEXED_VALUE_TYPE_INT,
}

// AttributesOf answers for the server of c what a run may carry. A server refuses
// attributes that it says it has, for the seconds after they were made or removed,
// and tries the workflow task again: that must not hold the run up, so a task that
// was refused sets none.
func AttributesOf(c client.Client) *activities.Attributes {
	known := &answers{client: c, now: time.Now}
	return &activities.Attributes{Registered: func(ctx context.Context, namespace string) ([]string, error) {
		names, err := known.registered(ctx, namespace)
		if err != nil || len(names) == 0 {
			return nil, err
		}
		refused, err := taskRefused(ctx, c, namespace, activity.GetInfo(ctx).WorkflowExecution)
		if err != nil || refused {
			return nil, err
		}
		return names, nil
	}}
}

// fewTries of a workflow task may be a busy machine's. Only the first failure of
// them is in the run's history: later ones count as refusals.
const fewTries = 3

// taskRefused says whether the run's workflow task at work is tried again because
// the server refused its attributes.
func taskRefused(ctx context.Context, c client.Client, namespace string, run workflow.Execution) (bool, error) {
	d, err := c.DescribeWorkflowExecution(ctx, run.ID, run.RunID)
	if err != nil {
		return false, Unreachable(err)
	}
	switch tries := d.GetPendingWorkflowTask().GetAttempt(); {
	case tries <= 1:
		return false, nil
	case tries > fewTries:
		return true, nil
	}
	newest, err := c.WorkflowService().GetWorkflowExecutionHistoryReverse(ctx, &workflowservice.GetWorkflowExecutionHistoryReverseRequest{
		Namespace: namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: run.ID, RunId: run.RunID}, MaximumPageSize: 10,
	})
	if err != nil {
		return false, Unreachable(err)
	}
	for _, e := range newest.GetHistory().GetEvents() {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			return e.GetWorkflowTaskFailedEventAttributes().GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES, nil
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			return false, nil
		}
	}
	return false, nil
}

// answersLast is for how long an answer is taken for the present state. It is
// short beside the time that a server needs to know of a new attribute itself.
const answersLast = 10 * time.Second

// answers keeps the last one. A Temporal server that stores visibility in SQL
// opens a connection to itself for each such question and leaves it open, for half
// an hour: with a question a run thousands of runs an hour would use up its files.
type answers struct {
	client client.Client
	now    func() time.Time

	mu    sync.Mutex // guards what follows
	of    string     // the namespace
	at    time.Time
	names []string
}

func (a *answers) registered(ctx context.Context, namespace string) ([]string, error) {
	a.mu.Lock()
	names, fresh := a.names, a.of == namespace && a.now().Sub(a.at) < answersLast
	a.mu.Unlock()
	if fresh {
		return names, nil
	}
	names, err := registered(ctx, a.client, namespace)
	if err == nil {
		a.mu.Lock()
		a.of, a.at, a.names = namespace, a.now(), names
		a.mu.Unlock()
	}
	return names, err
}

// registered names those of AttributeTypes that the namespace has. A server that
// does not say has none: Temporal Cloud's, or one that does not let us ask.
func registered(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	there, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, Unreachable(err)
	}
	var names []string
	for name, kind := range there.GetCustomAttributes() {
		if AttributeTypes[name] == kind && kind != enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
