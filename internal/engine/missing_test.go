package engine_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
)

// patch replaces text of the same length in the blocks of a database file and
// renews their checksums, which makes a file of an engine with an extension
// out of one without: names are stored as they are.
func patch(t *testing.T, path, old, text string) {
	t.Helper()
	require.Len(t, text, len(old))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	found := false
	for off := 12288; off+262144 <= len(content); off += 262144 {
		block := content[off : off+262144]
		if bytes.Contains(block, []byte(old)) {
			found = true
			copy(block, bytes.ReplaceAll(block, []byte(old), []byte(text)))
			resum(content, off, 262144)
		}
	}
	require.True(t, found, "%q is in no block", old)
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// An engine without the extension reads such a database all the same, but for
// the last one: none of this is a pass, and none of it is damage.
func TestScan_what_an_extension_is_missing_for(t *testing.T) {
	const good = "CREATE TABLE good AS SELECT range AS i FROM range(10)"
	tests := []struct {
		name        string
		stmts       []string
		killed      []string
		old, text   string
		missing     string
		good, reads bool // the table good is in the report, and so is the other
	}{
		{"a kind of index", []string{"CREATE TABLE a AS SELECT range AS i FROM range(1000)", "CREATE INDEX by_i ON a(i)"}, nil, "ART", "HNS",
			`table main.a, index "by_i": no extension here has indexes of type HNS`, true, true},
		{"a kind of index, with rows in the WAL", []string{"CREATE TABLE a AS SELECT range AS i FROM range(1000)", "CREATE INDEX by_i ON a(i)"}, []string{"INSERT INTO a VALUES (-1)"}, "ART", "HNS",
			`table main.a, index "by_i": no extension here has indexes of type HNS`, true, true},
		{"a type", []string{"CREATE TABLE a(id INTEGER, j JSON)", "INSERT INTO a VALUES (1, '{}')"}, nil, "JSON", "INET",
			`table main.a, column "j": no extension here has the type INET, which is the extension inet's`, true, false},
		{"a type inside others", []string{"CREATE TABLE a(id INTEGER, j STRUCT(x MAP(INTEGER, JSON[])))", "INSERT INTO a VALUES (1, NULL)"}, nil, "JSON", "JSOM",
			`table main.a, column "j": no extension here has the type JSOM`, true, false},
		{"a function of a generated column", []string{"CREATE TABLE a(x DOUBLE, g DOUBLE GENERATED ALWAYS AS (sqrt(x)))", "INSERT INTO a VALUES (1)"}, nil, "sqrt", "ST_X",
			`table main.a: Catalog Error: Scalar Function with name "st_x" is not in the catalog, but it exists in the spatial extension.`, true, false},
	}
	for _, tt := range tests {
		for _, writable := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				path := database(t, append(tt.stmts, good)...)
				if tt.killed != nil {
					enginetest.CreateKilled(t, path, tt.killed...)
				}
				patch(t, path, tt.old, tt.text)
				for _, level := range []engine.Level{engine.LevelFull, engine.LevelOpen} {
					req := request(t, copied(t, path))
					req.ReadWrite, req.Level = writable, level
					req.Assertions = []engine.Assertion{{Name: "not asked", SQL: "SELECT 1", Expect: "1"}}
					report, err := engine.Scan(context.Background(), req)
					require.NoError(t, err)
					assert.Equal(t, []string{tt.missing}, report.Missing)
					assert.Empty(t, report.Assertions)
					var names []string
					for _, table := range report.Tables {
						names = append(names, table.Name)
						assert.Equal(t, level == engine.LevelFull, table.Fingerprint != "")
					}
					want := []string{"main.good"}
					if tt.reads {
						want = []string{"main.a", "main.good"}
					}
					assert.Equal(t, want, names)
				}
			})
		}
	}
}

// copied is a copy of the database and its WAL.
func copied(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	enginetest.CopyFile(t, path, to)
	if _, err := os.Stat(path + ".wal"); err == nil {
		enginetest.CopyFile(t, path+".wal", to+".wal")
	}
	return to
}

// Damage in a table whose type nobody knows is damage.
func TestScan_damage_beside_a_missing_extension_is_rejected(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT CAST('\"' || md5(range::VARCHAR) || '\"' AS JSON) AS j FROM range(200000)")
	patch(t, path, "JSON", "INET")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[12288+5000] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
	_, err = engine.Scan(context.Background(), request(t, path))
	require.ErrorIs(t, err, engine.ErrRejected)
}

// What an extension's default, constraint, view or macro needs is not needed to
// read the rows.
func TestScan_extension_that_reading_does_not_need(t *testing.T) {
	for _, stmt := range []string{
		"CREATE TABLE a(x DOUBLE DEFAULT sqrt(2))", "CREATE TABLE a(x DOUBLE CHECK (sqrt(x) > 0))",
		"CREATE TABLE a(x DOUBLE); CREATE VIEW v AS SELECT sqrt(x) AS r FROM a", "CREATE TABLE a(x DOUBLE); CREATE MACRO m(y) AS sqrt(y)",
	} {
		path := database(t, append(strings.Split(stmt, ";"), "INSERT INTO a VALUES (1)")...)
		patch(t, path, "sqrt", "ST_X")
		assert.Equal(t, int64(1), scan(t, path)["main.a"].Rows, stmt)
	}
}

func TestIndexKind(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE INDEX by_i ON a(i);":                                "ART",
		"CREATE INDEX by_i ON a USING HNSW (v);":                    "HNSW",
		`CREATE UNIQUE INDEX "x USING (y" ON a(i);`:                 "ART",
		`CREATE INDEX "a""b(" ON "s USING".t USING rtree ("geom");`: "RTREE",
		`CREATE INDEX i ON a((x || ' USING HNSW ('));`:              "ART",
		"": "ART",
	} {
		assert.Equal(t, want, engine.IndexKind(sql), sql)
	}
}
