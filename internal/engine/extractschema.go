package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// statement makes one object. schema is the one that its unqualified names are
// looked up in first where the statement does not name its own.
type statement struct {
	what, schema, sql string
	own               bool // the statement belongs in schema, and nowhere else
	optional          bool // a database without it is what was asked for; a note says so
}

func (s statement) schemas() []string {
	if s.own || s.schema == "main" {
		return []string{s.schema}
	}
	return []string{"main", s.schema}
}

// script is the statement as a line for a reader.
func (s statement) script() string {
	sql := strings.TrimRight(s.sql, "; \n") + ";"
	if s.own && s.schema != "main" {
		return "USE " + quoteName(s.schema) + "; " + sql + " USE main;"
	}
	return sql
}

// schemaOf is what makes the chosen tables.
type schemaOf struct {
	before []statement          // schemas, types, sequences, macros
	tables map[string]statement // by Table.Name
	after  []statement          // indexes and comments
	refers map[string][]string  // the tables that a table's foreign keys refer to
}

// order puts tables behind those that they refer to.
func (s *schemaOf) order(chosen []*table) []*table {
	var ordered []*table
	seen := map[string]bool{}
	var visit func(t *table)
	visit = func(t *table) {
		if seen[t.Name] {
			return
		}
		seen[t.Name] = true
		for _, other := range chosen {
			if slices.Contains(s.refers[t.Name], other.Name) {
				visit(other)
			}
		}
		ordered = append(ordered, t)
	}
	for _, t := range chosen {
		visit(t)
	}
	return ordered
}

// readSchema asks the source's catalog for what makes the tables, and for the
// sequences, types and macros whose names are in that.
func (x *extraction) readSchema(ctx context.Context, chosen []*table) (*schemaOf, error) {
	s := &schemaOf{tables: map[string]statement{}, refers: map[string][]string{}}
	names := map[string]*table{}
	var ddl []string
	for _, t := range chosen {
		names[t.Name] = t
	}
	rows, err := x.catalog(ctx, "SELECT schema_name, table_name, sql, comment FROM duckdb_tables()")
	if err != nil {
		return nil, err
	}
	var comments []statement
	for _, r := range rows {
		name := tableName(r[0], r[1])
		if names[name] == nil {
			continue
		}
		s.tables[name] = statement{what: "table " + name, schema: r[0], sql: r[2]}
		ddl = append(ddl, r[2])
		if r[3] != "" {
			comments = append(comments, comment("TABLE", name, names[name].local(), r[3]))
		}
	}
	indexes, err := x.readIndexes(ctx, names)
	if err != nil {
		return nil, err
	}
	if err := x.readReferences(ctx, names, s); err != nil {
		return nil, err
	}
	columns, err := x.catalog(ctx, "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns()", "comment IS NOT NULL")
	if err != nil {
		return nil, err
	}
	for _, r := range columns {
		if t := names[tableName(r[0], r[1])]; t != nil {
			comments = append(comments, comment("COLUMN", t.Name+"."+r[2], t.local()+"."+quoteName(r[2]), r[3]))
		}
	}
	s.after = append(indexes, comments...)
	if err := x.readNeeds(ctx, chosen, s, strings.ToLower(strings.Join(ddl, "\n"))); err != nil {
		return nil, err
	}
	return s, nil
}

// local is the table's name within its catalog.
func (t *table) local() string { return quoteName(t.schema) + "." + quoteName(t.base) }

func comment(kind, what, ref, text string) statement {
	return statement{what: "the comment on " + what, schema: "main", sql: "COMMENT ON " + kind + " " + ref + " IS " + quoteText(text), optional: true}
}

// catalog is a query on a function of the catalog, of the source alone.
func (x *extraction) catalog(ctx context.Context, query string, and ...string) ([][]string, error) {
	where := " WHERE database_name = " + quoteText(sourceCatalog)
	for _, cond := range and {
		where += " AND " + cond
	}
	rows, err := x.source.rows(ctx, query+where+" ORDER BY ALL")
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return rows, nil
}

