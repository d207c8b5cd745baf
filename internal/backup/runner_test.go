package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

func TestMain(m *testing.M) {
	engine.RunIfChild()
	enginetest.RunIfChild()
	if umask := os.Getenv(umaskVariable); umask != "" {
		os.Exit(umaskChild(umask, os.Args[1]))
	}
	os.Exit(m.Run())
}

// newRunner configures one database, made by stmts and at rest.
func newRunner(t *testing.T, change func(*config.Database), stmts ...string) *backup.Runner {
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.duckdb")
	enginetest.CreateKilled(t, path, stmts...)
	store := filepath.Join(dir, "backups")
	require.NoError(t, os.Mkdir(store, 0o700))
	cfg, err := config.FromFlags([]string{"shop=" + path}, store, "h")
	require.NoError(t, err)
	cfg.Databases[0].Copy.Settle = config.Duration(200 * time.Millisecond)
	if change != nil {
		change(&cfg.Databases[0])
	}
	r, err := backup.New(cfg)
	require.NoError(t, err)
	return r
}

var orders = []string{
	"CREATE TABLE orders AS SELECT i AS id, i * 2 AS cents FROM range(50000) r(i)", "CHECKPOINT",
	"INSERT INTO orders VALUES (-1, 7)",
}

func states(t *testing.T, r *backup.Runner) []repo.State {
	list, err := r.Repo.List("shop")
	require.NoError(t, err)
	var out []repo.State
	for _, m := range list {
		out = append(out, m.State)
	}
	return out
}

func TestBackup(t *testing.T) {
	r := newRunner(t, func(d *config.Database) {
		d.Verify.Level = config.LevelAssert
		d.Assertions = []config.Assertion{{Name: "all there", SQL: "SELECT count(*) FROM orders", Expect: "50001", Timeout: config.Duration(time.Minute)}}
	}, orders...)
	sum, err := r.Backup(context.Background(), "shop", nil)
	require.NoError(t, err)
	m := sum.Manifest
	assert.Equal(t, repo.StateVerified, m.State)
	assert.Equal(t, "A", m.Acceptance.Rule)
	assert.Equal(t, int64(1), m.Acceptance.Commits)
	require.Len(t, m.Verification.Tables, 1)
	assert.Equal(t, int64(50001), m.Verification.Tables[0].Rows)
	assert.True(t, m.Verification.Assertions[0].Passed)
	assert.Equal(t, "none", sum.Checkpoint.Mode)
	assert.Positive(t, sum.Checkpoint.WALBytesBefore)
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(r.Repo.BackupDir("shop", m.ID), f.Name))
		require.NoError(t, err)
		assert.Equal(t, f.Bytes, info.Size())
	}
}

func TestBackupKeepsTheNewest(t *testing.T) {
	r := newRunner(t, func(d *config.Database) { d.Retention.KeepLast = 2 }, orders...)
	var ids []string
	for range 4 {
		sum, err := r.Backup(context.Background(), "shop", nil)
		require.NoError(t, err)
		ids = append(ids, sum.Manifest.ID)
	}
	list, err := r.Repo.List("shop")
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, ids[3], list[1].ID)
}

// TestBackupThatDoesNotVerify: three copies are made, the newest of them stays
// as failed, nothing that was good before is touched.
func TestBackupThatDoesNotVerify(t *testing.T) {
	r := newRunner(t, nil, orders...)
	good, err := r.Backup(context.Background(), "shop", nil)
	require.NoError(t, err)
	r.Config.Databases[0].Verify.Level = config.LevelAssert
	r.Config.Databases[0].Assertions = []config.Assertion{{Name: "impossible", SQL: "SELECT count(*) FROM orders", Expect: "1", Timeout: config.Duration(time.Minute)}}
	copies := map[string]bool{}
	_, err = r.Backup(context.Background(), "shop", func(p job.Progress) {
		if p.Step == "copy" && p.Phase == "hash" {
			copies[p.At.String()] = true
		}
	})
	require.Error(t, err)
	assert.Equal(t, failure.BackupBad, failure.Of(err))
	assert.ErrorContains(t, err, "impossible")
	assert.Len(t, copies, job.Rounds)
	assert.Equal(t, []repo.State{repo.StateVerified, repo.StateFailed}, states(t, r))
	latest, err := r.Repo.Get("shop", repo.Latest)
	require.NoError(t, err)
	assert.Equal(t, good.Manifest.ID, latest.ID)
}

