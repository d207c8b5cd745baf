package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"canvasback/activities"
	"canvasback/internal/app"
	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/job"
)

// refusedAttributes counts the run's workflow tasks that the server refused for
// their search attributes.
func (w *world) refusedAttributes(r runDoc) (n int) {
	for _, e := range w.history(r).Events {
		if e.GetWorkflowTaskFailedEventAttributes().GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES {
			n++
		}
	}
	return n
}

// An attribute that goes between the answer that it is there and its use makes
// the server refuse the workflow task. The task is tried again, asks again, and
// the run ends well.
func TestSearchAttributesThatGoBetweenQuestionAndUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort()) // its namespace has none
	w.create()
	cfg, err := config.Load(w.slow("1GB"))
	require.NoError(t, err)
	runner, err := backup.New(cfg)
	require.NoError(t, err)
	c := w.client()
	own := worker.New(c, job.Queue(w.host), worker.Options{Identity: "canvasback-worker@" + w.host})
	app.Register(own, activities.New(runner, cfg.Copies))
	app.RegisterAttributes(own, &activities.Attributes{Registered: func(ctx context.Context, _ string) ([]string, error) {
		at := activity.GetInfo(ctx).WorkflowExecution
		lies := 1 // at the start
		if len(glob(t, w.repository, w.name(), "*", "manifest.json")) > 0 {
			lies = 2 // and at the end
		}
		if w.refusedAttributes(runDoc{WorkflowID: at.ID, RunID: at.RunID}) < lies {
			return []string{job.AttributeDatabase, job.AttributeOutcome}, nil
		}
		return nil, nil
	}})
	require.NoError(t, own.Start())
	t.Cleanup(own.Stop)
	w.waitForWorker()

	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	assert.Equal(t, 2, w.refusedAttributes(result.runDoc))
	w.record("backup_labels_refused", result.runDoc)
}
