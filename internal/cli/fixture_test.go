package cli

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// makeDatabases fills dir with one good database and copies of it that are
// wrong in one way each.
func makeDatabases(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o755))
	good := filepath.Join(dir, "good.duckdb")
	enginetest.Create(t, good, `CREATE TABLE "order" AS SELECT i AS id, 'item ' || i AS what FROM range(1000) r(i)`)
	data, err := os.ReadFile(good)
	require.NoError(t, err)

	// sum makes the checksum of the header at off right again.
	sum := func(b []byte, off int) {
		h := b[off : off+duckfile.HeaderSize]
		binary.LittleEndian.PutUint64(h, duckfile.Checksum(h[8:]))
	}
	for name, change := range map[string]func(b []byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"text":      func([]byte) []byte { return []byte("id,name\n1,one\n2,two, three and four\n") },
		"newer":     func(b []byte) []byte { binary.LittleEndian.PutUint64(b[12:], 70); sum(b, 0); return b },
		"encrypted": func(b []byte) []byte { b[20] |= 1; sum(b, 0); return b },
		"short":     func(b []byte) []byte { return b[:5000] },
		"truncated": func(b []byte) []byte { return b[:duckfile.BlocksStart+100] },
		"badsum":    func(b []byte) []byte { b[4096+100] ^= 1; b[8192+100] ^= 1; return b },
	} {
		changed := change(append([]byte{}, data...))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".duckdb"), changed, 0o644))
	}
}

// makeInspected makes what inspect has most to say of: secret.duckdb is
// encrypted, with a commit in its WAL and its key in secret.key; marked.duckdb
// was left by a process whose last checkpoint failed before its header.
func makeInspected(t *testing.T, dir string) {
	t.Helper()
	enginetest.CreateKilled(t, filepath.Join(dir, "beside.duckdb"),
		"SET force_mbedtls_unsafe = true",
		"ATTACH 'secret.duckdb' AS secret (ENCRYPTION_KEY 'a key of words', ENCRYPTION_CIPHER 'GCM', BLOCK_SIZE 16384)",
		"CREATE TABLE secret.t AS SELECT range AS i FROM range(1000)", "CHECKPOINT secret", "INSERT INTO secret.t VALUES (-1)",
	)
	for name, key := range map[string]string{"secret.key": "a key of words\n", "wrong.key": "another key\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(key), 0o600))
	}
	enginetest.Create(t, filepath.Join(dir, "marked.duckdb"),
		"CREATE TABLE t AS SELECT range AS i FROM range(1000)", "CHECKPOINT", "INSERT INTO t VALUES (-1)", "CREATE INDEX i ON t(i)",
		"SET debug_checkpoint_abort = 'before_header'",
	)
}

// makeRepository makes four backups of the database shop, a day apart from
// 2026-11-01 on: the first three are verified, with 10, 20 and 30 rows; the
// last one failed.
func makeRepository(t *testing.T, dir string) []string {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	r, err := repo.Open(vfs.OS(), dir)
	require.NoError(t, err)
	var ids []string
	for i, state := range []repo.State{repo.StateVerified, repo.StateVerified, repo.StateVerified, repo.StateFailed} {
		ids = append(ids, makeBackup(t, r, i+1, state))
	}
	return ids
}

func makeBackup(t *testing.T, r *repo.Repo, n int, state repo.State) string {
	t.Helper()
	run := "run-" + string(rune('0'+n))
	started := time.Date(2026, 11, n, 3, 0, 0, 0, time.UTC)
	s, err := r.Stage("shop", run)
	require.NoError(t, err)
	path := filepath.Join(s.Dir(), "shop.duckdb")
	enginetest.Create(t, path, "CREATE TABLE orders AS SELECT i AS id FROM range("+string(rune('0'+n))+"0) r(i)")
	report, err := engine.Scan(t.Context(), engine.ScanRequest{Path: path, Level: engine.LevelFull, TempDir: t.TempDir()})
	require.NoError(t, err)
	var tables []repo.Table
	for _, table := range report.Tables {
		tables = append(tables, repo.Table{Name: table.Name, Rows: table.Rows, Fingerprint: table.Fingerprint})
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	digest := sha256.Sum256(data)
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, 1, run), Database: "shop", State: state, Run: run,
		Started: started, Finished: started.Add(2500 * time.Millisecond),
		Source:       repo.Source{Path: "/srv/shop.duckdb", Bytes: int64(len(data)), Iteration: 1, StorageVersion: 64, BlockBytes: 262144},
		Acceptance:   repo.Acceptance{Rule: "C", Attempts: 1, Seconds: 1.5},
		Files:        []repo.File{{Name: "shop.duckdb", Bytes: int64(len(data)), SHA256: hex.EncodeToString(digest[:])}},
		Verification: &repo.Verification{Level: "full", Engine: report.Engine, Fingerprints: engine.FingerprintVersion, At: started, Tables: tables},
		Tool:         "test",
	}
	if state == repo.StateFailed {
		m.Failure = "a made-up failure"
	}
	require.NoError(t, s.Commit(m))
	return m.ID
}
