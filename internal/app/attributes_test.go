package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/operatorservice/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
)

// triedServer knows one run, whose workflow task is tried for the so-manieth
// time.
type triedServer struct {
	client.Client
	attempt int32
	history history
}

func (s *triedServer) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{PendingWorkflowTask: &workflowpb.PendingWorkflowTaskInfo{Attempt: s.attempt}}, nil
}

func (s *triedServer) WorkflowService() workflowservice.WorkflowServiceClient { return &s.history }

// history has the events before the task, the newest one first.
type history struct {
	workflowservice.WorkflowServiceClient
	events []*historypb.HistoryEvent
}

func (h *history) GetWorkflowExecutionHistoryReverse(context.Context, *workflowservice.GetWorkflowExecutionHistoryReverseRequest, ...grpc.CallOption) (*workflowservice.GetWorkflowExecutionHistoryReverseResponse, error) {
	return &workflowservice.GetWorkflowExecutionHistoryReverseResponse{History: &historypb.History{Events: h.events}}, nil
}

func TestTaskRefused(t *testing.T) {
	failed := func(cause enumspb.WorkflowTaskFailedCause) *historypb.HistoryEvent {
		return &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED, Attributes: &historypb.HistoryEvent_WorkflowTaskFailedEventAttributes{
			WorkflowTaskFailedEventAttributes: &historypb.WorkflowTaskFailedEventAttributes{Cause: cause},
		}}
	}
	event := func(kind enumspb.EventType) *historypb.HistoryEvent { return &historypb.HistoryEvent{EventType: kind} }
	refusal := failed(enumspb.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES)
	started := event(enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED)
	for _, tt := range []struct {
		name    string
		attempt int32
		events  []*historypb.HistoryEvent
		want    bool
	}{
		{"the first try", 1, []*historypb.HistoryEvent{started, refusal}, false},
		{"no task is at work", 0, nil, false},
		{"refused", 2, []*historypb.HistoryEvent{started, refusal}, true},
		{"out of time on a busy machine", 2, []*historypb.HistoryEvent{started, event(enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT), refusal}, false},
		{"failed for another reason", 3, []*historypb.HistoryEvent{failed(enumspb.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE), refusal}, false},
		{"an earlier task was refused", 2, []*historypb.HistoryEvent{started, event(enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED), refusal}, false},
		{"nothing is known of it", 2, nil, false},
		{"again and again", 4, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taskRefused(t.Context(), &triedServer{attempt: tt.attempt, history: history{events: tt.events}}, "default", workflow.Execution{ID: "w", RunID: "r"})
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

// askedServer counts the questions about search attributes.
type askedServer struct {
	client.Client
	operatorservice.OperatorServiceClient
	asked int
	err   error
}

func (s *askedServer) OperatorService() operatorservice.OperatorServiceClient { return s }

func (s *askedServer) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	s.asked++
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: AttributeTypes}, s.err
}

func TestAnswers(t *testing.T) {
	now := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	s := &askedServer{err: errors.New("away")}
	a := &answers{client: s, now: func() time.Time { return now }}
	_, err := a.registered(t.Context(), "default")
	require.ErrorContains(t, err, "away")
	s.err = nil
	for range 3 {
		names, err := a.registered(t.Context(), "default")
		require.NoError(t, err)
		assert.Len(t, names, len(AttributeTypes))
	}
	assert.Equal(t, 2, s.asked, "an error is no answer, an answer holds for a while")
	now = now.Add(answersLast)
	_, err = a.registered(t.Context(), "default")
	require.NoError(t, err)
	assert.Equal(t, 3, s.asked, "and not longer")
	_, err = a.registered(t.Context(), "other")
	require.NoError(t, err)
	assert.Equal(t, 4, s.asked, "nor for another namespace")
}