// Neither verified nor bad: one copy is made, and the list says why it is not
// verified.
func TestBackupThatTheEngineHasNoTimeOrMemoryFor(t *testing.T) {
	tests := []struct {
		name   string
		verify config.Verify
		kind   *failure.Kind
	}{
		{"time", config.Verify{Level: config.LevelFull, Timeout: config.Duration(time.Millisecond)}, failure.VerifyTimeout},
		{"memory", config.Verify{Level: config.LevelFull, Timeout: config.Duration(time.Minute), MemoryLimit: "1KB"}, failure.VerifyMemory},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, func(d *config.Database) { d.Verify = tt.verify }, orders...)
			_, err := r.Backup(context.Background(), "shop", nil)
			require.Error(t, err)
			assert.Equal(t, tt.kind, failure.Of(err), err)
			list, err := r.Repo.List("shop")
			require.NoError(t, err)
			require.Len(t, list, 1, "no fresh copy is made for it")
			assert.Equal(t, repo.StateCopied, list[0].State)
			require.NotNil(t, list[0].Verification)
			assert.Positive(t, list[0].Verification.Blocks)
			assert.Contains(t, list[0].Verification.Reason, "could not be verified")
			_, err = r.Repo.Get("shop", repo.Latest)
			assert.Equal(t, failure.UnknownBackup, failure.Of(err), "it does not count")

			// With what it lacked it is verified, and stays so without.
			lacking := r.Config.Databases[0].Verify
			r.Config.Databases[0].Verify = config.Verify{Level: config.LevelFull, Timeout: config.Duration(time.Minute)}
			res, err := r.Verify(context.Background(), job.VerifyInput{Database: "shop", ID: list[0].ID, Run: "run-2"}, nil)
			require.NoError(t, err)
			assert.Equal(t, "verified", res.State)
			assert.Positive(t, res.Blocks)
			r.Config.Databases[0].Verify = lacking
			_, err = r.Verify(context.Background(), job.VerifyInput{Database: "shop", ID: list[0].ID, Run: "run-2"}, nil)
			assert.Equal(t, tt.kind, failure.Of(err))
			assert.Equal(t, []repo.State{repo.StateVerified}, states(t, r))
		})
	}
}

// The copy is kept: the step is tried again when the program is there.
func TestBackupWithAnEngineThatIsNotThere(t *testing.T) {
	r := newRunner(t, func(d *config.Database) { d.Engine.Command = []string{filepath.Join(t.TempDir(), "duckdb")} }, orders...)
	_, err := r.Backup(context.Background(), "shop", nil)
	require.ErrorContains(t, err, r.Config.Databases[0].Engine.Command[0])
	assert.Equal(t, failure.Engine, failure.Of(err))
	assert.Equal(t, []repo.State{repo.StateCopied}, states(t, r))
}

func TestBackupAsksAssertionsAtTheirLevelOnly(t *testing.T) {
	r := newRunner(t, func(d *config.Database) {
		d.Verify.Level = config.LevelFull
		d.Assertions = []config.Assertion{{Name: "impossible", SQL: "SELECT 1", Expect: "2", Timeout: config.Duration(time.Minute)}}
	}, orders...)
	sum, err := r.Backup(context.Background(), "shop", nil)
	require.NoError(t, err)
	assert.Equal(t, "full", sum.Manifest.Verification.Level)
	assert.Empty(t, sum.Manifest.Verification.Assertions)
}

func TestCopyAgainReturnsWhatTheRunMade(t *testing.T) {
	r := newRunner(t, nil, orders...)
	in := job.CopyInput{Database: "shop", Run: "run-1", Round: 1}
	first, err := r.Copy(context.Background(), in, nil)
	require.NoError(t, err)
	again, err := r.Copy(context.Background(), in, nil)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.Equal(t, []repo.State{repo.StateCopied}, states(t, r))
}

func TestTwoRunsOfOneDatabase(t *testing.T) {
	r := newRunner(t, nil, orders...)
	made, err := r.Copy(context.Background(), job.CopyInput{Database: "shop", Run: "run-1", Round: 1}, nil)
	require.NoError(t, err)
	_, err = r.Copy(context.Background(), job.CopyInput{Database: "shop", Run: "run-2", Round: 1}, nil)
	require.Error(t, err)
	assert.Equal(t, failure.Busy, failure.Of(err), "between two steps of the first run")
	_, err = r.Verify(context.Background(), job.VerifyInput{Database: "shop", ID: made.ID, Run: "run-1"}, nil)
	require.NoError(t, err)
	_, err = r.Prune(context.Background(), job.PruneInput{Database: "shop", Run: "run-1"})
	require.NoError(t, err)
	_, err = r.Copy(context.Background(), job.CopyInput{Database: "shop", Run: "run-2", Round: 1}, nil)
	require.NoError(t, err, "the first run has ended")
}

func TestCancelledBackupLeavesNothing(t *testing.T) {
	r := newRunner(t, func(d *config.Database) { d.Copy.Bandwidth = 1 << 20 },
		"CREATE TABLE big AS SELECT i, md5(i::VARCHAR) AS s FROM range(300000) r(i)")
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("enough")
	_, err := r.Backup(ctx, "shop", func(p job.Progress) {
		if p.Phase == "copy" && p.Done > 0 {
			cancel(stop)
		}
	})
	require.ErrorIs(t, err, stop)
	assert.Empty(t, states(t, r))
	left, err := os.ReadDir(filepath.Join(r.Repo.Dir(), "shop", ".staging"))
	require.NoError(t, err)
	assert.Empty(t, left)
	r.Config.Databases[0].Copy.Bandwidth = 0
	_, err = r.Backup(context.Background(), "shop", nil)
	require.NoError(t, err, "the next backup is not held up")
}

func TestUnknownDatabase(t *testing.T) {
	r := newRunner(t, nil, orders...)
	_, err := r.Backup(context.Background(), "nope", nil)
	require.Error(t, err)
	assert.Equal(t, failure.UnknownDatabase, failure.Of(err))
	assert.ErrorContains(t, err, `"nope"`)
}
