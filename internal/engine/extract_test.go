package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

// shopStatements make tables with everything that a table can have.
var shopStatements = []string{
	`CREATE SCHEMA "od.d"`, "CREATE TYPE mood AS ENUM ('sad', 'o''k')", "CREATE TYPE price AS DECIMAL(9,2)",
	"CREATE SEQUENCE s START 5", `CREATE SEQUENCE "od.d".s2`, "CREATE MACRO plus(x) AS x + 1",
	"CREATE TABLE customers(id INTEGER PRIMARY KEY, feels mood DEFAULT 'sad', score INTEGER DEFAULT plus(2))",
	`CREATE TABLE orders(id BIGINT DEFAULT nextval('s') PRIMARY KEY, customer INTEGER REFERENCES customers(id), name VARCHAR NOT NULL UNIQUE,
		total price DEFAULT 1.5 CHECK (total > 0::price), next INTEGER GENERATED ALWAYS AS (customer + 1), big HUGEINT, span INTERVAL, moment TIMESTAMPTZ)`,
	`CREATE TABLE "od.d"."a/../b ""c"(id BIGINT DEFAULT nextval('"od.d".s2'), feels mood[])`,
	"CREATE TABLE unrelated(i INTEGER)", "CREATE VIEW v AS SELECT * FROM orders",
	"INSERT INTO customers SELECT i, 'o''k', i FROM range(100) t(i)",
	"INSERT INTO orders(customer, name, big, span, moment) SELECT i, 'name ' || i, 170141183460469231731687303715884105727, INTERVAL '1 microsecond', '2026-01-01 00:00:00Z' FROM range(100) t(i)",
	`INSERT INTO "od.d"."a/../b ""c"(feels) VALUES (['sad', NULL])`,
	"CREATE INDEX by_name ON orders(lower(name))", `CREATE UNIQUE INDEX "by ""id" ON "od.d"."a/../b ""c"(id)`,
	"COMMENT ON TABLE orders IS 'it''s orders'", "COMMENT ON COLUMN orders.name IS 'a name'", "COMMENT ON INDEX by_name IS 'an index'",
}

const oddTable = `"od.d"."a/../b ""c"`

func extraction(t *testing.T, path string) engine.ExtractRequest {
	return engine.ExtractRequest{Path: path, TempDir: t.TempDir(), MemoryLimit: "500MB", Threads: 2, Timeout: time.Minute}
}

