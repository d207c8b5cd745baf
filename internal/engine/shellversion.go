package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// before tells whether the shell's version is known and lower.
func (s *shell) before(major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(s.version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (a < major || a == major && b < minor)
}

// databaseFirst tells whether the shell looks functions up in the database first,
// whatever it is told: DuckDB 1.1 knows no other way.
func (s *shell) databaseFirst() bool { return s.before(1, 4) }

// lookup is the statement that says where the names in our queries are found.
func (s *shell) lookup() string {
	if s.databaseFirst() {
		return "USE " + quoteName(s.alias)
	}
	return functionsFirst(s.alias)
}

// checkMacros notes macros that would take the place of functions in the queries
// that read the database: a shell that cannot do without them cannot read it.
func (s *shell) checkMacros(ctx context.Context, r *reader) error {
	if !s.databaseFirst() {
		return nil
	}
	rows, err := r.rows(ctx, `SELECT DISTINCT function_name FROM system.main.duckdb_functions() WHERE database_name = `+quoteText(s.alias)+` AND NOT internal
		AND function_name IN (SELECT function_name FROM system.main.duckdb_functions() WHERE database_name = 'system') ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("list the macros: %w", err)
	}
	for _, row := range rows {
		r.lacks("macro %q has the name of a function, which DuckDB %s cannot tell apart: 1.4 or newer can", row[0], s.version)
	}
	return nil
}
