package workflows

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/job"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The stories of runs, as the Temporal UI shows them.
func TestStories(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	step := func(name string, after, took float64, result string) job.RunStep {
		return job.RunStep{Step: name, Began: at.Add(time.Duration(after * float64(time.Second))), Seconds: took, Result: result}
	}
	failed := func(s job.RunStep) job.RunStep { s.Failed = true; return s }
	for name, p := range map[string]job.RunProgress{
		"begun": {Title: "Backup of shop", Steps: []job.RunStep{}},
		"at_work": {Title: "Backup of shop", Steps: []job.RunStep{
			step("checkpoint", 0, 0.25, checkpointText(job.CheckpointResult{Mode: "http", IterationBefore: 41, IterationAfter: 42, WALBytesBefore: 1 << 20, OwnerPID: 17, OwnerExe: "/usr/bin/node"})),
			step("copy", 0.3, 0, ""),
		}},
		"verified": {Title: "Backup of shop", Ended: true,
			Verdict: backupVerdict(job.BackupResult{ID: "20261123T034600Z-i42-1f3a", State: "verified", Bytes: 5 << 30, Rule: "A", Tables: 3, Rows: 12345, DurationSeconds: 42.5}),
			Steps: []job.RunStep{
				step("checkpoint", 0, 0.01, checkpointText(job.CheckpointResult{Mode: "none", WALBytesBefore: 4096, WALBytesAfter: 4096})),
				step("copy", 0.1, 30, copyText(job.CopyResult{ID: "20261123T034600Z-i42-1f3a", Rule: "A", Attempts: 2, Bytes: 5 << 30, BytesRead: 6 << 30, BytesResumed: 1 << 20, Seconds: 30, Tries: 2})),
				step("verify", 30.2, 12, verifyText(job.VerifyResult{State: "verified", Level: "assert", Engine: "v1.5.6", Tables: 3, Rows: 12345, Assertions: 2})),
				step("prune", 42.2, 0.01, pruneText(job.PruneResult{Kept: make([]job.Decision, 10), Removed: []job.Decision{{ID: "20261101T030000Z-i7-00aa", Reason: "older than the newest 10"}}})),
			}},
		"failed": {Title: "Backup of shop", Ended: true, Verdict: "It **failed**:\n\n" + quote("the disk is full\nalso: <b>no</b> | room") + "\n\n**What to do:** " + plain("free some *space*"),
			Steps: []job.RunStep{failed(step("copy", 0, 1, "the disk is full\nalso: <b>no</b> | room"))}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "stories", name+".md")
			got := details(p)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
		})
	}
}

// However much the steps have to say, the server takes it.
func TestStoriesAreBounded(t *testing.T) {
	long := strings.Repeat("|*é<\n", 10_000)
	p := job.RunProgress{Title: "Backup of " + strings.Repeat("x", 64), Ended: true, Verdict: "It **failed**:\n\n" + quote(long) + plain(long)}
	for range 4 + 2*job.Rounds {
		p.Steps = append(p.Steps, job.RunStep{Step: "verify", Result: long, Failed: true})
	}
	text := details(p)
	assert.Less(t, len(text), 20_000)
	assert.True(t, strings.HasSuffix(text, "... |\n"))
}