func TestExtractMakesTheTablesAsTheyWere(t *testing.T) {
	for _, storage := range []string{"v1.0.0", "v1.2.0", "v1.5.0"} {
		t.Run(storage, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "orders.duckdb") // named as a table, and as no schema
			enginetest.CreateStorage(t, path, storage, shopStatements...)
			before := files(t, path)
			want := scan(t, path)
			req := extraction(t, path)
			req.File = filepath.Join(t.TempDir(), "new.duckdb")
			req.Tables = []string{"main.orders", "main.customers", oddTable}
			var progress []int
			req.Progress = func(done, total int) { progress = append(progress, done, total) }
			report, err := engine.Extract(context.Background(), req)
			require.NoError(t, err)
			assert.Equal(t, []string{"macro main.plus is made without the defaults of its parameters, if it has any: the catalog does not tell them"}, report.Notes)
			assert.Equal(t, storage+"+", report.Storage)
			assert.Equal(t, []int{0, 3, 1, 3, 2, 3, 3, 3}, progress)
			assert.Equal(t, before, files(t, path), "the source is only read")
			assert.Len(t, files(t, req.File), 1, "no WAL is left")

			got := scan(t, req.File)
			delete(want, "main.unrelated")
			assert.Equal(t, want, got, "rows and fingerprints")
			assert.Equal(t, []string{"105", "2", "it's orders", "a name", "an index", "2", "0", "plus(2)"}, enginetest.QueryAll(t, req.File,
				"SELECT nextval('s')", `SELECT nextval('"od.d".s2')`,
				"SELECT comment FROM duckdb_tables() WHERE table_name = 'orders'", "SELECT comment FROM duckdb_columns() WHERE column_name = 'name' AND table_name = 'orders'",
				"SELECT comment FROM duckdb_indexes() WHERE index_name = 'by_name'", "SELECT count(*) FROM duckdb_indexes()",
				"SELECT count(*) FROM duckdb_views() WHERE NOT internal", "SELECT column_default FROM duckdb_columns() WHERE column_name = 'score'"))
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	path := database(t, shopStatements...)
	for _, tt := range []struct {
		name   string
		tables []string
		want   string
	}{
		{"a foreign key to a table that is not chosen", []string{"main.orders"}, "table main.orders has a foreign key to main.customers, which is not among the tables"},
		{"no such table", []string{"main.customers", "main.none"}, "there is no table main.none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := extraction(t, path)
			req.File = filepath.Join(t.TempDir(), "new.duckdb")
			req.Tables = tt.tables
			_, err := engine.Extract(context.Background(), req)
			require.ErrorIs(t, err, engine.ErrTables)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestExtractToParquet(t *testing.T) {
	path := database(t, shopStatements...)
	req := extraction(t, path)
	req.Dir = t.TempDir()
	report, err := engine.Extract(context.Background(), req)
	require.NoError(t, err)
	require.Len(t, report.Tables, 4)
	entries, err := os.ReadDir(req.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 4)
	byName := map[string]engine.ExtractedTable{}
	for _, table := range report.Tables {
		byName[table.Name] = table
		assert.FileExists(t, filepath.Join(req.Dir, table.File))
	}
	orders := byName["main.orders"]
	assert.Equal(t, engine.ExtractedTable{Name: "main.orders", Rows: 100, File: "main.orders.parquet", AsText: []string{"big", "span"}, Left: []string{"next"}}, orders)
	assert.Equal(t, "od%2Ed.a%2F%2E%2E%2Fb%20%22c.parquet", byName[oddTable].File)
	file := filepath.Join(req.Dir, orders.File)
	assert.Equal(t, []string{"0", "170141183460469231731687303715884105727"}, enginetest.QueryAll(t, path,
		"SELECT count(*) FROM (SELECT id, customer, name, total, big::HUGEINT, span::INTERVAL, moment FROM read_parquet('"+file+"') EXCEPT SELECT id, customer, name, total, big, span, moment FROM orders)",
		"SELECT max(big) FROM read_parquet('"+file+"')"))
	schema := strings.Join(report.Schema, "\n")
	assert.Contains(t, schema, "CREATE INDEX by_name")
	assert.Contains(t, schema, "CREATE SEQUENCE s ")

	// The statements make the same tables in an empty database.
	empty := filepath.Join(t.TempDir(), "empty.duckdb")
	enginetest.Create(t, empty, report.Schema...)
	assert.Len(t, scan(t, empty), 4)
}

// Infinity fits in each type of a moment, but not in what TIMESTAMP_S is converted to.
func TestExtractOfInfiniteMomentsToParquet(t *testing.T) {
	path := database(t, "CREATE TABLE t(d DATE, a TIMESTAMP, s TIMESTAMP_S, m TIMESTAMP_MS, n TIMESTAMP_NS)",
		"INSERT INTO t VALUES ('infinity', 'infinity', 'infinity', 'infinity', 'infinity'), ('-infinity', '-infinity', '-infinity', '-infinity', '-infinity')")
	req := extraction(t, path)
	req.Dir = t.TempDir()
	report, err := engine.Extract(context.Background(), req)
	require.NoError(t, err)
	assert.Equal(t, []string{"s"}, report.Tables[0].AsText)
	assert.Equal(t, []string{"0"}, enginetest.QueryAll(t, path,
		"SELECT count(*) FROM (SELECT d, a, s::TIMESTAMP_S, m, n FROM read_parquet('"+filepath.Join(req.Dir, "main.t.parquet")+"') EXCEPT FROM t)"))
}

func TestExtractOfAnEncryptedDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.CreateEncrypted(t, path, "a key", "GCM", "CREATE TABLE t AS SELECT range AS i FROM range(10)", "CHECKPOINT")
	req := extraction(t, path)
	req.File = filepath.Join(t.TempDir(), "new.duckdb")
	_, err := engine.Extract(context.Background(), req)
	require.ErrorIs(t, err, engine.ErrKey)
	req.Key = "a key"
	_, err = engine.Extract(context.Background(), req)
	require.NoError(t, err)
	_, err = engine.Scan(context.Background(), request(t, req.File))
	require.ErrorIs(t, err, engine.ErrKey, "the new one is encrypted")
	again := request(t, req.File)
	again.Key = "a key"
	report, err := engine.Scan(context.Background(), again)
	require.NoError(t, err)
	assert.Equal(t, int64(10), report.Tables[0].Rows)
}

func TestParquetNamesStayInTheirDirectory(t *testing.T) {
	long := strings.Repeat("é", 300)
	seen := map[string]bool{}
	for _, name := range [][2]string{{"main", "t"}, {"a", "b.c"}, {"a.b", "c"}, {"..", ".."}, {"/", "etc"}, {".", ""}, {"a", "%62"}, {"a", "b"},
		{"a", "\x00"}, {"a", "?*["}, {"a", "{uuid}"}, {long, "a"}, {long, "b"}, {"a", long}} {
		got := engine.ParquetName(name[0], name[1])
		assert.Regexp(t, `^[A-Za-z0-9_%-]+\.?[A-Za-z0-9_%-]*\.parquet$`, got)
		assert.Less(t, len(got), 240)
		assert.False(t, seen[got], "%q is there twice", got)
		seen[got] = true
	}
}

// TestExtractedTablesOpenInTheOwnersVersion: the new database keeps the storage
// version, so that an owner who is older than the linked engine can open it.
func TestExtractedTablesOpenInTheOwnersVersion(t *testing.T) {
	for name, storage := range map[string]string{"duckdb11": "v1.0.0", "duckdb14": "v1.4.0"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.duckdb")
			enginetest.CreateStorage(t, path, storage, shopStatements...)
			req := extraction(t, path)
			req.File = filepath.Join(t.TempDir(), "new.duckdb")
			_, err := engine.Extract(context.Background(), req)
			require.NoError(t, err)
			older := request(t, path)
			older.Command = versionShell(t, name)
			want, err := engine.Scan(context.Background(), older)
			require.NoError(t, err)
			older.Path = req.File
			got, err := engine.Scan(context.Background(), older)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Greater(t, len(got.Tables), 2)
		})
	}
}
