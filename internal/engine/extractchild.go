package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/duckdb/duckdb-go/v2"
)

// Catalogs of an extraction. No schema of a database is called so, which the
// alias that the engine would choose could be: names in statements of the
// catalog would then be ambiguous.
const (
	sourceCatalog = "canvasback source"
	targetCatalog = "canvasback target"
)

// extraction is the work of one child.
type extraction struct {
	*session
	req    *ExtractRequest
	report *ExtractReport
	source *reader
	step   func(done, total int) error
	target string      // the catalog of the new database
	after  []statement // what is made when the tables have their rows
}

// extractChild answers an extract request.
func extractChild(ctx context.Context, req request, out *replies) (*ScanReport, error) {
	if req.Extract == nil {
		return nil, &childError{Class: classSetup, Text: "an extraction without a request"}
	}
	syscall.Umask(0o077) // what is written is as private as a backup
	x := &extraction{req: req.Extract, target: targetCatalog, report: &ExtractReport{Tables: []ExtractedTable{}, Schema: []string{}}, step: out.progress}
	lim := limits{TempDir: x.req.TempDir, MemoryLimit: x.req.MemoryLimit, Threads: x.req.Threads, Key: x.req.Key, Cipher: x.req.Cipher,
		alias: sourceCatalog, prepare: x.prepare}
	s, err := openSession(ctx, req.Path, !x.req.ReadWrite, lim)
	if err != nil {
		return nil, err
	}
	x.session = s
	x.source = &reader{asker: s, alias: sourceCatalog, progress: func(int, int) error { return nil }}
	err = x.extract(ctx)
	if err == nil && x.req.File != "" {
		err = x.detachTarget(ctx)
	}
	if err = errors.Join(err, s.close()); err != nil {
		return nil, withoutKey(err, x.req.Key)
	}
	if len(x.after) > 0 {
		if err := x.reopen(ctx); err != nil {
			return nil, err
		}
	}
	return &ScanReport{Engine: x.report.Engine, Tables: []Table{}, Extract: x.report}, nil
}

// prepare runs while the engine can still reach other files: it attaches the
// new database, or names the one directory that stays in reach.
func (x *extraction) prepare(ctx context.Context, s *session) error {
	if x.req.Dir != "" {
		return s.exec(ctx, "SET allowed_directories = ["+quoteText(strings.TrimRight(x.req.Dir, "/")+"/")+"]")
	}
	if err := s.exec(ctx, "SET preserve_insertion_order = true"); err != nil {
		return err
	}
	like, err := s.strings(ctx, "SELECT rtrim(tags['storage_version'], '+'), CAST(s.block_size AS VARCHAR) FROM duckdb_databases() d JOIN pragma_database_size() s USING (database_name) WHERE database_name = "+quoteText(sourceCatalog))
	if err != nil {
		return err
	}
	options := "TYPE duckdb"
	if len(like) == 1 {
		options += ", STORAGE_VERSION " + quoteText(like[0][0]) + ", BLOCK_SIZE " + like[0][1]
	}
	if x.req.Key != "" {
		options += ", ENCRYPTION_KEY " + quoteText(x.req.Key) + ", ENCRYPTION_CIPHER " + quoteText(x.req.Cipher)
	}
	return s.exec(ctx, fmt.Sprintf("ATTACH %s AS %s (%s)", quoteText(x.req.File), quoteName(targetCatalog), options))
}

func (x *extraction) extract(ctx context.Context) error {
	version, err := x.source.rows(ctx, "SELECT version()")
	if err != nil {
		return err
	}
	x.report.Engine = version[0][0]
	all, err := x.source.tables(ctx)
	if err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	chosen, err := choose(all, x.req.Tables)
	if err != nil {
		return err
	}
	if err := x.source.describe(ctx, chosen); err != nil {
		return err
	}
	if err := x.source.checkTypes(ctx, chosen); err != nil {
		return err
	}
	for _, t := range chosen {
		if t.unread || t.undescribed {
			return &childError{Class: classMissing, Text: strings.Join(x.source.missing, "; ")}
		}
	}
	schema, err := x.readSchema(ctx, chosen)
	if err != nil {
		return err
	}
	if err := x.step(0, len(chosen)); err != nil {
		return err
	}
	if x.req.Dir != "" {
		return x.parquet(ctx, chosen, schema)
	}
	return x.database(ctx, chosen, schema)
}

