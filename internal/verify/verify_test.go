package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
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
	"canvasback/internal/verify"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

// backup is a stored backup: a directory of its own with a database and, after
// killed statements, a WAL.
type backup struct {
	dir, db string
}

func newBackup(t *testing.T, killed ...string) backup {
	t.Helper()
	dir := t.TempDir()
	b := backup{dir: dir, db: filepath.Join(dir, "shop.duckdb")}
	enginetest.Create(t, b.db,
		"CREATE TABLE orders AS SELECT range AS id, md5(range::VARCHAR) AS note FROM range(200000)",
		"CREATE TABLE empty(i INTEGER)")
	if len(killed) > 0 {
		enginetest.CreateKilled(t, b.db, killed...)
		require.FileExists(t, b.db+".wal")
	}
	return b
}

// manifest describes what lies in the directory now.
func (b backup) manifest(t *testing.T) *repo.Manifest {
	t.Helper()
	m := &repo.Manifest{Schema: repo.Schema, Database: "shop", State: repo.StateCopied}
	for _, name := range []string{"shop.duckdb", "shop.duckdb.wal"} {
		content, err := os.ReadFile(filepath.Join(b.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		sum := sha256.Sum256(content)
		m.Files = append(m.Files, repo.File{Name: name, Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
	}
	return m
}

func (b backup) request(t *testing.T) verify.Request {
	t.Helper()
	return verify.Request{
		FS: vfs.OS(), Dir: b.dir, Manifest: b.manifest(t), Level: verify.LevelFull, Scratch: t.TempDir(),
		MemoryLimit: "500MB", Threads: 2, Timeout: time.Minute,
	}
}

// change rewrites the database file in place.
func (b backup) change(t *testing.T, f func(content []byte)) {
	t.Helper()
	content, err := os.ReadFile(b.db)
	require.NoError(t, err)
	f(content)
	require.NoError(t, os.WriteFile(b.db, content, 0o600))
}

// contents are all files of the directory.
func (b backup) contents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(b.dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(content)
	}
	return all
}

// run verifies and checks what holds for every run: the stored files are what
// they were, and nothing is left in the scratch directory.
func run(t *testing.T, ctx context.Context, b backup, req verify.Request) (*repo.Verification, error) {
	t.Helper()
	before := b.contents(t)
	v, err := verify.Run(ctx, req)
	assert.Equal(t, before, b.contents(t), "stored files")
	left, readErr := os.ReadDir(req.Scratch)
	require.NoError(t, readErr)
	assert.Empty(t, left, "scratch directory")
	return v, err
}

func requireBad(t *testing.T, v *repo.Verification, err error, text string) {
	t.Helper()
	require.ErrorContains(t, err, text)
	require.Equal(t, failure.BackupBad, failure.Of(err), err)
	require.NotNil(t, v)
	assert.Equal(t, err.Error(), v.Reason)
}

func TestRun_good(t *testing.T) {
	tests := []struct {
		name      string
		killed    []string
		rows      int64
		readWrite bool
	}{
		{"without a WAL/in place", nil, 200000, false},
		{"with a WAL/in place", []string{"INSERT INTO orders VALUES (-1, 'late')"}, 200001, false},
		{"with an index in the WAL/on a scratch copy", []string{"CREATE INDEX by_id ON orders(id)", "INSERT INTO orders VALUES (-1, 'late')"}, 200001, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackup(t, tt.killed...)
			req := b.request(t)
			phases := map[string]int64{}
			req.Progress = func(phase string, done, total int64) {
				assert.LessOrEqual(t, done, total)
				phases[phase] = done
			}
			req.Assertions = []engine.Assertion{{Name: "orders", SQL: "SELECT count(*) >= 200000 FROM orders", Expect: "true", Timeout: time.Minute}}
			v, err := run(t, context.Background(), b, req)
			require.NoError(t, err)
			assert.Equal(t, "assert", v.Level)
			assert.Equal(t, "assert", v.Asked)
			assert.Equal(t, "v1.5.6", v.Engine)
			assert.Positive(t, v.Blocks)
			assert.Equal(t, engine.FingerprintVersion, v.Fingerprints)
			assert.Equal(t, tt.readWrite, v.ReadWrite)
			assert.Empty(t, v.Reason)
			require.Len(t, v.Tables, 2)
			assert.Equal(t, "main.empty", v.Tables[0].Name)
			assert.Equal(t, tt.rows, v.Tables[1].Rows)
			assert.Len(t, v.Tables[1].Fingerprint, 32)
			assert.Equal(t, []repo.Assertion{{Name: "orders", Got: "true", Want: "true", Passed: true}}, v.Assertions)
			assert.Equal(t, int64(2), phases[verify.PhaseRead])
			assert.Positive(t, phases[verify.PhaseHash])
			assert.Positive(t, phases[verify.PhaseBlocks])
			assert.Equal(t, tt.readWrite, phases[verify.PhaseScratch] > 0)
		})
	}
}

func TestRun_levels(t *testing.T) {
	b := newBackup(t)
	req := b.request(t)
	req.Level = verify.LevelBytes
	v, err := run(t, context.Background(), b, req)
	require.NoError(t, err)
	assert.Equal(t, "bytes", v.Level)
	assert.Empty(t, v.Engine)

	req.Level = verify.LevelOpen
	v, err = run(t, context.Background(), b, req)
	require.NoError(t, err)
	assert.Equal(t, "open", v.Level)
	assert.Equal(t, repo.Table{Name: "main.orders", Rows: 200000}, v.Tables[1])

	req.Level = ""
	v, err = run(t, context.Background(), b, req)
	require.NoError(t, err)
	assert.Equal(t, "full", v.Level)
	assert.Len(t, v.Tables[1].Fingerprint, 32)

	req.Level = verify.LevelAssert
	_, err = run(t, context.Background(), b, req)
	require.EqualError(t, err, "verify "+b.dir+`: level "assert" without assertions`)
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))

	req.Level = "deep"
	_, err = run(t, context.Background(), b, req)
	require.EqualError(t, err, "verify "+b.dir+`: unknown level "deep"`)
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
}

