package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"canvasback/internal/job"
)

// The server lists what is pending in no order: what is said of a run must not
// change with it.
func TestRunFactsAreThoseOfTheSteps(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	pending := func(name string, attempt int32, heard time.Time, failed string) *workflowpb.PendingActivityInfo {
		said, err := converter.GetDefaultDataConverter().ToPayloads(job.Progress{Step: name, At: heard})
		require.NoError(t, err)
		a := &workflowpb.PendingActivityInfo{
			ActivityType: &commonpb.ActivityType{Name: name}, State: enumspb.PENDING_ACTIVITY_STATE_STARTED, Attempt: attempt,
			HeartbeatDetails: said, LastHeartbeatTime: timestamppb.New(heard),
		}
		if failed != "" {
			a.State, a.LastFailure = enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, &failurepb.Failure{Message: failed}
			a.NextAttemptScheduleTime = timestamppb.New(heard.Add(time.Minute))
		}
		return a
	}
	copying := pending("Copy", 7, at, "the disk is slow")
	telling := pending(job.AnnounceActivity, 1, at.Add(time.Hour), "")
	facts := func(all ...*workflowpb.PendingActivityInfo) *workflowservice.DescribeWorkflowExecutionResponse {
		return &workflowservice.DescribeWorkflowExecutionResponse{
			WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING}, PendingActivities: all,
		}
	}
	for _, all := range [][]*workflowpb.PendingActivityInfo{{copying}, {copying, telling}, {telling, copying}} {
		r := runFacts(facts(all...))
		require.NotNil(t, r.Progress)
		assert.Equal(t, "Copy", r.Progress.Step)
		assert.Equal(t, 7, r.Attempt)
		assert.True(t, r.Waiting)
		assert.False(t, r.Queued, "it waits to be tried again")
		assert.Equal(t, "the disk is slow", r.Error)
		assert.Equal(t, at, r.Heartbeat, "a message to people is no sign of life of the copy")
	}
	assert.Equal(t, job.AnnounceActivity, runFacts(facts(telling)).Progress.Step, "at the end nothing else is")
}

// A step that waits for its turn says nothing: that is said for it.
func TestRunFactsOfAStepThatWaitsForItsTurn(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	for activity, step := range map[string]string{"Copy": "copy", "DrillVerify": "drill verify", "Prune": ""} {
		d := &workflowservice.DescribeWorkflowExecutionResponse{
			WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING},
			PendingActivities: []*workflowpb.PendingActivityInfo{{
				ActivityType: &commonpb.ActivityType{Name: activity}, State: enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, Attempt: 1, ScheduledTime: timestamppb.New(at),
			}},
		}
		r := runFacts(d)
		assert.True(t, r.Waiting)
		assert.Equal(t, step != "", r.Queued, activity)
		if step == "" {
			assert.Nil(t, r.Progress)
			continue
		}
		assert.Equal(t, &job.Progress{Step: step, Phase: job.WaitingPhase, At: at, Text: step + ": waiting for another database's backup"}, r.Progress)
	}
}
