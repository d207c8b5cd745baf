package engine_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

func TestScan(t *testing.T) {
	path := database(t,
		"CREATE TABLE orders AS SELECT range AS id, range * 2 AS cents FROM range(300000)",
		"CREATE SCHEMA \"odd.schema\"",
		`CREATE TABLE "odd.schema"."a ""table"" (x), é" ("sel ect" INTEGER, "c""d" VARCHAR)`,
		`INSERT INTO "odd.schema"."a ""table"" (x), é" VALUES (1, 'x')`,
		"CREATE TABLE empty(i INTEGER, s VARCHAR)",
		"CREATE VIEW cheap AS SELECT * FROM shop.main.orders WHERE cents < 10",
		"CREATE TABLE gone(i INTEGER)", "CREATE VIEW broken AS SELECT * FROM gone", "DROP TABLE gone",
		"CREATE INDEX by_id ON orders(id)",
	)
	before := files(t, path)
	var progress []int
	req := request(t, path)
	req.Progress = func(done, total int) { progress = append(progress, done, total) }
	report, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)

	assert.Equal(t, "v1.5.6", report.Engine)
	require.Len(t, report.Tables, 3)
	for i, want := range []struct {
		name string
		rows int64
	}{{"main.empty", 0}, {"main.orders", 300000}, {`"odd.schema"."a ""table"" (x), é"`, 1}} {
		assert.Equal(t, want.name, report.Tables[i].Name)
		assert.Equal(t, want.rows, report.Tables[i].Rows)
		assert.Regexp(t, "^[0-9a-f]{32}$", report.Tables[i].Fingerprint)
	}
	assert.Equal(t, []int{0, 3, 1, 3, 2, 3, 3, 3}, progress)
	assert.Equal(t, before, files(t, path), "a read-only scan changes no file")
	left, err := os.ReadDir(req.TempDir)
	require.NoError(t, err)
	assert.Empty(t, left)

	req.Level = engine.LevelOpen
	open, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	require.Len(t, open.Tables, 3)
	assert.Equal(t, engine.Table{Name: "main.orders", Rows: 300000}, open.Tables[1])
}

// files is the content of the database's directory.
func files(t *testing.T, path string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	require.NoError(t, filepath.WalkDir(filepath.Dir(path), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		all[name] = sha256.Sum256(content)
		return err
	}))
	return all
}

func TestScan_file_names(t *testing.T) {
	for _, name := range []string{"memory.duckdb", "temp.db", "main", "a b'c\".duckdb", "é;--.duckdb", ".hidden.duckdb"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			source := database(t, "CREATE TABLE a AS SELECT 1 AS i")
			enginetest.CreateKilled(t, source, "INSERT INTO a VALUES (2)")
			enginetest.CopyFile(t, source, path)
			enginetest.CopyFile(t, source+".wal", path+".wal")
			assert.Equal(t, int64(2), scan(t, path)["main.a"].Rows, "with the row in the WAL")
		})
	}
}

func TestScan_wal(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	enginetest.CreateKilled(t, path, "INSERT INTO a SELECT range FROM range(5)")
	before := files(t, path)
	require.Len(t, before, 2)
	readOnly := scan(t, path)
	assert.Equal(t, int64(15), readOnly["main.a"].Rows)
	assert.Equal(t, before, files(t, path))

	req := request(t, path)
	req.ReadWrite = true
	report, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	assert.Equal(t, readOnly["main.a"], report.Tables[0], "the same rows by either way")
	assert.NoFileExists(t, path+".wal", "the WAL was folded")
	assert.Equal(t, readOnly, scan(t, path))
}

func TestScan_wal_with_an_index_needs_a_writable_copy(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	enginetest.CreateKilled(t, path, "CREATE INDEX by_i ON a(i)", "INSERT INTO a VALUES (10)")
	req := request(t, path)
	req.ReadWrite = true
	report, err := engine.Scan(context.Background(), req)
	require.NoError(t, err)
	assert.Equal(t, int64(11), report.Tables[0].Rows)
}