const blockBytes, firstBlock = 262144, 12288

// resum renews the checksum of the header or block at off.
func resum(content []byte, off, size int) {
	sum := uint64(5381)
	for i := off + 8; i < off+size; i += 8 {
		sum ^= binary.LittleEndian.Uint64(content[i:]) * 0xbf58476d1ce4e5b9
	}
	binary.LittleEndian.PutUint64(content[off:], sum)
}

func TestRun_bad(t *testing.T) {
	insert := []string{"INSERT INTO orders VALUES (-1, 'late')"}
	writeWAL := func(t *testing.T, b backup, f func(wal []byte) []byte) {
		wal, err := os.ReadFile(b.db + ".wal")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(b.db+".wal", f(wal), 0o600))
	}
	tests := []struct {
		name   string
		killed []string
		// before the manifest is made, after it
		early, late func(t *testing.T, b backup)
		text        string
	}{
		{"a byte flipped in a used block", nil, nil, func(t *testing.T, b backup) {
			b.change(t, func(c []byte) { c[firstBlock+blockBytes+999] ^= 1 })
		}, "SHA-256"},
		{"a byte flipped before it was hashed", nil, func(t *testing.T, b backup) {
			b.change(t, func(c []byte) { c[firstBlock+blockBytes+999] ^= 1 })
		}, nil, "corrupt: block"},
		{"a header with a bad checksum", nil, func(t *testing.T, b backup) {
			b.change(t, func(c []byte) { c[4096+777] ^= 1 })
		}, nil, "corrupt"},
		{"all sums right and the catalog overwritten: only the engine can tell", nil, func(t *testing.T, b backup) {
			b.change(t, func(c []byte) {
				slot := 4096
				if binary.LittleEndian.Uint64(c[8192+8:]) >= binary.LittleEndian.Uint64(c[4096+8:]) {
					slot = 8192
				}
				meta := binary.LittleEndian.Uint64(c[slot+16:])
				block := firstBlock + int(meta&(1<<56-1))*blockBytes
				sub := (blockBytes - 8) / 64 / 8 * 8
				root := block + 8 + int(meta>>56)*sub
				copy(c[root+8:root+200], bytes.Repeat([]byte{0x7f}, 192))
				resum(c, block, blockBytes)
			})
		}, nil, "the engine"},
		{"the database file missing", nil, nil, func(t *testing.T, b backup) { require.NoError(t, os.Remove(b.db)) }, "is missing"},
		{"the WAL missing", insert, nil, func(t *testing.T, b backup) { require.NoError(t, os.Remove(b.db+".wal")) }, "wal is missing"},
		{"a file cut short", nil, nil, func(t *testing.T, b backup) { require.NoError(t, os.Truncate(b.db, 300000)) }, "300000 bytes, the manifest says"},
		{"a file cut short before it was hashed", nil, func(t *testing.T, b backup) { require.NoError(t, os.Truncate(b.db, 300000)) }, nil, "truncated"},
		{"a symbolic link", nil, nil, func(t *testing.T, b backup) {
			target := filepath.Join(t.TempDir(), "elsewhere")
			require.NoError(t, os.Rename(b.db, target))
			require.NoError(t, os.Symlink(target, b.db))
		}, "is no regular file"},
		{"a WAL that the manifest does not name", nil, nil, func(t *testing.T, b backup) {
			enginetest.CreateKilled(t, b.db, insert...)
		}, "is not in the manifest"},
		{"a WAL cut inside a frame", insert, func(t *testing.T, b backup) {
			writeWAL(t, b, func(w []byte) []byte { return w[:len(w)-5] })
		}, nil, "truncated"},
		{"a WAL cut before its commit", insert, func(t *testing.T, b backup) {
			writeWAL(t, b, func(w []byte) []byte { return w[:len(w)-21] })
		}, nil, "its last commit ends at byte"},
		{"a WAL with a flipped byte", insert, func(t *testing.T, b backup) {
			writeWAL(t, b, func(w []byte) []byte { w[30] ^= 1; return w })
		}, nil, "corrupt"},
		{"a WAL of nothing", insert, func(t *testing.T, b backup) {
			writeWAL(t, b, func(w []byte) []byte { return w[:8] })
		}, nil, "it holds no commit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackup(t, tt.killed...)
			if tt.early != nil {
				tt.early(t, b)
			}
			req := b.request(t)
			if tt.late != nil {
				tt.late(t, b)
			}
			v, err := run(t, context.Background(), b, req)
			requireBad(t, v, err, tt.text)
			assert.ErrorContains(t, err, b.dir)
		})
	}
}

