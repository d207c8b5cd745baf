package workflows

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// histories are of real runs on a real server; standalone/e2e records them.
func histories(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "histories", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no histories")
	return files
}

func replay(workflowFunc any, file string) error {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(workflowFunc, workflow.RegisterOptions{Name: job.BackupWorkflow})
	return r.ReplayWorkflowHistoryFromJSONFile(nil, file)
}

func TestReplay(t *testing.T) {
	for _, file := range histories(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			assert.NoError(t, replay(Backup, file))
		})
	}
}

// The replay would not notice much if it let a run with other steps pass.
func TestReplayRefusesOtherSteps(t *testing.T) {
	reordered := func(ctx workflow.Context, in job.BackupInput) (job.BackupResult, error) {
		at := step(ctx, pruneOptions, "prune", in.Database)
		err := workflow.ExecuteActivity(at, steps.Prune, job.PruneInput{Database: in.Database}).Get(at, nil)
		if err != nil {
			return job.BackupResult{}, err
		}
		return Backup(ctx, in)
	}
	for _, file := range histories(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			assert.ErrorContains(t, replay(reordered, file), "TMPRL1100")
		})
	}
}