func TestScan_bad_files(t *testing.T) {
	good := database(t, "CREATE TABLE a AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(200000)")
	content, err := os.ReadFile(good)
	require.NoError(t, err)
	change := func(f func([]byte) []byte) []byte { return f(append([]byte(nil), content...)) }
	version := func(n uint64) []byte {
		return change(func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[12:], n)
			return resum(b, 0, 4096)
		})
	}
	compatibility := func(b []byte, n uint64) []byte {
		for _, slot := range []int{4096, 8192} {
			binary.LittleEndian.PutUint64(b[slot+56:], n)
			resum(b, slot, 4096)
		}
		return b
	}
	tests := []struct {
		name    string
		content []byte
		want    error
		text    string
	}{
		{"empty/rejected", nil, engine.ErrRejected, "the file is empty"},
		{"not a database/rejected", []byte("hello, world"), engine.ErrRejected, "not a valid DuckDB"},
		{"newer storage version/too new", version(70), engine.ErrTooNew, "version number 70"},
		{"storage version of 2.0/too new", compatibility(version(999), 69), engine.ErrTooNew, "version number"},
		{"older storage version/rejected", version(1), engine.ErrRejected, "version number 1"},
		{"newer compatibility/too new", compatibility(version(65), 69), engine.ErrTooNew, "storage version greater"},
		{"header with a bad checksum/rejected", change(func(b []byte) []byte { b[4096+100] ^= 1; return b }), engine.ErrRejected, "checksum"},
		{"data block flipped/rejected", change(func(b []byte) []byte { b[12288+262144+5000] ^= 1; return b }), engine.ErrRejected, "checksum"},
		{"truncated/rejected", content[:len(content)/2], engine.ErrRejected, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.duckdb")
			require.NoError(t, os.WriteFile(path, tt.content, 0o600))
			_, err := engine.Scan(context.Background(), request(t, path))
			require.ErrorIs(t, err, tt.want)
			assert.ErrorContains(t, err, tt.text)
			assert.ErrorContains(t, err, path)
			assert.Equal(t, map[string][32]byte{path: sha256.Sum256(tt.content)}, files(t, path))
		})
	}
}

// resum renews the checksum of the header or block at off.
func resum(b []byte, off, size int) []byte {
	sum := uint64(5381)
	for i := off + 8; i < off+size; i += 8 {
		sum ^= binary.LittleEndian.Uint64(b[i:]) * 0xbf58476d1ce4e5b9
	}
	binary.LittleEndian.PutUint64(b[off:], sum)
	return b
}

