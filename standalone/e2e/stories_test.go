package e2e

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/job"
)

// progress is how far a run is, in the words of its own.
func (w *world) progress(r runDoc) (p job.RunProgress) {
	w.t.Helper()
	value, err := w.client().QueryWorkflow(w.t.Context(), r.WorkflowID, r.RunID, job.ProgressQuery)
	require.NoError(w.t, err)
	require.NoError(w.t, value.Get(&p))
	return p
}

// A copy that a second worker went on with says so.
func TestStoryOfARetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	size := w.createLarge(64 << 20)
	config := w.slow("4MB")
	first := w.startWorker("--config", config)
	w.waitForWorker()
	var run runDoc
	w.do(&run, "run", "--no-wait")
	w.copied(size / 3)
	require.Equal(t, -1, first.stop(syscall.SIGKILL))
	w.startWorker("--config", config)
	m := w.finished(run)
	text := w.details(run)
	assert.Regexp(t, `(?m)^\| copy. \| .*; the step was begun [2-9] times \|$`, text)
	assert.Contains(t, text, "Backup `"+m.ID+"` is **verified**")
}

// A run that failed says what to do; one that has ended answers how far it came.
func TestStoriesOfAllWorkflows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	config := w.slow("1GB", "restore: {targets: {spare: "+filepath.Join(w.dir, "spare.duckdb")+"}}")
	w.startWorker("--config", config)
	w.waitForWorker()
	var backup resultDoc
	w.do(&backup, "run")
	p := w.progress(backup.runDoc)
	assert.True(t, p.Ended)
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Step)
		assert.NotEmpty(t, s.Result, s.Step)
	}
	assert.Equal(t, []string{"checkpoint", "copy", "verify", "prune"}, names)

	var run runDoc
	w.do(&run, "drill")
	assert.Contains(t, w.details(run), "Backup `"+backup.ID+"` was restored in ")
	known := func() []any {
		p := w.progress(run)
		return []any{p.Ended, p.Backup, p.State, p.Bytes, p.Tables, p.Rows}
	}
	assert.Equal(t, []any{true, backup.ID, "verified", backup.Bytes, 1, int64(10000)}, known())
	w.do(&run, "restore-on-host", "--to", "spare")
	assert.Contains(t, w.details(run), "Backup `"+backup.ID+"` is restored to **spare**")
	assert.Equal(t, []any{true, backup.ID, "verified", backup.Bytes, 1, int64(10000)}, known())

	for name, run := range map[string]runDoc{
		"restore": w.failed("restore-on-host", "--to", "elsewhere"),
		"drill":   func() runDoc { w.flip(backup.ID); return w.failed("drill") }(),
	} {
		text := w.details(run)
		assert.Contains(t, text, "It **failed**:\n\n> ", name)
		assert.Contains(t, text, "**What to do:** ", name)
		assert.Contains(t, text, "| **failed**: ", name)
		assert.True(t, w.progress(run).Ended, name)
	}
}
