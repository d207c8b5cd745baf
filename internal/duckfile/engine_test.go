package duckfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

// database is a file that the engine left behind, with its WAL.
type database struct {
	path    string
	db, wal []byte
}

func read(t *testing.T, path string) database {
	t.Helper()
	db, err := os.ReadFile(path)
	require.NoError(t, err)
	wal, err := os.ReadFile(path + duckfile.WALSuffix)
	require.NoError(t, err)
	return database{path, db, wal}
}

func (d *database) scan(t *testing.T, key *duckfile.Key) (*duckfile.Headers, *duckfile.WAL) {
	t.Helper()
	h, err := duckfile.ReadHeaders(bytes.NewReader(d.db), key)
	require.NoError(t, err)
	_, err = duckfile.CheckFile(bytes.NewReader(d.db), int64(len(d.db)), key, nil)
	require.NoError(t, err)
	w, err := duckfile.ScanWAL(bytes.NewReader(d.wal), int64(len(d.wal)), h)
	require.NoError(t, err)
	require.NoError(t, w.Tail)
	return h, w
}

// opens asks the engine.
func opens(t *testing.T, path string) error {
	t.Helper()
	_, err := engine.Scan(t.Context(), engine.ScanRequest{
		Path: path, ReadWrite: true, Level: engine.LevelFull, TempDir: t.TempDir(), Timeout: time.Minute,
	})
	return err
}

// TestEngineEncrypts reads files of the engine at hand with both ciphers, block
// sizes and keys of every kind. Without a crypto module of its own the engine
// writes encrypted files only if it is told to.
func TestEngineEncrypts(t *testing.T) {
	for _, c := range []struct {
		name, cipher, key string
		block             int64
	}{
		{"GCM, text", "GCM", "a key of words", 16384},
		{"CTR, text", "CTR", "a key of words", 16384},
		{"GCM, large blocks", "GCM", "x", 262144},
		{"GCM, base64", "GCM", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", 32768},
		{"CTR, base64 by chance", "CTR", "pass", 32768},
		{"CTR, padding before the last character", "CTR", "c2=j", 16384},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			enginetest.CreateKilled(t, filepath.Join(dir, "other.duckdb"),
				"SET force_mbedtls_unsafe = true",
				fmt.Sprintf("ATTACH 'x.duckdb' AS x (ENCRYPTION_KEY '%s', ENCRYPTION_CIPHER '%s', BLOCK_SIZE %d)", c.key, c.cipher, c.block),
				"CREATE TABLE x.t AS SELECT range AS i, repeat('text ', 20) AS s FROM range(5000)",
				"CHECKPOINT x",
				"INSERT INTO x.t VALUES (-1, 'later')",
				"BEGIN", "INSERT INTO x.t VALUES (-2, 'later')", "UPDATE x.t SET s = 'new' WHERE i = 7", "COMMIT",
			)
			d := read(t, filepath.Join(dir, "x.duckdb"))
			key := duckfile.NewKey(c.key)
			h, w := d.scan(t, key)
			assert.Equal(t, uint8(1), h.Main.Encryption.Version)
			assert.Equal(t, "AES-256-"+c.cipher, h.Main.Encryption.Cipher.String())
			assert.Equal(t, c.block, h.Current().BlockAllocSize)
			assert.Equal(t, int64(2), w.Commits)
			assert.Equal(t, h.Main.Identifier, w.Header.Identifier)
			assert.Equal(t, h.Current().Iteration, w.Header.Iteration)
			assert.Equal(t, duckfile.Logged, duckfile.Classify(h, w, nil))
			assert.Equal(t, int64(2), w.Entries[26], "inserts: %v", w.Entries)

			blind, err := duckfile.ReadOpaque(bytes.NewReader(d.db))
			require.NoError(t, err)
			o, err := duckfile.ScanWAL(bytes.NewReader(d.wal), int64(len(d.wal)), blind)
			require.NoError(t, err)
			assert.Equal(t, w.Commits, o.Commits)
			assert.Equal(t, w.Frames, o.Frames)
			_, err = duckfile.ReadHeaders(bytes.NewReader(d.db), duckfile.NewKey(c.key+"?"))
			require.ErrorIs(t, err, duckfile.ErrWrongKey)
		})
	}
}

// TestEngineIdentifierFault: the engine at hand refuses its own file after a
// storage upgrade and a crash, and takes it after the repair.
func TestEngineIdentifierFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.duckdb")
	enginetest.CreateStorage(t, path, "v1.0.0", "CREATE TABLE t AS SELECT range AS i FROM range(10)")
	enginetest.CreateKilled(t, filepath.Join(filepath.Dir(path), "other.duckdb"),
		"ATTACH 'old.duckdb' AS old (STORAGE_VERSION 'latest')",
		"INSERT INTO old.t VALUES (100)", "CHECKPOINT old", "INSERT INTO old.t VALUES (200)",
	)
	d := read(t, path)
	h, w := d.scan(t, nil)
	require.Equal(t, uint64(65), h.StorageVersion())
	require.True(t, h.IdentifierFault(w), "identifier %x, WAL %x", h.Main.Identifier, w.Header.Identifier)

	try := filepath.Join(t.TempDir(), "refused.duckdb")
	enginetest.CopyFile(t, path, try)
	enginetest.CopyFile(t, path+duckfile.WALSuffix, try+duckfile.WALSuffix)
	require.ErrorContains(t, opens(t, try), "WAL does not match database file")

	duckfile.RepairIdentifier(d.db[:duckfile.HeaderSize])
	mended := filepath.Join(t.TempDir(), "mended.duckdb")
	require.NoError(t, os.WriteFile(mended, d.db, 0o600))
	require.NoError(t, os.WriteFile(mended+duckfile.WALSuffix, d.wal, 0o600))
	require.NoError(t, opens(t, mended))
	assert.Equal(t, "345", enginetest.Query(t, mended, "SELECT sum(i) FROM t"))
}

// TestEngineStates: a checkpoint that dies before its header leaves S2; one
// that dies behind it S3; and a DuckDB that reads them takes both.
func TestEngineStates(t *testing.T) {
	for _, c := range []struct {
		abort string
		want  duckfile.State
		kept  int64
	}{
		{"before_header", duckfile.Running, 1},
		{"before_truncate", duckfile.Written, 1},
	} {
		t.Run(c.abort, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.duckdb")
			// The checkpoint is that of closing the file, whose failure is silent.
			enginetest.Create(t, path,
				"CREATE TABLE t AS SELECT range AS i FROM range(100)", "CHECKPOINT",
				"INSERT INTO t VALUES (1000)",
				"SET debug_checkpoint_abort = '"+c.abort+"'",
			)
			d := read(t, path)
			h, w := d.scan(t, nil)
			assert.Equal(t, c.kept, w.Commits)
			require.Len(t, w.Markers, 1)
			assert.Equal(t, c.want, duckfile.Classify(h, w, nil))
			assert.Equal(t, "5950", enginetest.Query(t, path, "SELECT sum(i) FROM t"))
		})
	}
}