func TestScan_accidents_are_no_verdicts(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	verdicts := []error{engine.ErrRejected, engine.ErrCrashed, engine.ErrTooNew}
	tests := []struct {
		name   string
		change func(*engine.ScanRequest)
		want   error
		text   string
	}{
		{"no such file", func(r *engine.ScanRequest) { r.Path += ".not" }, fs.ErrNotExist, ""},
		{"question mark in a directory behind a link", func(r *engine.ScanRequest) {
			dir := filepath.Join(t.TempDir(), "what?")
			require.NoError(t, os.Mkdir(dir, 0o700))
			enginetest.CopyFile(t, path, filepath.Join(dir, "a"))
			r.Path = filepath.Join(t.TempDir(), "link")
			require.NoError(t, os.Symlink(filepath.Join(dir, "a"), r.Path))
		}, nil, "question mark"},
		{"question mark in the name", func(r *engine.ScanRequest) {
			r.Path = filepath.Join(t.TempDir(), "a?b")
			enginetest.CopyFile(t, path, r.Path)
		}, nil, "question mark"},
		{"no directory to spill to", func(r *engine.ScanRequest) { r.TempDir += "/not" }, fs.ErrNotExist, ""},
		{"memory limit that nobody can parse", func(r *engine.ScanRequest) { r.MemoryLimit = "two" }, nil, "memory_limit"},
		{"memory limit too small", func(r *engine.ScanRequest) { r.MemoryLimit = "1KB" }, engine.ErrMemory, ""},
		{"unknown level", func(r *engine.ScanRequest) { r.Level = "deep" }, nil, `unknown level "deep"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, path)
			tt.change(&req)
			_, err := engine.Scan(context.Background(), req)
			require.ErrorContains(t, err, tt.text)
			if tt.want != nil {
				assert.ErrorIs(t, err, tt.want)
			}
			for _, verdict := range verdicts {
				assert.NotErrorIs(t, err, verdict)
			}
		})
	}
}

func TestClassify(t *testing.T) {
	tests := []struct{ text, class string }{
		{"IO Error: Trying to read a database file with version number 68, but we can only read versions between 64 and 67.", "too new"},
		{"IO Error: Trying to read a database file with version number 68, but we can only read version 64.", "too new"},
		{"IO Error: Trying to read a database file with version number 63, but we can only read versions between 64 and 67.", "rejected"},
		{"file was written with a storage version greater than the latest version supported by this DuckDB instance", "too new"},
		{"Failed to read WAL of version 4 - can only read version 3 and lower", "too new"},
		{`IO Error: Could not write file "x": No space left on device`, "resources"},
		{`IO Error: Could not read from file "x": Input/output error`, "resources"},
		{`IO Error: Could not read from file "x": Stale file handle`, "resources"},
		{`IO Error: Cannot open file "x": No such file or directory`, "resources"},
		{"Invalid Error: thread constructor failed: Resource temporarily unavailable", "resources"},
		{`IO Error: Could not read enough bytes from file "x": attempted to read 8 bytes from location 4096`, "rejected"},
		{"Out of Memory Error: could not allocate block of size 256.0 KiB (480.0 MiB/476.8 MiB used)", "memory"},
		{`IO Error: Could not read from file "x": Cannot allocate memory`, "memory"},
		{`IO Error: Could not set lock on file "x": Conflicting lock is held in /bin/a (PID 7)`, "locked"},
		{"Missing Extension Error: Cannot bind index 'a', unknown index type 'HNSW'.", "missing"},
		{`Catalog Error: Type with name INET does not exist!`, "missing"},
		{`Catalog Error: Scalar Function with name "st_x" is not in the catalog, but it exists in the spatial extension.`, "missing"},
		{`Catalog Error: Table with name a does not exist!`, "rejected"},
		{"Corrupt database file: computed checksum 1 does not match", "rejected"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.class, engine.ClassOf(tt.text), tt.text)
	}
}

func TestScan_assertions(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)", "CREATE VIEW v AS SELECT max(i) AS m FROM shop.main.a")
	secret := filepath.Join(t.TempDir(), "secret.csv")
	require.NoError(t, os.WriteFile(secret, []byte("x\n1\n"), 0o600))
	made := filepath.Join(t.TempDir(), "made")
	tests := []struct {
		name, sql, expect string
		want              engine.AssertionResult
	}{
		{"met", "SELECT count(*) FROM a", "10", engine.AssertionResult{Got: "10", Passed: true}},
		{"met with a semicolon and a comment", "SELECT m FROM v -- newest\n;\n", "9", engine.AssertionResult{Got: "9", Passed: true}},
		{"met by NULL", "SELECT max(i) FROM a WHERE i > 99", "NULL", engine.AssertionResult{Got: "NULL", Passed: true}},
		{"met by a time in UTC", "SELECT TIMESTAMPTZ '2026-01-02 03:04:05+00'", "2026-01-02 03:04:05+00", engine.AssertionResult{Got: "2026-01-02 03:04:05+00", Passed: true}},
		{"not met", "SELECT count(*) FROM a", "11", engine.AssertionResult{Got: "10"}},
		{"no row", "SELECT i FROM a WHERE i > 99", "", engine.AssertionResult{Error: "the query returned no row"}},
		{"rows", "SELECT i FROM a", "0", engine.AssertionResult{Error: "the query returned more than one row"}},
		{"columns", "SELECT 1, 2", "1", engine.AssertionResult{Error: "the query returned 2 columns"}},
		{"endless", "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1", "0", engine.AssertionResult{Error: "no result after 200ms", Undecided: engine.UndecidedTime}},
	}
	for _, writable := range []bool{false, true} {
		req := request(t, path)
		req.ReadWrite = writable
		for _, tt := range tests {
			req.Assertions = append(req.Assertions, engine.Assertion{Name: tt.name, SQL: tt.sql, Expect: tt.expect, Timeout: 200 * time.Millisecond})
		}
		for _, sql := range []string{
			"SELECT * FROM nothing", "DELETE FROM a RETURNING 1", "DROP TABLE a", "SELECT 1) ; DROP TABLE a; SELECT (1",
			fmt.Sprintf("SELECT x FROM read_csv('%s')", secret), "SELECT x FROM '" + secret + "'", "SET threads = 1",
			"SELECT count(*) FROM read_csv('/etc/passwd')", "SELECT count(*) FROM read_text('" + secret + "')", "SELECT count(*) FROM glob('/*')",
			"ATTACH '" + made + "' AS other", "COPY a TO '" + made + "'", "COPY (SELECT 1) TO '" + made + "'", "EXPORT DATABASE '" + made + "'",
			"INSTALL spatial", "LOAD spatial", "LOAD '" + secret + "'", "FORCE INSTALL httpfs", "SELECT getenv('HOME')",
			"SET enable_external_access = true", "RESET enable_external_access",
		} {
			req.Assertions = append(req.Assertions, engine.Assertion{Name: sql, SQL: sql, Expect: "1", Timeout: time.Minute})
		}
		report, err := engine.Scan(context.Background(), req)
		require.NoError(t, err)
		require.Len(t, report.Assertions, len(req.Assertions))
		for i, got := range report.Assertions {
			assert.Equal(t, req.Assertions[i].Name, got.Name)
			if i < len(tests) {
				tests[i].want.Name = tests[i].name
				assert.Equal(t, tests[i].want, got, "writable: %t", writable)
				continue
			}
			assert.False(t, got.Passed, got.Name)
			assert.NotEmpty(t, got.Error, got.Name)
		}
		assert.NoFileExists(t, made)
		assert.Equal(t, int64(10), scan(t, path)["main.a"].Rows)
	}
}

func TestCheckpoint(t *testing.T) {
	ctx := context.Background()
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)")
	enginetest.CreateKilled(t, path, "INSERT INTO a VALUES (10)")
	require.FileExists(t, path+".wal")
	require.NoError(t, engine.Checkpoint(ctx, path, time.Minute))
	assert.NoFileExists(t, path+".wal")
	assert.Equal(t, int64(11), scan(t, path)["main.a"].Rows)

	missing := filepath.Join(t.TempDir(), "not.duckdb")
	require.ErrorIs(t, engine.Checkpoint(ctx, missing, time.Minute), fs.ErrNotExist)
	assert.NoFileExists(t, missing)
}

func TestCheckpoint_held_by_an_owner_names_it(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	owner := enginetest.StartOwner(t, path, enginetest.OwnerOptions{})
	err := engine.Checkpoint(context.Background(), path, time.Minute)
	require.ErrorIs(t, err, engine.ErrLocked)
	assert.ErrorContains(t, err, fmt.Sprintf("PID %d", owner.PID()))
	assert.ErrorContains(t, err, path)
	_, err = engine.Scan(context.Background(), request(t, path))
	require.ErrorIs(t, err, engine.ErrLocked)
	owner.WaitCommits(t, 10)
}
