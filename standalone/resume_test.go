package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// makeDatabase makes a DuckDB file of about 200 MB that nothing compresses.
func makeDatabase(t *testing.T, path string) int64 {
	t.Helper()
	db, err := sql.Open("duckdb", path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE noise AS SELECT hash(range) a, hash(range + 1_000_000_000) b, hash(range + 2_000_000_000) c,
		hash(range + 3_000_000_000) d, hash(range + 4_000_000_000) e, hash(range + 5_000_000_000) f,
		hash(range + 6_000_000_000) g, hash(range + 7_000_000_000) h FROM range(3_000_000)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(180<<20))
	return info.Size()
}

// copied is how far the copy is that a heartbeat has told of.
func copied(t *testing.T, p *program) int64 {
	c := dial(t, p)
	defer c.Close()
	d, err := c.ScheduleClient().GetHandle(t.Context(), job.BackupID("big")).Describe(t.Context())
	require.NoError(t, err)
	if len(d.Info.RunningWorkflows) == 0 {
		return 0
	}
	w := d.Info.RunningWorkflows[0]
	e, err := c.DescribeWorkflowExecution(t.Context(), w.WorkflowID, w.FirstExecutionRunID)
	require.NoError(t, err)
	for _, a := range e.PendingActivities {
		var pr job.Progress
		if a.HeartbeatDetails != nil && converter.GetDefaultDataConverter().FromPayloads(a.HeartbeatDetails, &pr) == nil && a.GetActivityType().GetName() == "Copy" {
			return pr.Done
		}
	}
	return 0
}

func TestKilledInMidCopyGoesOnWithTheSameRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "big.duckdb")
	size := makeDatabase(t, path)
	backups := filepath.Join(dir, "backups")
	require.NoError(t, os.Mkdir(backups, 0o700))
	configFile := filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.WriteFile(configFile, fmt.Appendf(nil, `
repository: %s
databases:
  - name: big
    path: %s
    copy:
      bandwidth: 24MB
`, backups, path), 0o600))

	p := launch(t, dir, "--config", configFile)
	p.wait(`Backing up big`)
	deadline := time.Now().Add(time.Minute)
	for copied(t, p) < size/5*3 {
		require.True(t, time.Now().Before(deadline), "the copy gets on")
	}
	require.NoError(t, p.cmd.Process.Kill())
	p.exit()

	again := launch(t, dir, "--config", configFile, "--once")
	require.Equal(t, 0, again.exit())
	assert.Contains(t, again.text(), "A backup of big is running already, going on with it.")
	id := again.wait(`Backup (\S+) of big is verified`)
	r, err := repo.Open(vfs.OS(), backups)
	require.NoError(t, err)
	m, err := r.Get("big", id)
	require.NoError(t, err)
	t.Logf("%d bytes, %d read in all, %d of them not again", size, m.Acceptance.BytesRead, m.Acceptance.BytesResumed)
	assert.Greater(t, m.Acceptance.BytesResumed, size/4, "what was copied is not copied again")
	assert.Less(t, m.Acceptance.BytesRead, size+size/2, "and little is read twice")
	list, err := r.List("big")
	require.NoError(t, err)
	assert.Len(t, list, 1)
}