func TestRun_manifest_that_names_other_files_is_bad(t *testing.T) {
	for name, text := range map[string]string{"../shop.duckdb": "outside the backup", "notes.txt": "belongs to no backup", "other.duckdb": "belongs to no backup", "other.wal": "is not that of"} {
		b := newBackup(t)
		req := b.request(t)
		req.Manifest.Files = append(req.Manifest.Files, repo.File{Name: name})
		v, err := run(t, context.Background(), b, req)
		requireBad(t, v, err, text)
	}
	b := newBackup(t)
	req := b.request(t)
	req.Manifest.Files = nil
	v, err := run(t, context.Background(), b, req)
	requireBad(t, v, err, "names no database file")
}

// A query that the engine does not understand says nothing about the backup: a
// slip in the configuration would make every backup a bad one.
func TestRun_assertion_that_cannot_be_asked_is_no_verdict(t *testing.T) {
	b := newBackup(t)
	for sql, text := range map[string]string{
		"SELEC count(*) FROM orders":             "syntax error",
		"DELETE FROM orders":                     "SELECT statement",
		"SELECT st_area(1)":                      "st_area",
		"SELECT count_distinctly(1) FROM orders": "count_distinctly",
	} {
		req := b.request(t)
		req.Assertions = []engine.Assertion{{Name: "slip", SQL: sql, Expect: "1", Timeout: time.Minute}}
		v, err := run(t, context.Background(), b, req)
		require.ErrorContains(t, err, `assertion "slip"`)
		require.ErrorContains(t, err, text)
		assert.Equal(t, failure.InvalidConfig, failure.Of(err))
		assert.Nil(t, v)
	}
}

