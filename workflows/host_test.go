package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"canvasback/activities"
	"canvasback/internal/job"
)

func hostEnvironment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	e := suite.NewTestWorkflowEnvironment()
	e.RegisterActivity((&activities.Host{}).Pulse)
	e.RegisterWorkflowWithOptions(Host, workflow.RegisterOptions{Name: job.HostWorkflow})
	return e
}

func TestHostBeginsANewRunAfterEachPulse(t *testing.T) {
	e := hostEnvironment(t)
	e.OnActivity(job.PulseActivity, mock.Anything, job.PulseInput{Host: "db1"}).Return(nil).Once()
	e.ExecuteWorkflow(job.HostWorkflow, job.PulseInput{Host: "db1"})
	require.True(t, e.IsWorkflowCompleted())
	assert.True(t, workflow.IsContinueAsNewError(e.GetWorkflowError()), "%v", e.GetWorkflowError())
	e.AssertExpectations(t)
}

func TestHostIsCancelled(t *testing.T) {
	e := hostEnvironment(t)
	e.OnActivity(job.PulseActivity, mock.Anything, mock.Anything).Return(temporal.NewCanceledError()).Once()
	e.ExecuteWorkflow(job.HostWorkflow, job.PulseInput{Host: "db1"})
	assert.True(t, temporal.IsCanceledError(e.GetWorkflowError()))
}

// Nothing but the loss of its worker's heartbeats takes the pulse from a worker,
// and it waits for the next one for ever.
func TestPulseHasNoBounds(t *testing.T) {
	o := pulseOptions
	assert.Equal(t, job.HeartbeatTimeout, o.HeartbeatTimeout)
	assert.Zero(t, o.ScheduleToStartTimeout)
	assert.Zero(t, o.ScheduleToCloseTimeout)
	assert.Zero(t, o.RetryPolicy.MaximumAttempts)
	assert.LessOrEqual(t, o.RetryPolicy.MaximumInterval, time.Minute)
	assert.Greater(t, o.StartToCloseTimeout, job.PulseLasts)
}
