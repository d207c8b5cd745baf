package workflows

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// told answers all announcements of a run with result and err, and notes them, the
// end in the order of the steps.
func (e *environment) told(result job.AnnounceResult, err error) *[]job.AnnounceInput {
	var all []job.AnnounceInput
	e.OnActivity("Announce", mock.Anything, mock.Anything).Return(func(_ context.Context, in job.AnnounceInput) (job.AnnounceResult, error) {
		in.Started = time.Time{}
		all = append(all, in)
		if in.End != "" { // the start is told beside the steps
			e.order = append(e.order, in.End)
		}
		return result, err
	})
	return &all
}

var announced = job.AnnounceInput{Database: "shop", Task: job.AnnounceBackup, WorkflowID: "default-test-workflow-id", Run: run}

func ended(in job.AnnounceInput, end string) job.AnnounceInput {
	in.End = end
	return in
}

func (e *environment) onGoodBackup(state string) {
	e.onCheckpoint()
	e.onCopy(1, "b1")
	v := verified
	v.State, v.Reason = state, "why"
	e.on("Verify", job.VerifyInput{Database: "shop", ID: "b1", Run: run}, v, nil)
	e.on("Prune", job.PruneInput{Database: "shop", Run: run}, pruned, nil)
}

func TestBackupIsAnnounced(t *testing.T) {
	t.Run("verified", func(t *testing.T) {
		e := newEnvironment(t)
		told := e.told(job.AnnounceResult{}, nil)
		e.onGoodBackup("verified")
		_, err := e.run(t)
		require.NoError(t, err)
		end := ended(announced, job.AnnouncePassed)
		end.Backup, end.State, end.Reason = "b1", "verified", "why"
		assert.Equal(t, []job.AnnounceInput{announced, end}, *told)
		assert.Equal(t, "passed", e.order[len(e.order)-1], "when all is done")
	})
	t.Run("structure", func(t *testing.T) {
		e := newEnvironment(t)
		told := e.told(job.AnnounceResult{}, nil)
		e.onGoodBackup("structure")
		_, err := e.run(t)
		require.NoError(t, err)
		assert.Equal(t, "structure", (*told)[1].State)
	})
	t.Run("failed", func(t *testing.T) {
		e := newEnvironment(t)
		told := e.told(job.AnnounceResult{}, nil)
		e.onCheckpoint()
		e.on("Copy", job.CopyInput{Database: "shop", Run: run, Round: 1}, job.CopyResult{}, badError)
		e.onAbandon(nil)
		_, err := e.run(t)
		application(t, err)
		end := ended(announced, job.AnnounceFailed)
		end.Kind, end.Message, end.Hint = "BackupBad", "copy of shop: backup b1: block 7 is wrong", "look at it"
		assert.Equal(t, []job.AnnounceInput{announced, end}, *told)
		assert.Equal(t, []string{"Abandon", "failed"}, e.order[len(e.order)-2:])
	})
	t.Run("nobody is to be told, and is not asked again", func(t *testing.T) {
		e := newEnvironment(t)
		told := e.told(job.AnnounceResult{Nobody: true}, nil)
		e.onGoodBackup("verified")
		_, err := e.run(t)
		require.NoError(t, err)
		assert.Len(t, *told, 1)
	})
}

// Whatever becomes of the announcements, and however long they take, the run
// ends in the same way.
func TestAnnouncementsChangeNothing(t *testing.T) {
	final := temporal.NewNonRetryableApplicationError("no way", failure.Unexpected.Name, nil)
	for name, announce := range map[string]func(e *environment){
		"told":          func(e *environment) { e.told(job.AnnounceResult{}, nil) },
		"fail for good": func(e *environment) { e.told(job.AnnounceResult{}, final) },
		"fail again":    func(e *environment) { e.told(job.AnnounceResult{}, errors.New("no luck")) },
		"panic":         func(e *environment) { e.OnActivity("Announce", mock.Anything, mock.Anything).Panic("no!") },
		"nobody takes them": func(e *environment) {
			e.OnActivity("Announce", mock.Anything, mock.Anything).After(time.Hour).Return(job.AnnounceResult{}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			announce(e)
			e.onGoodBackup("verified")
			result, err := e.run(t)
			require.NoError(t, err)
			assert.Equal(t, "b1", result.ID)

			e = newEnvironment(t)
			announce(e)
			e.on("Checkpoint", job.CheckpointInput{Database: "shop"}, job.CheckpointResult{}, fullError)
			e.onAbandon(nil)
			_, err = e.run(t)
			app := application(t, err)
			assert.Equal(t, "RepoFull", app.Type())
			assert.Equal(t, "checkpoint of shop: the disk is full", app.Message())
		})
	}
}