func TestRun_failed_assertion_is_bad(t *testing.T) {
	b := newBackup(t)
	req := b.request(t)
	req.Assertions = []engine.Assertion{
		{Name: "holds", SQL: "SELECT 1", Expect: "1", Timeout: time.Minute},
		{Name: "orders", SQL: "SELECT count(*) FROM orders", Expect: "7", Timeout: time.Minute},
		{Name: "mistyped", SQL: "SELECT count(*) FROM order5", Expect: "7", Timeout: time.Minute},
	}
	v, err := run(t, context.Background(), b, req)
	requireBad(t, v, err, `assertion "orders": got "200000", want "7"; assertion "mistyped": got "error: Catalog Error`)
	require.Len(t, v.Assertions, 3)
	assert.Equal(t, []bool{true, false, false}, []bool{v.Assertions[0].Passed, v.Assertions[1].Passed, v.Assertions[2].Passed})
	assert.Len(t, v.Tables, 2, "the evidence is kept")
}

func TestRun_file_of_a_newer_engine_is_structure(t *testing.T) {
	tests := []struct {
		name                   string
		version, compatibility uint64
		needs                  string
	}{
		{"made by 2.0", 999, 69, "it needs DuckDB 2.0 or newer (storage version 69)"},
		{"upgraded by 2.0", 65, 69, "it needs DuckDB 2.0 or newer (storage version 65)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackup(t)
			b.change(t, func(c []byte) {
				binary.LittleEndian.PutUint64(c[12:], tt.version)
				resum(c, 0, 4096)
				for _, slot := range []int{4096, 8192} {
					binary.LittleEndian.PutUint64(c[slot+56:], tt.compatibility)
					resum(c, slot, 4096)
				}
			})
			v, err := run(t, context.Background(), b, b.request(t))
			require.ErrorIs(t, err, verify.ErrStructure)
			assert.NotEqual(t, failure.BackupBad, failure.Of(err))
			assert.Equal(t, "bytes", v.Level)
			assert.Positive(t, v.Blocks)
			assert.Contains(t, v.Reason, tt.needs)
			assert.Contains(t, v.Reason, "engine: {command: [/usr/bin/duckdb]}")
		})
	}
}

// All rows are read; the index is what nobody here has looked into.
func TestRun_missing_extension_is_structure(t *testing.T) {
	b := newBackup(t)
	enginetest.Create(t, b.db, "CREATE INDEX by_id ON orders(id)")
	b.change(t, func(c []byte) {
		patched := false
		for off := firstBlock; off+blockBytes <= len(c); off += blockBytes {
			if i := bytes.Index(c[off:off+blockBytes], []byte("\x03ART")); i >= 0 {
				copy(c[off+i+1:], "HNS")
				resum(c, off, blockBytes)
				patched = true
			}
		}
		require.True(t, patched)
	})
	v, err := run(t, context.Background(), b, b.request(t))
	require.ErrorIs(t, err, verify.ErrStructure)
	assert.NotEqual(t, failure.BackupBad, failure.Of(err))
	assert.Equal(t, "open", v.Level)
	assert.Len(t, v.Tables, 2)
	assert.Equal(t, err.Error(), v.Reason)
	assert.Contains(t, v.Reason, `which v1.5.6 does not have: table main.orders, index "by_id": no extension here has indexes of type HNS`)
}