// A run that is asked how far it is answers with its steps, also when it has
// ended.
func TestProgressQuery(t *testing.T) {
	e := newEnvironment(t)
	ask := func() (p job.RunProgress) {
		value, err := e.QueryWorkflow(job.ProgressQuery)
		require.NoError(t, err)
		require.NoError(t, value.Get(&p))
		return p
	}
	e.onCheckpoint()
	e.onCopy(1, "b1")
	e.OnActivity("Verify", mock.Anything, mock.Anything).After(time.Hour).Return(verified, nil).Once()
	e.on("Prune", job.PruneInput{Database: "shop", Run: run}, pruned, nil)
	e.RegisterDelayedCallback(func() {
		p := ask()
		require.Len(t, p.Steps, 3)
		assert.False(t, p.Ended)
		assert.Equal(t, "verify", p.Steps[2].Step)
		assert.Equal(t, "verify", p.Step)
		require.NotNil(t, p.Since)
		assert.Equal(t, p.Steps[2].Began, *p.Since)
		assert.Equal(t, []any{"b1", "A", 2, int64(4096), ""}, []any{p.Backup, p.Rule, p.Attempts, p.Bytes, p.State})
		assert.Empty(t, p.Steps[2].Result)
	}, time.Minute)
	_, err := e.run(t)
	require.NoError(t, err)
	p := ask()
	assert.True(t, p.Ended)
	assert.Contains(t, p.Verdict, "`b1` is **verified**")
	assert.Empty(t, p.Step)
	assert.Nil(t, p.Since)
	assert.Equal(t, []any{"b1", "verified", 3, int64(12)}, []any{p.Backup, p.State, p.Tables, p.Rows})
	require.Len(t, p.Steps, 4)
	assert.InDelta(t, 3600, p.Steps[2].Seconds, 1)
}

// answer is what became of an update.
type answer struct {
	refused error
	result  any
	err     error
}

func (a *answer) Accept()                      {}
func (a *answer) Reject(err error)             { a.refused = err }
func (a *answer) Complete(result any, e error) { a.result, a.err = result, e }

// Whoever stops a run hears when what it had staged is removed.
func TestStopUpdate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		abandon error
		outcome string
		details string
		verdict string
	}{
		{"what was staged is removed", nil, "stopped, and what it had staged is removed", "stopped: a move",
			"It was **stopped**, and what it had staged is removed.\n\n> stopped: a move\n\n**What to do:** nothing; a new run may begin at any time."},
		{"it cannot be removed", fullError,
			"stopped, and what it had staged could not be removed: abandon of shop: the disk is full", "stopped: a move; abandon of shop: the disk is full",
			"It was **stopped**. What it had staged could not be removed: a later run sweeps it.\n\n> stopped: a move; abandon of shop: the disk is full\n\n" +
				"**What to do:** nothing; a new run may begin at any time."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnvironment(t)
			e.onCheckpoint()
			e.OnActivity("Copy", mock.Anything, mock.Anything).After(time.Hour).Return(job.CopyResult{}, temporal.NewCanceledError()).Once()
			var first, second, long answer
			e.onAbandon(tt.abandon).Run(func(mock.Arguments) {
				e.order = append(e.order, "Abandon")
				assert.Nil(t, first.result, "it is answered before the clean-up")
			})
			e.RegisterDelayedCallback(func() {
				e.UpdateWorkflow(job.StopUpdate, "0", &long, job.StopInput{Reason: strings.Repeat("x", job.MaxStopReason+1)})
				e.UpdateWorkflow(job.StopUpdate, "1", &first, job.StopInput{Reason: "a move"})
				e.UpdateWorkflow(job.StopUpdate, "2", &second, job.StopInput{Reason: "me too"})
			}, time.Minute)
			_, err := e.run(t)
			require.True(t, temporal.IsCanceledError(err), "%v", err)
			var canceled *temporal.CanceledError
			require.ErrorAs(t, err, &canceled)
			var details string
			require.NoError(t, canceled.Details(&details))
			assert.Equal(t, tt.details, details)
			assert.Contains(t, e.order, "Abandon")
			value, err := e.QueryWorkflow(job.ProgressQuery)
			require.NoError(t, err)
			var p job.RunProgress
			require.NoError(t, value.Get(&p))
			assert.Equal(t, tt.verdict, p.Verdict)
			require.ErrorContains(t, long.refused, "501 bytes")
			for _, a := range []answer{first, second} {
				require.NoError(t, a.refused)
				require.NoError(t, a.err)
				assert.Equal(t, tt.outcome, a.result.(job.StopResult).Outcome)
			}
		})
	}
}
