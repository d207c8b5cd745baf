package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"canvasback/internal/app"
	"canvasback/internal/job"
	"canvasback/standalone/server"
)

// details are what the Web UI shows of a run: it asks as this does.
func (w *world) details(r runDoc) string {
	w.t.Helper()
	value, err := w.client().QueryWorkflow(w.t.Context(), r.WorkflowID, r.RunID, "__temporal_workflow_metadata")
	require.NoError(w.t, err)
	var m sdkpb.WorkflowMetadata
	require.NoError(w.t, value.Get(&m))
	return m.GetCurrentDetails()
}

// A run is found by what it came to where the namespace has search attributes,
// and ends as well where it has none of them, or no longer.
func TestSearchAttributes(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.Options{Attributes: app.AttributeTypes})
	w := newWorld(t, s.HostPort())
	w.create()
	w.startWorker()
	w.waitForWorker()
	var result resultDoc
	c := w.client()
	found := func() bool {
		query := fmt.Sprintf("%s = '%s' AND %s = '%s' AND %s = 'verified' AND %s = '%s' AND %s >= %d AND RunId = '%s'",
			job.AttributeDatabase, w.name(), job.AttributeHost, w.host, job.AttributeOutcome, job.AttributeRule, result.Rule, job.AttributeBytes, result.Bytes, result.RunID)
		found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		return err == nil && len(found.GetExecutions()) == 1
	}
	// A run whose last workflow task is tried again, as on a busy machine, carries
	// none: then the next one does.
	for tries := 0; tries < 5 && !found(); tries++ {
		w.do(&result, "run")
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && !found(); {
			time.Sleep(200 * time.Millisecond)
		}
	}
	require.True(t, found(), "no run is found")
	d, err := c.DescribeWorkflowExecution(t.Context(), result.WorkflowID, result.RunID)
	require.NoError(t, err)
	var memo job.RunMemo
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(d.GetWorkflowExecutionInfo().GetMemo().GetFields()[job.MemoKey], &memo))
	assert.Equal(t, job.RunMemo{Outcome: "verified", Backup: result.ID, Rule: result.Rule, Bytes: result.Bytes, Database: w.name(), Host: w.host}, memo)

	w.record("backup_labelled_again", result.runDoc)

	_, err = c.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: server.Namespace, SearchAttributes: []string{job.AttributeOutcome, job.AttributeBytes},
	})
	require.NoError(t, err)
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
}

// What a person reads of a run in the Web UI, when it went well, when it was
// stopped, and while it is at work.
func TestStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.createLarge(40 << 20)
	w.startWorker("--config", w.slow("4MB"))
	w.waitForWorker()
	var run runDoc
	w.do(&run, "run", "--no-wait")
	c := w.client()
	ask := func() (p job.RunProgress, err error) {
		value, err := c.QueryWorkflow(t.Context(), run.WorkflowID, run.RunID, job.ProgressQuery)
		if err == nil {
			err = value.Get(&p)
		}
		return p, err
	}
	eventually(t, "it copies", func() bool {
		p, err := ask()
		return err == nil && len(p.Steps) == 2 && p.Steps[1].Step == "copy"
	})
	eventually(t, "its heartbeat is in words", func() bool {
		d, err := c.DescribeWorkflowExecution(t.Context(), run.WorkflowID, run.RunID)
		require.NoError(t, err)
		for _, a := range d.GetPendingActivities() {
			var beat job.Progress
			if a.GetHeartbeatDetails() != nil && converter.GetDefaultDataConverter().FromPayloads(a.GetHeartbeatDetails(), &beat) == nil && beat.Done > 0 {
				return assert.Regexp(t, `^copy: copy, attempt \d+, \d.* MiB of \d.* MiB \(\d+ %\), .*/s, rule [ABC]$`, beat.Text)
			}
		}
		return false
	})
	var stopped stopDoc
	w.do(&stopped, "stop", "--reason", "the disk is being moved")
	assert.True(t, stopped.Stopped)
	assert.Contains(t, stopped.Outcome, "was stopped: the disk is being moved")
	text := w.details(run)
	assert.Contains(t, text, "It was **stopped**")
	assert.Contains(t, text, "> stopped: the disk is being moved")
	assert.Regexp(t, `(?m)^\| abandon. \| .* \| what the run had staged is removed \|$`, text)
	p, err := ask()
	require.NoError(t, err)
	assert.True(t, p.Ended)
	w.record("backup_stopped", run)
}