func TestRun_accidents_are_no_verdicts(t *testing.T) {
	b := newBackup(t, "CREATE INDEX by_id ON orders(id)")

	t.Run("the context ends in each phase", func(t *testing.T) {
		for _, phase := range []string{verify.PhaseHash, verify.PhaseBlocks, verify.PhaseScratch, verify.PhaseRead} {
			cause := errors.New("the worker stops")
			ctx, cancel := context.WithCancelCause(context.Background())
			req := b.request(t)
			req.Progress = func(p string, done, _ int64) {
				if p == phase {
					cancel(cause)
				}
			}
			v, err := run(t, ctx, b, req)
			require.ErrorIs(t, err, cause, phase)
			assert.NotEqual(t, failure.BackupBad, failure.Of(err), phase)
			assert.Nil(t, v)
		}
	})
	t.Run("any operation fails", func(t *testing.T) {
		kinds := map[vfstest.Kind]int{}
		for n := 1; ; n++ {
			req := b.request(t)
			req.Level = verify.LevelOpen
			fsys := vfstest.FailNth(vfs.OS(), n, syscall.EIO)
			req.FS = fsys
			before := b.contents(t)
			v, err := verify.Run(context.Background(), req)
			assert.Equal(t, before, b.contents(t))
			if !fsys.Fired() {
				require.NoError(t, err)
				assert.True(t, v.ReadWrite)
				break
			}
			kinds[fsys.Op().Kind]++
			require.ErrorIs(t, err, syscall.EIO, "operation %d: %v", n, fsys.Op())
			require.NotEqual(t, failure.BackupBad, failure.Of(err), "operation %d: %v", n, fsys.Op())
			require.Nil(t, v)
		}
		assert.Greater(t, len(kinds), 4, "%v", kinds)
	})
	t.Run("no scratch directory", func(t *testing.T) {
		req := b.request(t)
		req.Scratch = filepath.Join(req.Scratch, "not")
		v, err := verify.Run(context.Background(), req)
		require.Equal(t, failure.Engine, failure.Of(err), err)
		assert.Nil(t, v)
	})
}

// Neither bad nor verified: the evidence ends where the engine did.
func TestRun_engine_without_time_or_memory_decides_nothing(t *testing.T) {
	b := newBackup(t)
	tests := []struct {
		name   string
		change func(*verify.Request)
		kind   *failure.Kind
		level  string
		text   string
	}{
		{"the time limit", func(r *verify.Request) { r.Timeout = time.Millisecond }, failure.VerifyTimeout, "bytes", "killed after 1ms"},
		{"the memory limit", func(r *verify.Request) { r.MemoryLimit = "1KB" }, failure.VerifyMemory, "bytes", "memory"},
		{"an assertion's time limit", func(r *verify.Request) {
			r.Assertions = []engine.Assertion{
				{Name: "holds", SQL: "SELECT 1", Expect: "1", Timeout: time.Minute},
				{Name: "endless", SQL: "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1", Expect: "1", Timeout: 50 * time.Millisecond},
			}
		}, failure.VerifyTimeout, "assert", `assertion "endless": got "error: no result after 50ms"`},
		{"an assertion's memory", func(r *verify.Request) {
			r.MemoryLimit = "100MB"
			r.Assertions = []engine.Assertion{{Name: "huge", SQL: "SELECT length(string_agg(repeat('x', 1000), '')) FROM range(1000000)", Expect: "1", Timeout: time.Minute}}
		}, failure.VerifyMemory, "assert", "Out of Memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := b.request(t)
			tt.change(&req)
			v, err := run(t, context.Background(), b, req)
			require.ErrorContains(t, err, tt.text)
			require.Equal(t, tt.kind, failure.Of(err), err)
			assert.True(t, verify.Undecided(err))
			require.NotNil(t, v)
			assert.Equal(t, err.Error(), v.Reason)
			assert.Equal(t, tt.level, v.Level)
			assert.Positive(t, v.Blocks)
		})
	}
	t.Run("an assertion that fails beside one that is late is bad", func(t *testing.T) {
		req := b.request(t)
		tests[2].change(&req)
		req.Assertions[0].Expect = "2"
		v, err := run(t, context.Background(), b, req)
		requireBad(t, v, err, `assertion "holds": got "1", want "2"`)
	})
}
