package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

// engineScan is the real check, and notes how it was called.
func engineScan(t *testing.T, scratch *bool) func(context.Context, string, bool) ([]repo.Table, error) {
	return func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
		*scratch = readWrite
		report, err := engine.Scan(ctx, engine.ScanRequest{Path: path, ReadWrite: readWrite, Level: engine.LevelFull, TempDir: t.TempDir(), Timeout: time.Minute})
		if err != nil {
			return nil, err
		}
		var tables []repo.Table
		for _, table := range report.Tables {
			tables = append(tables, repo.Table{Name: table.Name, Rows: table.Rows, Fingerprint: table.Fingerprint})
		}
		return tables, nil
	}
}

// liveBackup commits the database at source, and its WAL, as a verified backup
// whose evidence is a scan of a copy.
func liveBackup(t *testing.T, r *repo.Repo, source string) *repo.Manifest {
	t.Helper()
	s, err := r.Stage("shop", "run-1")
	require.NoError(t, err)
	m := &repo.Manifest{Schema: repo.Schema, ID: repo.NewID(start, 1, "run-1"), Database: "shop", State: repo.StateVerified, Run: "run-1", Started: start}
	copied := filepath.Join(t.TempDir(), "copy.duckdb")
	for _, suffix := range []string{"", ".wal"} {
		data, err := os.ReadFile(source + suffix)
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		name := "shop.duckdb" + suffix
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir(), name), data, 0o600))
		require.NoError(t, os.WriteFile(copied+suffix, data, 0o600))
		m.Files = append(m.Files, repo.File{Name: name, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	var scratch bool
	tables, err := engineScan(t, &scratch)(t.Context(), copied, true)
	require.NoError(t, err)
	m.Verification = &repo.Verification{Level: "full", Fingerprints: engine.FingerprintVersion, Tables: tables}
	require.NoError(t, s.Commit(m))
	return m
}

func TestRestoreOfARealDatabase(t *testing.T) {
	const rows = "CREATE TABLE orders AS SELECT i AS id, 'order ' || i AS what FROM range(1000) t(i)"
	tests := []struct {
		name    string
		wal     string
		scratch bool
	}{
		{"whose WAL holds rows", "INSERT INTO orders VALUES (1000, 'last')", false},
		{"whose WAL holds an index", "CREATE INDEX by_id ON orders(id)", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			source := filepath.Join(dir, "shop.duckdb")
			enginetest.Create(t, source, rows)
			enginetest.CreateKilled(t, source, tt.wal)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "repo"), 0o700))
			r, err := repo.Open(vfs.OS(), filepath.Join(dir, "repo"))
			require.NoError(t, err)
			m := liveBackup(t, r, source)

			var scratch bool
			to := filepath.Join(dir, "restored.duckdb")
			res, err := Run(t.Context(), Request{FS: vfs.OS(), Repo: r, Database: "shop", Backup: repo.Latest, Target: to, Scan: engineScan(t, &scratch)})
			require.NoError(t, err)
			assert.Equal(t, tt.scratch, scratch)
			assert.Equal(t, m.Verification.Tables, res.Tables)
			for i, suffix := range []string{"", ".wal"} {
				data, err := os.ReadFile(to + suffix)
				require.NoError(t, err)
				sum := sha256.Sum256(data)
				assert.Equal(t, m.Files[i].SHA256, hex.EncodeToString(sum[:]), "the check changes nothing")
			}
			assert.NotEqual(t, "0", enginetest.Query(t, to, "SELECT count(*) FROM orders"))
		})
	}
}

func TestRestoreOverADatabaseInUse(t *testing.T) {
	dir := t.TempDir()
	source, live := filepath.Join(dir, "shop.duckdb"), filepath.Join(dir, "live.duckdb")
	enginetest.CreateKilled(t, source, "CREATE TABLE orders(id INTEGER)", "INSERT INTO orders VALUES (1)")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "repo"), 0o700))
	r, err := repo.Open(vfs.OS(), filepath.Join(dir, "repo"))
	require.NoError(t, err)
	liveBackup(t, r, source)

	owner := enginetest.StartOwner(t, live, enginetest.OwnerOptions{})
	owner.WaitCommits(t, 1)
	var scratch bool
	req := Request{FS: vfs.OS(), Repo: r, Database: "shop", Backup: repo.Latest, Target: live, KeepOld: true, Scan: engineScan(t, &scratch)}
	_, err = Run(t.Context(), req)
	requireKind(t, failure.TargetInUse, err)
	owner.WaitCommits(t, owner.Committed()+1) // it goes on undisturbed
	owner.Kill(t)

	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	require.NotEmpty(t, res.MovedAside)
	assert.Equal(t, "1", enginetest.Query(t, live, "SELECT count(*) FROM orders"))
	enginetest.CheckPrefix(t, res.MovedAside[0], owner.Committed())
}

// TestRestoreBesideAPipe: what stands in the place of the old WAL is refused,
// not waited for.
func TestRestoreBesideAPipe(t *testing.T) {
	dir := t.TempDir()
	r := shop(t, dir)
	target := filepath.Join(dir, "old.duckdb")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	require.NoError(t, syscall.Mkfifo(target+".wal", 0o600))
	_, err := Run(context.Background(), Request{FS: vfs.OS(), Repo: r, Database: "shop", Backup: repo.Latest, Target: target, KeepOld: true})
	requireKind(t, failure.TargetBad, err)
	data, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "old", string(data))
}
