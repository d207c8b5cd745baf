package e2e

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"canvasback/internal/job"
	"canvasback/workflows"
)

var update = flag.Bool("update", false, "record the histories that package workflows replays")

// history reads a run's events from the server.
func (w *world) history(r runDoc) *historypb.History { return historyOf(w.t, w.client(), r) }

// historyOf is the history of a run as a client sees it.
func historyOf(t *testing.T, c client.Client, r runDoc) *historypb.History {
	t.Helper()
	events := c.GetWorkflowHistory(t.Context(), r.WorkflowID, r.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	h := &historypb.History{}
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, e)
	}
	return h
}

// record replays a run's history, and keeps it where that is asked for.
func (w *world) record(name string, r runDoc) {
	w.t.Helper()
	h := w.history(r)
	require.NotEmpty(w.t, h.Events)
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(workflows.Backup, workflow.RegisterOptions{Name: job.BackupWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.Drill, workflow.RegisterOptions{Name: job.DrillWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.Restore, workflow.RegisterOptions{Name: job.RestoreWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.Host, workflow.RegisterOptions{Name: job.HostWorkflow})
	assert.NoError(w.t, replayer.ReplayWorkflowHistory(quiet{}, h), name)
	if !*update {
		return
	}
	text, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(h)
	require.NoError(w.t, err)
	text = bytes.ReplaceAll(text, []byte(w.dir), []byte("/srv"))
	require.NoError(w.t, os.WriteFile(filepath.Join("..", "..", "workflows", "testdata", "histories", name+".json"), append(text, '\n'), 0o644))
}

// Every way that a run can end is replayed from a history that a real server
// wrote.
func TestHistories(t *testing.T) {
	t.Parallel()
	t.Run("verified", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker()
		w.waitForWorker()
		var result resultDoc
		w.do(&result, "run")
		w.record("backup_verified", result.runDoc)
	})
	t.Run("no such database", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker("--database", "other="+w.database, "--repository", w.repository, "--host", w.host)
		w.waitForWorker()
		w.record("backup_unknown_database", w.failed("run"))
	})
	t.Run("three bad copies", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.create()
		w.startWorker("--config", w.slow("1GB", `assertions: [{name: orders, sql: "select count(*) from orders", expect: "1"}]`))
		w.waitForWorker()
		w.record("backup_bad", w.failed("run"))
	})
	t.Run("cancelled in mid-copy", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.createLarge(16 << 20)
		w.startWorker("--config", w.slow("2MB"))
		w.waitForWorker()
		var started runDoc
		w.do(&started, "run", "--no-wait")
		w.copied(1)
		require.NoError(t, w.client().CancelWorkflow(t.Context(), started.WorkflowID, started.RunID))
		require.Error(t, w.client().GetWorkflow(t.Context(), started.WorkflowID, started.RunID).Get(t.Context(), nil))
		w.record("backup_cancelled", started)
	})
	t.Run("of a schedule, the worker stopped in mid-copy", func(t *testing.T) {
		w := newWorld(t, shared.HostPort())
		w.createLarge(16 << 20)
		config := w.slow("4MB")
		first := w.startWorker("--config", config)
		w.waitForWorker()
		var d scheduleDoc
		w.do(&d, "schedule", "create", "--schedule", "0 3 * * *")
		var started runDoc
		w.do(&started, "schedule", "trigger")
		w.copied(1)
		first.stop(os.Interrupt)
		w.startWorker("--config", config)
		eventually(t, "the run ends", func() bool { s := w.status(); return s.Last != nil && s.Last.RunID == started.RunID })
		assert.Equal(t, "verified", w.status().Last.State)
		w.record("backup_scheduled_resumed", started)
		w.do(&struct{}{}, "schedule", "delete")
	})
}

// TestHistoriesOfRestores is the same for drills and restores.
func TestHistoriesOfRestores(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	w.startWorker("--config", w.slow("1GB", "restore: {targets: {spare: "+filepath.Join(w.dir, "spare.duckdb")+"}}"))
	w.waitForWorker()
	w.record("drill_without_a_backup", w.failed("drill"))
	var result resultDoc
	w.do(&result, "run")
	var run runDoc
	w.do(&run, "drill")
	w.record("drill_passed", run)
	w.do(&run, "restore-on-host", "--to", "spare")
	w.record("restore_done", run)
	w.record("restore_refused", w.failed("restore-on-host", "--to", "elsewhere"))
	w.flip(result.ID)
	w.record("drill_failed", w.failed("drill"))
}

// failed starts a run by the command and waits until it has failed.
func (w *world) failed(command ...string) runDoc {
	w.t.Helper()
	var started runDoc
	w.do(&started, append(command, "--no-wait")...)
	err := w.client().GetWorkflow(w.t.Context(), started.WorkflowID, started.RunID).Get(w.t.Context(), nil)
	require.Error(w.t, err)
	require.NotErrorIs(w.t, err, io.EOF)
	return started
}
