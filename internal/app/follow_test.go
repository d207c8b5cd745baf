package app

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

func TestRunError(t *testing.T) {
	tests := []struct {
		name string
		err  error
		kind *failure.Kind
		text string
	}{
		{"a step's failure keeps its kind and loses the hint, which the kind has",
			temporal.NewNonRetryableApplicationError("verify of shop: block 7\nhint: look", "BackupBad", nil), failure.BackupBad, "verify of shop: block 7"},
		{"a kind of a newer worker", temporal.NewNonRetryableApplicationError("odd", "Newfangled", nil), failure.RunFailed, "odd"},
		{"cancelled", temporal.NewCanceledError(), failure.RunFailed, "the backup of shop was stopped"},
		{"out of time", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil), failure.RunFailed, "the backup of shop did not end in time (StartToClose)"},
		{"the server is gone", serviceerror.NewUnavailable("refused"), failure.TemporalUnreachable, "Temporal does not answer: refused"},
		{"anything else", errors.New("odd"), failure.Unexpected, "odd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := RunError(t.Context(), "backup of shop", tt.err)
			assert.Equal(t, tt.kind, failure.Of(err))
			assert.EqualError(t, err, tt.text)
		})
	}
	assert.NoError(t, RunError(t.Context(), "backup of shop", nil))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := RunError(ended, "backup of shop", context.Canceled)
	assert.Equal(t, failure.Interrupted, failure.Of(err))
	assert.EqualError(t, err, "the backup of shop goes on without being watched: context canceled")
}

// oneRun is a client that has one run, which came to err or to a verified backup.
type oneRun struct {
	client.Client
	client.WorkflowRun
	err error
}

func (o oneRun) GetWorkflow(context.Context, string, string) client.WorkflowRun { return o }

func (o oneRun) GetWithOptions(_ context.Context, to any, _ client.WorkflowRunGetOptions) error {
	if result, ok := to.(*job.BackupResult); ok && o.err == nil {
		result.State = "verified"
	}
	return o.err
}

// A server that does not say what became of a run does not say that it failed.
func TestARunThatCannotBeAskedHasNotFailed(t *testing.T) {
	info := &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: "canvasback-backup-shop", RunId: "1"}, Status: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
	}
	tests := []struct {
		name   string
		err    error
		status string // "": it is not told
		kind   *failure.Kind
	}{
		{"verified", nil, "completed", nil},
		{"failed", temporal.NewNonRetryableApplicationError("block 7", "BackupBad", nil), "failed", nil},
		{"the server is gone", serviceerror.NewUnavailable("refused"), "", failure.TemporalUnreachable},
		{"the server is late", context.DeadlineExceeded, "", failure.TemporalUnreachable},
		{"the server is stopped", serviceerror.NewCanceled("context canceled"), "", failure.TemporalUnreachable},
		{"the server is busy", &serviceerror.ResourceExhausted{Message: "too many requests"}, "", failure.TemporalBusy},
		{"not allowed", serviceerror.NewPermissionDenied("no", ""), "", failure.TemporalDenied},
		{"forgotten", serviceerror.NewNotFound("no such run"), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := oneRun{err: tt.err}
			backup, err := endedFacts(t.Context(), c, "shop", info)
			drill, drillErr := drillFacts(t.Context(), c, "shop", info)
			if tt.kind != nil {
				assert.Equal(t, tt.kind, failure.Of(err))
				assert.Equal(t, tt.kind, failure.Of(drillErr))
			} else {
				assert.NoError(t, err)
				assert.NoError(t, drillErr)
			}
			if tt.status == "" {
				assert.Nil(t, backup)
				assert.Nil(t, drill)
				return
			}
			assert.Equal(t, tt.status, backup.Status)
			assert.Equal(t, tt.err == nil, backup.State == "verified")
			assert.Equal(t, tt.err == nil, drill.Passed)
		})
	}
}
