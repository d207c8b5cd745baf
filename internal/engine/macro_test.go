package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
)

// A database may have macros with the names of the engine's functions. None of
// them takes a part in the proof, and a table whose constraints name one reads.
func TestScan_macros_with_the_names_of_functions(t *testing.T) {
	content := []string{
		"CREATE MACRO double(x) AS x * 2",
		"CREATE TABLE t(s VARCHAR, l INTEGER[], m VARCHAR[], d INTEGER CHECK (double(d) > 0), g INTEGER GENERATED ALWAYS AS (double(d)))",
		"INSERT INTO t VALUES ('a', [1], ['b', NULL], 1), ('c', NULL, [], 2)",
		"CREATE VIEW v AS SELECT double(d) AS d FROM t",
	}
	macros := []string{
		"CREATE MACRO md5_number(x) AS 1::UHUGEINT", "CREATE MACRO md5(x) AS x", "CREATE MACRO concat(a, b) AS a || b",
		"CREATE MACRO strlen(x) AS 1", "CREATE MACRO len(x, y) AS 1", "CREATE MACRO sum(x) AS 1", "CREATE MACRO count() AS 1",
		"CREATE MACRO lower(x) AS 'x'", "CREATE MACRO array_to_string(a, b) AS 'x'", "CREATE MACRO list_transform(a, b) AS ['x']",
		"CREATE MACRO version() AS 'v0'",
		"CREATE MACRO duckdb_tables() AS TABLE SELECT 'main' AS schema_name, 't' AS table_name, '' AS database_name, false AS internal, false AS temporary WHERE false",
		"CREATE MACRO duckdb_columns() AS TABLE SELECT 1 AS nothing",
		"CREATE MACRO query(x) AS TABLE SELECT '2' AS d",
	}
	want := scan(t, database(t, content...))
	require.Len(t, want, 1)
	path := database(t, append(content, macros...)...)
	commands := map[string][]string{"linked": nil}
	for name := range shellVersions {
		commands[name] = versionShell(t, name)
	}
	for name, command := range commands {
		t.Run(name, func(t *testing.T) {
			req := request(t, path)
			req.Command = command
			req.Assertions = []engine.Assertion{
				{Name: "a macro of the database", SQL: "SELECT double(3)", Expect: "6"},
				{Name: "a view", SQL: "SELECT max(d) FROM v", Expect: "4"},
			}
			report, err := engine.Scan(context.Background(), req)
			require.NoError(t, err)
			if name == "duckdb11" { // it has no way to do without them
				assert.Empty(t, report.Tables)
				assert.Contains(t, strings.Join(report.Missing, "\n"), `macro "md5_number" has the name of a function`)
				return
			}
			assert.Empty(t, report.Missing)
			assert.Equal(t, []engine.Table{want["main.t"]}, report.Tables)
			require.Len(t, report.Assertions, 2)
			for _, a := range report.Assertions {
				assert.True(t, a.Passed, "%+v", a)
			}
		})
	}
}