// choose finds the named tables, all for no name.
func choose(all []*table, names []string) ([]*table, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []*table
	for _, name := range names {
		i := slices.IndexFunc(all, func(t *table) bool { return t.Name == name })
		if i < 0 {
			return nil, &childError{Class: classTables, Text: fmt.Sprintf("there is no table %s", name)}
		}
		if !slices.Contains(chosen, all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// database makes the new database: what the tables need, the tables, their
// rows, and then their indexes and comments.
func (x *extraction) database(ctx context.Context, chosen []*table, schema *schemaOf) error {
	for _, st := range schema.before {
		if err := x.define(ctx, st); err != nil {
			return err
		}
	}
	for _, t := range schema.order(chosen) {
		if err := x.define(ctx, schema.tables[t.Name]); err != nil {
			return err
		}
		var columns []string
		for _, c := range t.columns {
			if !c.generated {
				columns = append(columns, quoteName(c.name))
			}
		}
		if len(columns) == 0 {
			return &childError{Class: classTables, Text: fmt.Sprintf("table %s stores no column", t.Name)}
		}
		list := strings.Join(columns, ", ")
		into := quoteName(targetCatalog) + "." + quoteName(t.schema) + "." + quoteName(t.base)
		if err := x.exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", into, list, list, t.ref())); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		rows, err := x.strings(ctx, "SELECT CAST(count(*) AS VARCHAR) FROM "+into)
		if err == nil {
			err = t.take(rows)
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		x.report.Tables = append(x.report.Tables, ExtractedTable{Name: t.Name, Rows: t.Rows})
		if err := x.step(len(x.report.Tables), len(chosen)); err != nil {
			return err
		}
	}
	if x.req.Key == "" {
		x.after = schema.after
		return nil
	}
	return x.defineAll(ctx, schema.after)
}

func (x *extraction) defineAll(ctx context.Context, statements []statement) error {
	for _, st := range statements {
		if err := x.define(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// reopen makes the rest in an instance that has the new database for its own: an
// index that is made in an attached one is stored with the name of the catalog,
// and DuckDB 1.1 opens it under no other. Encrypted files are none of its.
func (x *extraction) reopen(ctx context.Context) (err error) {
	connector, err := duckdb.NewConnector(x.req.File, nil)
	if err != nil {
		return err
	}
	x.session = &session{db: sql.OpenDB(connector)}
	defer func() { err = errors.Join(err, x.db.Close()) }()
	if x.conn, err = x.db.Conn(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.conn.Close()) }()
	stmts := settings(limits{TempDir: x.req.TempDir, MemoryLimit: x.req.MemoryLimit, Threads: x.req.Threads})
	for _, stmt := range append(stmts, "SET enable_external_access = false", "SET lock_configuration = true") {
		if err := x.exec(ctx, stmt); err != nil {
			return err
		}
	}
	name, err := x.strings(ctx, "SELECT current_database()")
	if err != nil {
		return err
	}
	x.target = name[0][0]
	return errors.Join(x.defineAll(ctx, x.after), x.exec(ctx, "CHECKPOINT"))
}

// define runs a statement of the catalog in the new database. A name in it may
// have been found in its own schema or in main.
func (x *extraction) define(ctx context.Context, st statement) error {
	var errs []error
	for _, schema := range st.schemas() {
		err := x.exec(ctx, "USE "+quoteName(x.target)+"."+quoteName(schema))
		if err == nil {
			err = x.exec(ctx, st.sql)
		}
		if err == nil {
			x.report.Schema = append(x.report.Schema, st.script())
			return nil
		}
		errs = append(errs, err)
	}
	if st.optional {
		x.report.Notes = append(x.report.Notes, fmt.Sprintf("%s could not be made: %s", st.what, firstLine(errs[0].Error())))
		return nil
	}
	err := fmt.Errorf("%s cannot be made in a database of its own: %w", st.what, errs[0])
	if c := classify(errs[0]).Class; c == classMemory || c == classResources {
		return err
	}
	return &childError{Class: classTables, Text: err.Error()}
}

// detachTarget folds the WAL of the new database and lets go of it.
func (x *extraction) detachTarget(ctx context.Context) error {
	storage, err := x.strings(ctx, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = "+quoteText(targetCatalog))
	if err == nil && len(storage) == 1 {
		x.report.Storage = storage[0][0]
	}
	for _, stmt := range []string{"USE memory", "CHECKPOINT " + quoteName(targetCatalog), "DETACH " + quoteName(targetCatalog)} {
		if err == nil {
			err = x.exec(ctx, stmt)
		}
	}
	return err
}
