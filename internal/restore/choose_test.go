package restore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestRestoreByTime(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	r, err := repo.Open(mem, "/repo")
	require.NoError(t, err)
	finished := start.Add(time.Minute)
	require.NoError(t, r.Update("shop", latestID(t, r), func(m *repo.Manifest) error { m.Finished = finished; return nil }))
	req := request(t, mem, mem)
	req.Backup = ""
	req.At = finished.Add(-time.Second)
	_, err = Run(t.Context(), req)
	requireKind(t, failure.UnknownBackup, err)
	assert.Empty(t, names(t, mem, "/data"))

	req.At = finished.Add(90 * time.Second)
	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, Choice{ID: latestID(t, r), Database: "shop", State: repo.StateVerified, Started: start, Finished: finished, BeforeSeconds: 90}, res.Choice)
	assert.Equal(t, "2026-11-23 03:46:00 UTC to 2026-11-23 03:47:00 UTC, 1m30s before the time asked for", res.AsOf())
}

func TestDryRunWritesNothing(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	addOld(t, mem)
	before := snapshot(t, mem)
	req := request(t, vfstest.Intercept(mem, func(op vfstest.Op) error {
		assert.False(t, op.Mutates() && op.Kind != vfstest.OpClose, "%v", op)
		return nil
	}), mem)
	req.KeepOld, req.DryRun = true, true
	mem.SetFree(1000)
	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, before, snapshot(t, mem))
	assert.True(t, res.DryRun)
	assert.Equal(t, []string{aside, aside + ".wal", aside + ".wal.checkpoint"}, res.MovedAside)
	assert.Equal(t, []int64{19 + 7 + 18, 1000}, []int64{res.NeedBytes, res.FreeBytes}, "the backup and copies of the old WAL files")
	assert.Len(t, res.Files, 2)

	put(t, mem, backupFile(".wal"), "short")
	_, err = Run(t.Context(), req)
	requireKind(t, failure.BackupBad, err)
	assert.ErrorContains(t, err, "its manifest says 7")
}

func TestRestoreToTheStagingOfARun(t *testing.T) {
	for target, ok := range map[string]bool{
		"/repo/shop/.staging/drill-1/scratch.duckdb": true,
		"/repo/shop/.staging/scratch.duckdb":         false,
		"/repo/shop/.staging/.gone-1/scratch.duckdb": false,
		"/repo/shop/scratch.duckdb":                  false,
		"/repo/scratch.duckdb":                       false,
	} {
		mem := newMem(t, newFiles, repo.StateVerified)
		require.NoError(t, mem.MkdirAll("/repo/shop/.staging/drill-1", 0o700))
		require.NoError(t, mem.MkdirAll("/repo/shop/.staging/.gone-1", 0o700))
		req := request(t, mem, mem)
		req.Target = target
		_, err := Run(t.Context(), req)
		requireKind(t, failure.TargetBad, err)
		req.Scratch = true
		_, err = Run(t.Context(), req)
		if ok {
			require.NoError(t, err, target)
			continue
		}
		requireKind(t, failure.TargetBad, err)
	}
}

func TestRestoreWhoseCheckHasNoVerdict(t *testing.T) {
	for _, kind := range []*failure.Kind{failure.VerifyTimeout, failure.VerifyMemory, failure.Engine} {
		mem := newMem(t, newFiles, repo.StateVerified)
		req := request(t, mem, mem)
		req.Scan = func(context.Context, string, bool) ([]repo.Table, error) { return nil, failure.Errorf(kind, "none") }
		res, err := Run(t.Context(), req)
		requireKind(t, kind, err)
		assert.ErrorContains(t, err, target+" is in place, but was not checked: none")
		require.NotNil(t, res)
		assert.Equal(t, "new database", get(t, mem, target))
	}
}

func TestRestoreOfWhatNoEngineOpened(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateStructure)
	req := request(t, mem, mem)
	req.Backup, req.AllowUnverified = repo.NewID(start, 42, "run-1"), true
	req.Scan = func(context.Context, string, bool) ([]repo.Table, error) { return nil, errors.New("it is not asked") }
	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Contains(t, res.Unchecked, "no engine has opened this backup")
	assert.Equal(t, "new database", get(t, mem, target))
}

func TestEngineFailureKinds(t *testing.T) {
	for err, kind := range map[error]*failure.Kind{
		engine.ErrRejected: failure.BackupBad, engine.ErrCrashed: failure.BackupBad, engine.ErrTimeout: failure.VerifyTimeout, engine.ErrMemory: failure.VerifyMemory, engine.ErrEnded: failure.Engine,
		engine.ErrKey: failure.WrongKey, engine.ErrTooNew: failure.NewerStorage, engine.ErrTables: failure.Usage, engine.ErrResources: failure.TargetBad, engine.ErrMissing: failure.NewerStorage,
	} {
		requireKind(t, kind, engineFailure(t.Context(), "/x", err))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	requireKind(t, failure.Interrupted, engineFailure(ended, "/x", engine.ErrCrashed))
}

// TestRestoreHoldsTheBackup: nothing removes it while it is read.
func TestRestoreHoldsTheBackup(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	req := request(t, mem, mem)
	other, err := repo.Open(mem, "/repo")
	require.NoError(t, err)
	asked := false
	req.Scan = func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
		asked = true
		requireKind(t, failure.Reading, other.Remove("shop", repo.NewID(start, 42, "run-1")))
		return scanner(t, mem)(ctx, path, readWrite)
	}
	_, err = Run(t.Context(), req)
	require.NoError(t, err)
	assert.True(t, asked)
}

// A link is no way into the repository.
func TestRestoreThroughALinkIntoTheRepository(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "repo")
	require.NoError(t, os.MkdirAll(filepath.Join(store, "shop"), 0o700))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(filepath.Join(store, "shop"), link))
	r, err := repo.Open(vfs.OS(), store)
	require.NoError(t, err)
	x := &run{req: Request{FS: vfs.OS(), Repo: r, Target: filepath.Join(link, "x.duckdb")}, target: filepath.Join(link, "x.duckdb"), dir: link}
	requireKind(t, failure.TargetBad, x.checkPlace())
	x.target, x.dir, x.req.Target = filepath.Join(dir, "x.duckdb"), dir, filepath.Join(dir, "x.duckdb")
	require.NoError(t, x.checkPlace())
}
