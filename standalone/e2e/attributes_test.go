package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

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

// ownWorker starts a worker in this process that asks a about attributes. The
// namespace of its world has none.
func (w *world) ownWorker(a *activities.Attributes) {
	w.t.Helper()
	w.create()
	cfg, err := config.Load(w.slow("1GB"))
	require.NoError(w.t, err)
	runner, err := backup.New(cfg)
	require.NoError(w.t, err)
	own := worker.New(w.client(), job.Queue(w.host), worker.Options{Identity: "canvasback-worker@" + w.host})
	turns := worker.New(w.client(), job.Turns(job.Queue(w.host)), worker.Options{DisableWorkflowWorker: true})
	steps := activities.New(runner, cfg.Copies)
	app.Register(own, steps)
	app.RegisterSteps(turns, steps)
	app.RegisterAttributes(own, a)
	for _, of := range []worker.Worker{own, turns} {
		require.NoError(w.t, of.Start())
		w.t.Cleanup(of.Stop)
	}
	w.waitForWorker()
}

// An attribute that goes between the answer that it is there and its use makes
// the server refuse the workflow task. The task is tried again, asks again, and
// the run ends well.
func TestSearchAttributesThatGoBetweenQuestionAndUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.ownWorker(&activities.Attributes{Registered: func(ctx context.Context, _ string) ([]string, error) {
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
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	assert.Equal(t, 2, w.refusedAttributes(result.runDoc))
	w.record("backup_labels_refused", result.runDoc)
}

// lying is a server that says of attributes that it has them, and refuses them.
type lying struct{ client.Client }

func (l lying) OperatorService() operatorservice.OperatorServiceClient {
	return lyingOperator{l.Client.OperatorService()}
}

type lyingOperator struct {
	operatorservice.OperatorServiceClient
}

func (lyingOperator) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: app.AttributeTypes}, nil
}

// A server that goes on refusing what it says it has does not hold a run up.
func TestSearchAttributesThatAreRefusedAgainAndAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.ownWorker(app.AttributesOf(lying{w.client()}))
	var result resultDoc
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	// A worker that still has the run in memory is asked once more.
	assert.Contains(t, []int{2, 3, 4}, w.refusedAttributes(result.runDoc), "at the start, and at the end")
}
