package workflows

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// No step is taken for an input that cannot be meant: the environment has none.
func TestInputsThatAreRefused(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	for what, test := range map[string]struct {
		workflow string
		input    any
		text     string
	}{
		"nothing":            {job.BackupWorkflow, nil, `"" is not the name of a database`},
		"null":               {job.BackupWorkflow, json.RawMessage("null"), `"" is not the name of a database`},
		"a path":             {job.BackupWorkflow, job.BackupInput{Database: "../../etc"}, `"../../etc" is not the name of a database`},
		"lines":              {job.BackupWorkflow, job.BackupInput{Database: "shop\nshop"}, `"shop\nshop" is not the name of a database`},
		"a long name":        {job.BackupWorkflow, job.BackupInput{Database: long}, `is not the name of a database`},
		"a name of 65 bytes": {job.BackupWorkflow, job.BackupInput{Database: long[:65]}, `is not the name of a database`},
		"not UTF-8":          {job.BackupWorkflow, job.BackupInput{Database: "\xff\xfe"}, `is not the name of a database`},
		"a number":           {job.BackupWorkflow, map[string]any{"database": -1}, "cannot unmarshal number"},
		"a list":             {job.BackupWorkflow, []string{"shop"}, "cannot unmarshal array"},
		"a text":             {job.DrillWorkflow, "shop", "cannot unmarshal string"},
		"a huge number":      {job.DrillWorkflow, math.MaxFloat64, "cannot unmarshal number"},
		"a drill of a path":  {job.DrillWorkflow, job.DrillInput{Database: "shop", Backup: "../x"}, `"../x" is not the name of a backup`},
		"a target of a path": {job.RestoreWorkflow, job.RestoreInput{Database: "shop", Backup: "latest", Target: "/etc/passwd"}, `"/etc/passwd" is not the name of a restore target`},
		"no target":          {job.RestoreWorkflow, job.RestoreInput{Database: "shop", Backup: "latest"}, `"" is not the name of a restore target`},
		"a time of text":     {job.RestoreWorkflow, map[string]any{"database": "shop", "at": "yesterday", "target": "live"}, "parsing time"},
	} {
		t.Run(what, func(t *testing.T) {
			env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
			env.RegisterWorkflowWithOptions(Backup, workflow.RegisterOptions{Name: job.BackupWorkflow})
			env.RegisterWorkflowWithOptions(Drill, workflow.RegisterOptions{Name: job.DrillWorkflow})
			env.RegisterWorkflowWithOptions(Restore, workflow.RegisterOptions{Name: job.RestoreWorkflow})
			env.ExecuteWorkflow(test.workflow, test.input)
			require.True(t, env.IsWorkflowCompleted())
			var app *temporal.ApplicationError
			require.ErrorAs(t, env.GetWorkflowError(), &app)
			assert.Equal(t, failure.BadInput.Name, app.Type())
			assert.True(t, app.NonRetryable())
			assert.Contains(t, app.Message(), test.text)
			assert.Less(t, len(app.Message()), 1000)
			var progress job.RunProgress
			value, err := env.QueryWorkflow(job.ProgressQuery)
			require.NoError(t, err)
			require.NoError(t, value.Get(&progress))
			assert.True(t, progress.Ended)
			assert.Contains(t, progress.Verdict, "It **failed**")
		})
	}
}
