package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// asker answers queries on the attached database, whose alias is the default
// catalog.
type asker interface {
	// ask runs the queries in their order and hands each result to got, NULL as
	// an empty string. It stops at the first that fails and returns its number
	// with the error, the number of queries without one.
	ask(ctx context.Context, queries []string, got func(i int, rows [][]string) error) (int, error)
	// fatal tells whether the error left nobody to ask.
	fatal(err error) bool
}

// reader reads a whole database through an asker.
type reader struct {
	asker
	alias      string
	encoder    encoder
	extensions map[string]bool // loaded into the engine, by lower-case name
	progress   func(done, total int) error
	missing    []string // what the engine lacks, in words
}

// read lists the base tables and reads them: at LevelFull every column, else
// the number of rows. Tables that hold what the engine lacks are left out, and
// what that is goes into the report.
func (r *reader) read(ctx context.Context, level Level) (*ScanReport, error) {
	if level != LevelOpen && level != LevelFull {
		return nil, &childError{Class: classSetup, Text: fmt.Sprintf("unknown level %q", level)}
	}
	version, err := r.rows(ctx, "SELECT version()")
	if err != nil {
		return nil, err
	}
	if len(version) != 1 || len(version[0]) != 1 || len(version[0][0]) > maxVersion {
		return nil, errors.New("the engine did not say its version")
	}
	tables, err := r.tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	if err := r.describe(ctx, tables); err != nil {
		return nil, err
	}
	if err := r.checkTypes(ctx, tables); err != nil {
		return nil, err
	}
	if err := r.checkIndexes(ctx); err != nil {
		return nil, err
	}
	report := &ScanReport{Engine: version[0][0], Tables: []Table{}}
	if err := r.content(ctx, level, tables); err != nil {
		return nil, err
	}
	for _, t := range tables {
		if !t.unread {
			report.Tables = append(report.Tables, t.Table)
		}
	}
	report.Missing = r.missing
	return report, nil
}

// content fills in rows and fingerprints.
func (r *reader) content(ctx context.Context, level Level, tables []*table) error {
	if err := r.progress(0, len(tables)); err != nil {
		return err
	}
	done := 0
	return r.each(ctx, tables, func(t *table) (string, error) {
		if level == LevelFull && !t.undescribed {
			return r.encoder.digestQuery(t)
		}
		return countQuery(t), nil
	}, func(t *table, rows [][]string) error {
		done++
		if err := t.take(rows); err != nil {
			return err
		}
		return r.progress(done, len(tables))
	})
}

// rows is the result of one query.
func (r *reader) rows(ctx context.Context, query string) (all [][]string, err error) {
	_, err = r.ask(ctx, []string{query}, func(_ int, rows [][]string) error { all = rows; return nil })
	return all, err
}

// each asks one query of each table. A table that needs what the engine lacks
// is left out from there on.
func (r *reader) each(ctx context.Context, tables []*table, query func(*table) (string, error), got func(*table, [][]string) error) error {
	queries := make([]string, len(tables))
	for i, t := range tables {
		var err error
		if queries[i], err = query(t); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	for start := 0; start < len(tables); {
		n, err := r.ask(ctx, queries[start:], func(i int, rows [][]string) error { return got(tables[start+i], rows) })
		if err == nil {
			return nil
		}
		if start+n >= len(tables) {
			return err
		}
		t := tables[start+n]
		if r.fatal(err) || asChildError(err).Class != classMissing {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		t.unread, t.undescribed = true, true
		r.lacks("table %s: %s", t.Name, firstLine(asChildError(err).Text))
		start += n + 1
	}
	return nil
}

func (r *reader) lacks(format string, args ...any) {
	r.missing = append(r.missing, fmt.Sprintf(format, args...))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// sameRows checks that the tables are those of before, with as many rows.
func (r *reader) sameRows(ctx context.Context, before []Table) error {
	tables, err := r.tables(ctx)
	if err != nil {
		return fmt.Errorf("list the tables after a checkpoint: %w", err)
	}
	if len(tables) != len(before) {
		return fmt.Errorf("%d tables after a checkpoint, %d before", len(tables), len(before))
	}
	err = r.each(ctx, tables, func(t *table) (string, error) { return countQuery(t), nil },
		func(t *table, rows [][]string) error { return t.take(rows) })
	if err != nil {
		return fmt.Errorf("after a checkpoint: %w", err)
	}
	for i, t := range tables {
		if t.Name != before[i].Name || t.Rows != before[i].Rows {
			return fmt.Errorf("table %s with %d rows after a checkpoint, %s with %d before", t.Name, t.Rows, before[i].Name, before[i].Rows)
		}
	}
	return nil
}

// table is a base table of the attached database.
type table struct {
	Table
	catalog, schema, base string
	expressions           map[string]bool // columns that the catalog shows a default for
	columns               []column
	undescribed           bool // its columns cannot be listed
	unread                bool // it holds what the engine lacks
}

// tableName is schema-qualified; parts in which a dot would mislead are quoted.
func tableName(schema, base string) string {
	parts := []string{schema, base}
	for i, p := range parts {
		if p == "" || strings.ContainsAny(p, `."`) {
			parts[i] = quoteName(p)
		}
	}
	return strings.Join(parts, ".")
}

func (t *table) ref() string {
	return quoteName(t.catalog) + "." + quoteName(t.schema) + "." + quoteName(t.base)
}

func (r *reader) tables(ctx context.Context) ([]*table, error) {
	rows, err := r.rows(ctx, `SELECT schema_name, table_name FROM duckdb_tables()
		WHERE database_name = `+quoteText(r.alias)+` AND NOT internal AND NOT temporary ORDER BY schema_name, table_name`)
	if err != nil {
		return nil, err
	}
	// Listing the columns looks at views too. Should one of them spoil it, then
	// generated columns are read like the others.
	defaults, err := r.rows(ctx, `SELECT schema_name, table_name, column_name FROM duckdb_columns()
		WHERE database_name = `+quoteText(r.alias)+` AND column_default IS NOT NULL`)
	if err != nil && r.fatal(err) {
		return nil, err
	}
	tables := make([]*table, len(rows))
	for i, row := range rows {
		if len(row) != 2 {
			return nil, fmt.Errorf("a table of %d parts", len(row))
		}
		tables[i] = &table{Table: Table{Name: tableName(row[0], row[1])}, catalog: r.alias, schema: row[0], base: row[1], expressions: map[string]bool{}}
		for _, d := range defaults {
			if len(d) == 3 && d[0] == row[0] && d[1] == row[1] {
				tables[i].expressions[d[2]] = true
			}
		}
	}
	return tables, nil
}

func countQuery(t *table) string { return "SELECT CAST(count(*) AS VARCHAR) FROM " + t.ref() }

// take fills in what countQuery or digestQuery returned.
func (t *table) take(got [][]string) error {
	if len(got) != 1 || len(got[0]) != 1 && len(got[0]) != 3 {
		return errors.New("the engine did not answer with one row")
	}
	rows, err := strconv.ParseInt(got[0][0], 10, 64)
	if err != nil {
		return fmt.Errorf("number of rows: %w", err)
	}
	t.Rows = rows
	if len(got[0]) == 3 {
		t.Fingerprint = fingerprint(t.columns, rows, got[0][1], got[0][2])
	}
	return nil
}
