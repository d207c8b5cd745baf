package workflows

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// histories are of real runs on a real server, those whose names match;
// standalone/e2e records them.
func histories(t *testing.T, names string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "histories", names+".json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no histories")
	return files
}

func replay(backup, drill any, file string) error {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(backup, workflow.RegisterOptions{Name: job.BackupWorkflow})
	r.RegisterWorkflowWithOptions(drill, workflow.RegisterOptions{Name: job.DrillWorkflow})
	r.RegisterWorkflowWithOptions(Restore, workflow.RegisterOptions{Name: job.RestoreWorkflow})
	r.RegisterWorkflowWithOptions(Host, workflow.RegisterOptions{Name: job.HostWorkflow})
	return r.ReplayWorkflowHistoryFromJSONFile(nil, file)
}

func TestReplay(t *testing.T) {
	require.Len(t, slices.Concat(histories(t, "backup_*"), histories(t, "drill_*"), histories(t, "restore_*"), histories(t, "host_*")), len(histories(t, "*")))
	for _, file := range histories(t, "*") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			assert.NoError(t, replay(Backup, Drill, file))
		})
	}
}

// The replay would not notice much if it let a run with other steps pass.
func TestReplayRefusesOtherSteps(t *testing.T) {
	reordered := func(ctx workflow.Context, in job.BackupInput) (job.BackupResult, error) {
		at := workflow.WithActivityOptions(ctx, pruneOptions)
		err := workflow.ExecuteActivity(at, steps.Prune, job.PruneInput{Database: in.Database}).Get(at, nil)
		if err != nil {
			return job.BackupResult{}, err
		}
		return Backup(ctx, given[job.BackupInput]{in: in})
	}
	careless := func(ctx workflow.Context, in job.DrillInput) (job.DrillResult, error) {
		s, err := begin(ctx, "Restore drill", in.Database)
		if err != nil {
			return job.DrillResult{}, err
		}
		chosen, err := choose(ctx, s, job.ChooseInput{Database: in.Database, Backup: in.Backup, Drill: true})
		if err != nil {
			return job.DrillResult{}, err
		}
		return job.DrillResult{ID: chosen.ID}, record(ctx, s, job.DrillRecordInput{Database: in.Database, ID: chosen.ID}, nil)
	}
	for _, file := range append(histories(t, "backup_*"), histories(t, "drill_[pf]*")...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			assert.ErrorContains(t, replay(reordered, careless, file), "TMPRL1100")
		})
	}
}
