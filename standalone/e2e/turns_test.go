package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/internal/config"
	"canvasback/internal/job"
)

var turnRuns = flag.Int("turns", 40, "runs at once in TestRunsTakeTurns")

// turnSteps are steps that do nothing but note when they ran.
type turnSteps struct {
	all int // runs that are awaited before the first copy ends

	mu          sync.Mutex
	folded      int
	foldedAll   chan struct{} // closed when all are
	now, most   int           // steps that load the disks
	copied      []string      // in the order of their copies, and so on
	verified    []string
	pruned      []string
	copyStarted map[string]int // copies begun before and with its own
	behind      map[string]int // copies begun between the end of its own and its verification
}

func (s *turnSteps) Checkpoint(context.Context, string) (job.CheckpointResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folded++; s.folded == s.all {
		close(s.foldedAll)
	}
	return job.CheckpointResult{Mode: "none"}, nil
}

// load notes that the disks are loaded, until the function it returns is called.
func (s *turnSteps) load() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now++
	s.most = max(s.most, s.now)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}
}

func (s *turnSteps) Copy(ctx context.Context, in job.CopyInput, _ func(job.Progress)) (job.CopyResult, error) {
	defer s.load()()
	select {
	case <-s.foldedAll: // no copy keeps a short step of another run waiting
	case <-ctx.Done():
		return job.CopyResult{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copied = append(s.copied, in.Database)
	s.copyStarted[in.Database] = len(s.copied)
	return job.CopyResult{ID: "b", Rule: "A", Attempts: 1}, nil
}

func (s *turnSteps) Verify(_ context.Context, in job.VerifyInput, _ func(job.Progress)) (job.VerifyResult, error) {
	defer s.load()()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified = append(s.verified, in.Database)
	s.behind[in.Database] = len(s.copied) - s.copyStarted[in.Database]
	return job.VerifyResult{State: "verified"}, nil
}

func (s *turnSteps) Prune(_ context.Context, in job.PruneInput) (job.PruneResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruned = append(s.pruned, in.Database)
	return job.PruneResult{}, nil
}

func (s *turnSteps) Abandon(context.Context, job.AbandonInput) error { return nil }

func (s *turnSteps) Choose(context.Context, job.ChooseInput) (job.ChooseResult, error) {
	return job.ChooseResult{}, nil
}

func (s *turnSteps) Restore(context.Context, job.RestoreStepInput, func(job.Progress)) (job.RestoreResult, error) {
	return job.RestoreResult{}, nil
}

func (s *turnSteps) DrillRestore(context.Context, job.DrillStepInput, func(job.Progress)) (job.DrillRestoreResult, error) {
	return job.DrillRestoreResult{}, nil
}

func (s *turnSteps) DrillVerify(context.Context, job.DrillStepInput, func(job.Progress)) (job.DrillVerifyResult, error) {
	return job.DrillVerifyResult{}, nil
}

func (s *turnSteps) DrillRecord(context.Context, job.DrillRecordInput) error { return nil }

// More runs than a worker has places, at once, with one copy at a time: no short
// step waits for a copy of another run, one step at a time loads the disks, what is
// copied is proved before many more copies begin, and runs end in the order of
// their copies.
func TestRunsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	path := filepath.Join(w.dir, "canvasback.yaml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "host: %s\nrepository: %s\ncopies: 1\ndatabases: [{name: x, path: %s}]\n", w.host, w.repository, w.database), 0o600))
	cfg, err := config.Load(path)
	require.NoError(t, err)
	steps := &turnSteps{all: *turnRuns, foldedAll: make(chan struct{}), copyStarted: map[string]int{}, behind: map[string]int{}}
	c := w.client()
	own := app.NewWorker(c, cfg, steps, nil, func() job.Pulse { return job.Pulse{Host: w.host} })
	require.NoError(t, own.Start())
	t.Cleanup(own.Stop)
	began := time.Now()
	var runs []client.WorkflowRun
	for i := range *turnRuns {
		name := fmt.Sprintf("%s-%04d", w.host, i)
		r, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: job.BackupID(name), TaskQueue: job.Queue(w.host)}, job.BackupWorkflow, job.BackupInput{Database: name})
		require.NoError(t, err)
		runs = append(runs, r)
	}
	for _, r := range runs {
		var result job.BackupResult
		require.NoError(t, r.Get(t.Context(), &result))
		assert.Equal(t, "verified", result.State)
	}
	steps.mu.Lock()
	defer steps.mu.Unlock()
	assert.Equal(t, 1, steps.most, "steps that load the disks at once")
	assert.Len(t, steps.pruned, *turnRuns)
	behind, late := 0, 0
	at := map[string]int{}
	for i, name := range steps.copied {
		at[name] = i
		behind = max(behind, steps.behind[name])
	}
	for i, name := range steps.verified {
		late = max(late, i-at[name], at[name]-i)
	}
	t.Logf("%d runs in %s; at most %d copies began before a verification, which moved by %d places at most", len(runs), time.Since(began).Round(time.Millisecond), behind, late)
	assert.Less(t, behind, *turnRuns/2, "verifications have priority")
	assert.Less(t, late, *turnRuns/2)
}
