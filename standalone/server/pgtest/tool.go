package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"

	// The plugins "postgres12" and "postgres12_pgx", for the tool and the server.
	_ "go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/tools/sql"
)

// toolVariable marks a process of the test's program that is to be Temporal's
// tool.
const toolVariable = "CANVASBACK_TEST_SQL_TOOL"

// RunIfTool is called first in TestMain: this program is then Temporal's tool
// for SQL databases too (temporal-sql-tool), which ends its process where it
// fails.
func RunIfTool() {
	if os.Getenv(toolVariable) == "" {
		return
	}
	if err := sql.RunTool(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// setUp makes a database and its schema, as the compose file does.
func (c *Cluster) setUp(ctx context.Context, database, schema string) error {
	for _, step := range [][]string{
		{"create"},
		{"setup-schema", "-v", "0.0"},
		// The schema's files are in the tool, under the name that their directory
		// has in Temporal's source.
		{"update-schema", "--schema-name", path.Join("postgresql", "v12", schema)},
	} {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
		cmd := exec.CommandContext(ctx, program, append([]string{"--db", database}, step...)...)
		cmd.Env = append(os.Environ(), toolVariable+"=1", "SQL_PLUGIN=postgres12", "SQL_HOST="+host, fmt.Sprintf("SQL_PORT=%d", c.port),
			"SQL_USER="+user, "SQL_PASSWORD="+c.password)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("pgtest: temporal-sql-tool --db %s %s: %w\n%s", database, step[0], err, out)
		}
	}
	return nil
}