func (x *extraction) readIndexes(ctx context.Context, names map[string]*table) ([]statement, error) {
	rows, err := x.catalog(ctx, "SELECT schema_name, table_name, index_name, sql, comment FROM duckdb_indexes()", "sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	var all []statement
	for _, r := range rows {
		t := names[tableName(r[0], r[1])]
		if t == nil {
			continue
		}
		what := fmt.Sprintf("index %q of table %s", r[2], t.Name)
		all = append(all, statement{what: what, schema: r[0], sql: r[3], optional: true})
		if r[4] != "" {
			all = append(all, comment("INDEX", what, quoteName(r[0])+"."+quoteName(r[2]), r[4]))
		}
	}
	return all, nil
}

// readReferences refuses foreign keys to tables that are not chosen: a table
// without one of its constraints is not the table that was backed up. Both ends
// of a foreign key are in one schema.
func (x *extraction) readReferences(ctx context.Context, names map[string]*table, s *schemaOf) error {
	rows, err := x.catalog(ctx, "SELECT schema_name, table_name, referenced_table FROM duckdb_constraints()", "constraint_type = 'FOREIGN KEY'")
	if err != nil {
		return err
	}
	var dangling []string
	for _, r := range rows {
		t, to := names[tableName(r[0], r[1])], tableName(r[0], r[2])
		switch {
		case t == nil:
		case names[to] == nil:
			dangling = append(dangling, fmt.Sprintf("table %s has a foreign key to %s, which is not among the tables", t.Name, to))
		default:
			s.refers[t.Name] = append(s.refers[t.Name], to)
		}
	}
	if len(dangling) > 0 && x.req.File != "" {
		slices.Sort(dangling)
		return &childError{Class: classTables, Text: strings.Join(slices.Compact(dangling), "; ")}
	}
	return nil
}

// readNeeds adds the schemas of the tables, and the types, sequences and macros
// that text, in lower case, may name. One that is not needed does no harm.
func (x *extraction) readNeeds(ctx context.Context, chosen []*table, s *schemaOf, text string) error {
	types, err := x.catalog(ctx, "SELECT schema_name, type_name FROM duckdb_types()", "NOT internal")
	if err != nil {
		return err
	}
	sequences, err := x.catalog(ctx, "SELECT schema_name, sequence_name, sql FROM duckdb_sequences()", "NOT temporary")
	if err != nil {
		return err
	}
	macros, err := x.catalog(ctx, "SELECT schema_name, function_name, macro_definition, array_to_string(list_transform(parameters, lambda p: '\"' || replace(p, '\"', '\"\"') || '\"'), ', ') FROM duckdb_functions()",
		"NOT internal", "function_type = 'macro'")
	if err != nil {
		return err
	}
	var needs []statement
	for _, r := range types {
		if !strings.Contains(text, strings.ToLower(r[1])) {
			continue
		}
		ref := quoteName(sourceCatalog) + "." + quoteName(r[0]) + "." + quoteName(r[1])
		form, err := x.strings(ctx, "SELECT typeof(CAST(NULL AS "+ref+"))")
		if err != nil {
			return fmt.Errorf("type %s: %w", tableName(r[0], r[1]), err)
		}
		needs = append(needs, statement{what: "type " + tableName(r[0], r[1]), schema: r[0], sql: "CREATE TYPE " + quoteName(r[1]) + " AS " + form[0][0], own: true})
	}
	for _, r := range sequences {
		if strings.Contains(text, strings.ToLower(r[1])) {
			needs = append(needs, statement{what: "sequence " + tableName(r[0], r[1]), schema: r[0], sql: r[2], own: true})
		}
	}
	for _, r := range macros {
		if strings.Contains(text, strings.ToLower(r[1])) {
			if r[3] != "" {
				x.report.Notes = append(x.report.Notes, fmt.Sprintf("macro %s is made without the defaults of its parameters, if it has any: the catalog does not tell them", tableName(r[0], r[1])))
			}
			needs = append(needs, statement{what: "macro " + tableName(r[0], r[1]), schema: r[0], sql: "CREATE MACRO " + quoteName(r[1]) + "(" + r[3] + ") AS " + r[2], own: true, optional: true})
		}
	}
	schemas := map[string]bool{"main": true}
	for _, t := range chosen {
		needs = append(needs, statement{schema: t.schema})
	}
	for _, n := range needs {
		if !schemas[n.schema] {
			schemas[n.schema] = true
			s.before = append(s.before, statement{what: "schema " + n.schema, schema: "main", sql: "CREATE SCHEMA " + quoteName(n.schema)})
		}
	}
	for _, n := range needs {
		if n.sql != "" {
			s.before = append(s.before, n)
		}
	}
	return nil
}