// Whoever was not told shows on the run's page, below what the run came to.
func TestUntoldShowsInTheDetails(t *testing.T) {
	e := newEnvironment(t)
	e.told(job.AnnounceResult{Untold: []job.Undelivered{{Event: "ok", Channel: "ping", Error: "https://hc.example answers 503"}}}, nil)
	e.onGoodBackup("verified")
	result, err := e.run(t)
	require.NoError(t, err)
	value, err := e.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	assert.Contains(t, metadata.CurrentDetails, result.ID)
	assert.Contains(t, metadata.CurrentDetails, "\n\nNot told so far: ok by ping: https://hc.example answers 503")
}

// The steps begin and end though the start is not told yet.
func TestStartIsNotWaitedFor(t *testing.T) {
	e := newEnvironment(t)
	var order []string
	e.OnActivity("Announce", mock.Anything, announced0()).After(30 * time.Second).Return(func(context.Context, job.AnnounceInput) (job.AnnounceResult, error) {
		order = append(order, "start")
		return job.AnnounceResult{}, nil
	}).Once()
	e.OnActivity("Announce", mock.Anything, mock.Anything).Return(func(_ context.Context, in job.AnnounceInput) (job.AnnounceResult, error) {
		order = append(order, in.End)
		return job.AnnounceResult{}, nil
	}).Once()
	e.OnActivity("Checkpoint", mock.Anything, mock.Anything).Return(func(context.Context, job.CheckpointInput) (job.CheckpointResult, error) {
		order = append(order, "checkpoint")
		return folded, nil
	}).Once()
	e.onCopy(1, "b1")
	e.onVerify("b1", nil)
	e.on("Prune", job.PruneInput{Database: "shop", Run: run}, pruned, nil)
	_, err := e.run(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"checkpoint", "start", "passed"}, order)
}

// announced0 matches the announcement of a start.
func announced0() any {
	return mock.MatchedBy(func(in job.AnnounceInput) bool { return in.End == "" })
}

// A run that is stopped has neither passed nor failed.
func TestStoppedRunIsNotAnnounced(t *testing.T) {
	e := newEnvironment(t)
	told := e.told(job.AnnounceResult{}, nil)
	e.RegisterDelayedCallback(e.CancelWorkflow, time.Minute)
	e.onCheckpoint()
	e.OnActivity("Copy", mock.Anything, mock.Anything).After(time.Hour).Return(job.CopyResult{}, nil)
	e.onAbandon(nil)
	_, err := e.run(t)
	require.Error(t, err)
	assert.Equal(t, []job.AnnounceInput{announced}, *told)
	assert.Contains(t, e.order, "Abandon")
}

func TestDrillIsAnnounced(t *testing.T) {
	chosen := job.ChooseInput{Database: "shop", Run: run, Drill: true}
	e := newEnvironment(t)
	told := e.told(job.AnnounceResult{}, nil)
	e.on("Choose", chosen, job.ChooseResult{}, temporal.NewNonRetryableApplicationError("there is none", failure.UnknownBackup.Name, nil))
	e.ExecuteWorkflow(Drill, given[job.DrillInput]{in: job.DrillInput{Database: "shop"}})
	require.Error(t, e.GetWorkflowError())
	end := ended(announced, job.AnnounceFailed)
	end.Task, end.Kind, end.Message = job.AnnounceDrill, "UnknownBackup", "choose a backup of shop: there is none"
	assert.Equal(t, []job.AnnounceInput{end}, *told)

	e = newEnvironment(t)
	told = e.told(job.AnnounceResult{}, nil)
	e.on("Choose", chosen, job.ChooseResult{ID: "b1"}, nil)
	e.OnActivity("DrillRestore", mock.Anything, mock.Anything).Return(job.DrillRestoreResult{}, nil).Once()
	e.OnActivity("DrillVerify", mock.Anything, mock.Anything).Return(job.DrillVerifyResult{}, nil).Once()
	e.OnActivity("DrillRecord", mock.Anything, mock.Anything).Return(nil).Once()
	e.ExecuteWorkflow(Drill, given[job.DrillInput]{in: job.DrillInput{Database: "shop"}})
	require.NoError(t, e.GetWorkflowError())
	end = ended(announced, job.AnnouncePassed)
	end.Task, end.Backup = job.AnnounceDrill, "b1"
	assert.Equal(t, []job.AnnounceInput{end}, *told)
}

// What receivers answer is text from outside, and there may be a lot of it.
func TestUntoldIsEscapedAndBounded(t *testing.T) {
	assert.Empty(t, untold(nil))
	u := job.Undelivered{Event: "ok", Channel: "ping", Error: "<b>no</b>\n# not *now*"}
	assert.Equal(t, "\n\nNot told so far: ok by ping: \\<b\\>no\\</b\\> \\# not \\*now\\*", untold([]job.Undelivered{u}))
	u.Error = strings.Repeat("|", 10_000)
	text := untold(slices.Repeat([]job.Undelivered{u}, 100))
	assert.Less(t, len(text), 6_000)
	assert.True(t, strings.HasSuffix(text, "Not told so far: 96 more"))
}
