package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
)

// The engine leaves the attached file, and its WAL, in reach when it puts all
// other files out of it. A text that ends the query it is put into could let go
// of the database and attach it anew, to write to it.
func TestScan_assertions_do_not_write_to_the_stored_file(t *testing.T) {
	path := database(t, "CREATE TABLE a AS SELECT range AS i FROM range(10)", "CREATE SEQUENCE s")
	before := files(t, path)
	for name, command := range map[string][]string{"linked": nil, "shell": versionShell(t, "duckdb15"), "shell of 1.1": versionShell(t, "duckdb11")} {
		t.Run(name, func(t *testing.T) {
			req := request(t, path)
			req.Command = command
			for _, stmts := range []string{
				fmt.Sprintf("USE memory; DETACH shop; ATTACH '%s' AS w; DELETE FROM w.a; CHECKPOINT w", path),
				fmt.Sprintf("COPY (SELECT 42) TO '%s' (FORMAT csv)", path),
				fmt.Sprintf("COPY (SELECT 42) TO '%s.wal' (FORMAT csv)", path),
				"CREATE TEMP TABLE a AS SELECT 1",
				"SELECT 1",
			} {
				for _, sql := range []string{
					"SELECT 1); " + stmts + "; SELECT * FROM (SELECT 1",
					"SELECT 1) LIMIT 1; " + stmts + "; SELECT * FROM query('SELECT 1'",
					"SELECT 1'); " + stmts + "; SELECT * FROM query('SELECT 1",
					`SELECT 1\'); ` + stmts + `; SELECT * FROM query(\'SELECT 1`,
					stmts + "; SELECT 1",
				} {
					req.Assertions = append(req.Assertions, engine.Assertion{Name: sql, SQL: sql, Expect: "1", Timeout: time.Minute})
				}
			}
			req.Assertions = append(req.Assertions, engine.Assertion{Name: "sequence", SQL: "SELECT nextval('s')", Expect: "1"})
			if command != nil { // a process for each
				req.Assertions = append(req.Assertions[:6:6], req.Assertions[len(req.Assertions)-6:]...)
			}
			report, err := engine.Scan(context.Background(), req)
			require.NoError(t, err)
			for _, got := range report.Assertions {
				assert.False(t, got.Passed, got.Name)
				assert.NotEmpty(t, got.Error, got.Name)
			}
			assert.Equal(t, before, files(t, path))
		})
	}
}
