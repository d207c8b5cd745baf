package activities

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

func pulseEnvironment(h *Host) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	e := suite.NewTestActivityEnvironment()
	e.RegisterActivity(h.Pulse)
	return e
}

func TestPulseIsHeartbeat(t *testing.T) {
	var asked atomic.Int64
	stop := make(chan struct{})
	h := &Host{Every: time.Millisecond, Report: func() job.Pulse {
		if asked.Add(1) == 5 {
			close(stop)
		}
		return job.Pulse{Host: "db1", PID: 4711}
	}}
	e := pulseEnvironment(h)
	e.SetWorkerStopChannel(stop)
	var heard atomic.Int64
	e.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var p job.Pulse
		if assert.NoError(t, details.Get(&p)) {
			assert.Equal(t, "db1", p.Host)
			heard.Add(1)
		}
	})
	_, err := e.ExecuteActivity(h.Pulse, job.PulseInput{Host: "db1"})
	app := application(t, err)
	assert.Equal(t, job.WorkerStopping, app.Type(), "it ends when its worker stops, for the next one")
	assert.False(t, app.NonRetryable())
	assert.Equal(t, time.Second, app.NextRetryDelay())
	assert.Positive(t, heard.Load())
	assert.GreaterOrEqual(t, asked.Load(), int64(5), "it is renewed")
}

func TestPulseEndsAfterADay(t *testing.T) {
	h := &Host{Lasts: time.Millisecond, Report: func() job.Pulse { return job.Pulse{} }}
	_, err := pulseEnvironment(h).ExecuteActivity(h.Pulse, job.PulseInput{})
	require.NoError(t, err)
}

func TestPulseThatIsInterrupted(t *testing.T) {
	for _, cause := range []error{temporal.NewCanceledError(), activity.ErrActivityPaused, activity.ErrActivityReset} {
		assert.Equal(t, cause, interrupted(cause), "what a person did is passed on")
	}
	app := application(t, interrupted(errors.New("deadline exceeded")))
	assert.Equal(t, failure.TemporalUnreachable.Name, app.Type())
	assert.False(t, app.NonRetryable())
	assert.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category(), "a server that is away is no failure of the worker")
}
