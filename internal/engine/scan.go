package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// scanChild answers a scan request.
func scanChild(ctx context.Context, req request, out *replies) (*ScanReport, error) {
	scan := req.Scan
	if scan == nil {
		return nil, &childError{Class: classSetup, Text: "a scan without a request"}
	}
	lim := limits{TempDir: scan.TempDir, MemoryLimit: scan.MemoryLimit, Threads: scan.Threads, Key: scan.Key, Cipher: scan.Cipher}
	s, err := openSession(ctx, req.Path, !scan.ReadWrite, lim)
	if err != nil {
		return nil, err
	}
	report, err := s.read(ctx, scan.Level, out)
	if err == nil && scan.ReadWrite {
		err = s.exec(ctx, "CHECKPOINT "+quoteName(s.alias))
		if err = errors.Join(err, s.close()); err != nil {
			return nil, err
		}
		if s, err = openSession(ctx, req.Path, true, lim); err != nil {
			return nil, fmt.Errorf("open again after a checkpoint: %w", err)
		}
		err = s.sameRows(ctx, report.Tables)
	}
	if err == nil {
		report.Assertions = s.assert(ctx, scan.Assertions)
	}
	if err = errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	return report, nil
}

// checkpointChild answers a checkpoint request.
func checkpointChild(ctx context.Context, req request, _ *replies) (*ScanReport, error) {
	s, err := openSession(ctx, req.Path, false, limits{})
	if err != nil {
		return nil, err
	}
	err = s.exec(ctx, "CHECKPOINT "+quoteName(s.alias))
	if err = errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	return &ScanReport{}, nil
}

// read lists the base tables and, at LevelFull, reads all of them.
func (s *session) read(ctx context.Context, level Level, out *replies) (*ScanReport, error) {
	if level != LevelOpen && level != LevelFull {
		return nil, &childError{Class: classSetup, Text: fmt.Sprintf("unknown level %q", level)}
	}
	version, err := s.strings(ctx, "SELECT version()")
	if err != nil {
		return nil, err
	}
	tables, err := s.tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	report := &ScanReport{Engine: version[0][0], Tables: []Table{}}
	for i, t := range tables {
		if err := out.progress(i, len(tables)); err != nil {
			return nil, err
		}
		row := Table{Name: t.name()}
		if level == LevelFull {
			row.Rows, row.Fingerprint, err = s.fingerprint(ctx, t)
		} else {
			row.Rows, err = s.count(ctx, t)
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", row.Name, err)
		}
		report.Tables = append(report.Tables, row)
	}
	return report, out.progress(len(tables), len(tables))
}

// sameRows checks that the tables are those of before, with as many rows.
func (s *session) sameRows(ctx context.Context, before []Table) error {
	tables, err := s.tables(ctx)
	if err != nil {
		return fmt.Errorf("list the tables after a checkpoint: %w", err)
	}
	if len(tables) != len(before) {
		return fmt.Errorf("%d tables after a checkpoint, %d before", len(tables), len(before))
	}
	for i, t := range tables {
		rows, err := s.count(ctx, t)
		if err != nil {
			return fmt.Errorf("table %s after a checkpoint: %w", t.name(), err)
		}
		if t.name() != before[i].Name || rows != before[i].Rows {
			return fmt.Errorf("table %s with %d rows after a checkpoint, %s with %d before", t.name(), rows, before[i].Name, before[i].Rows)
		}
	}
	return nil
}

// table is a base table of the attached database.
type table struct {
	catalog, schema, base string
	expressions           map[string]bool // columns that the catalog shows a default for
}

// name is schema-qualified; parts in which a dot would mislead are quoted.
func (t table) name() string {
	parts := []string{t.schema, t.base}
	for i, p := range parts {
		if p == "" || strings.ContainsAny(p, `."`) {
			parts[i] = quoteName(p)
		}
	}
	return strings.Join(parts, ".")
}

func (t table) ref() string {
	return quoteName(t.catalog) + "." + quoteName(t.schema) + "." + quoteName(t.base)
}

func (s *session) tables(ctx context.Context) ([]table, error) {
	rows, err := s.strings(ctx, `SELECT schema_name, table_name FROM duckdb_tables()
		WHERE database_name = `+quoteText(s.alias)+` AND NOT internal AND NOT temporary ORDER BY schema_name, table_name`)
	if err != nil {
		return nil, err
	}
	// Listing the columns looks at views too. Should one of them spoil it, then
	// generated columns are read like the others.
	defaults, _ := s.strings(ctx, `SELECT schema_name, table_name, column_name FROM duckdb_columns()
		WHERE database_name = `+quoteText(s.alias)+` AND column_default IS NOT NULL`)
	tables := make([]table, len(rows))
	for i, r := range rows {
		tables[i] = table{catalog: s.alias, schema: r[0], base: r[1], expressions: map[string]bool{}}
		for _, d := range defaults {
			if d[0] == r[0] && d[1] == r[1] {
				tables[i].expressions[d[2]] = true
			}
		}
	}
	return tables, nil
}

func (s *session) count(ctx context.Context, t table) (int64, error) {
	rows, err := s.strings(ctx, "SELECT count(*) FROM "+t.ref())
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(rows[0][0], 10, 64)
}
