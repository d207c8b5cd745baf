package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// session is the database file attached to an in-memory instance over one
// connection, and the default catalog of it. Only child processes make one.
type session struct {
	db    *sql.DB
	conn  *sql.Conn
	alias string
}

// limits are what a session may use. Empty or zero: the engine's default, for
// TempDir no spilling at all.
type limits struct {
	TempDir     string
	MemoryLimit string
	Threads     int
	Key         string // of an encrypted file
	Cipher      string // "GCM" or "CTR", with a key
	alias       string // of the catalog; empty: the one that the engine would choose
	// prepare, if set, runs before other files are out of reach.
	prepare func(context.Context, *session) error
}

// openSession attaches the file at the absolute path.
func openSession(ctx context.Context, path string, readOnly bool, lim limits) (*session, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, &childError{Class: classSetup, Text: err.Error()}
	}
	s := &session{db: sql.OpenDB(connector), alias: alias(path)}
	if lim.alias != "" {
		s.alias = lim.alias
	}
	if err := s.open(ctx, path, readOnly, lim); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func (s *session) open(ctx context.Context, path string, readOnly bool, lim limits) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return &childError{Class: classSetup, Text: err.Error()}
	}
	s.conn = conn
	for _, stmt := range settings(lim) {
		if err := s.exec(ctx, stmt); err != nil {
			return &childError{Class: classSetup, Text: shorten(stmt + ": " + err.Error())}
		}
	}
	// Only instances with the ICU extension know the setting; results do not
	// depend on it, the text of a TIMESTAMPTZ in an assertion does.
	_ = s.exec(ctx, "SET TimeZone = 'UTC'")

	mode := "READ_ONLY"
	if !readOnly {
		mode = "READ_WRITE"
	}
	if lim.Key != "" {
		// A scratch copy may be written without OpenSSL, which is not linked.
		if err := s.exec(ctx, "SET force_mbedtls_unsafe = true"); err != nil && !readOnly {
			return &childError{Class: classSetup, Text: err.Error()}
		}
		mode += encryption(lim)
	}
	if err := s.exec(ctx, fmt.Sprintf("ATTACH %s AS %s (TYPE duckdb, %s)", quoteText(path), quoteName(s.alias), mode)); err != nil {
		return withoutKey(err, lim.Key)
	}
	if lim.prepare != nil {
		if err := lim.prepare(ctx, s); err != nil {
			return withoutKey(err, lim.Key)
		}
	}
	for _, stmt := range []string{
		functionsFirst(s.alias),
		// From here on expressions that come from the file or the operator run.
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if err := s.exec(ctx, stmt); err != nil {
			return err
		}
	}
	return nil
}

// functionsFirst looks functions up among the engine's own before those of the
// database, as which it is set where the queries are ours: a macro that has the
// name of one of the engine's functions would take its place in them. The
// database stays on the path for the sake of macros that its tables name.
func functionsFirst(alias string) string {
	return "SET search_path = " + quoteText("system.main,"+quoteName(alias)+".main")
}

// encryption are the options of an ATTACH of an encrypted file.
func encryption(lim limits) string {
	return ", ENCRYPTION_KEY " + quoteText(lim.Key) + ", ENCRYPTION_CIPHER " + quoteText(lim.Cipher)
}

// withoutKey hides the key where the engine quotes the statement it was in.
func withoutKey(err error, key string) error {
	text := err.Error()
	if key != "" {
		// The engine cuts long lines, perhaps inside of the key.
		text, _, _ = strings.Cut(text, "\nLINE ")
	}
	for _, form := range []string{quoteText(key), key} {
		if key != "" {
			text = strings.ReplaceAll(text, form, "(key)")
		}
	}
	return &hidden{text, err}
}

// hidden is an error of the same kind with another text.
type hidden struct {
	text string
	err  error
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.err }

func settings(lim limits) []string {
	stmts := []string{
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET allow_persistent_secrets = false",
		"SET preserve_insertion_order = false",
		"SET temp_directory = " + quoteText(lim.TempDir),
	}
	if lim.MemoryLimit != "" {
		stmts = append(stmts, "SET memory_limit = "+quoteText(lim.MemoryLimit))
	}
	if lim.Threads > 0 {
		stmts = append(stmts, fmt.Sprintf("SET threads = %d", lim.Threads))
	}
	return stmts
}

func (s *session) exec(ctx context.Context, stmt string) error {
	_, err := s.conn.ExecContext(ctx, stmt)
	return err
}

// strings returns every row of a query whose columns all cast to text; NULL is
// an empty string.
func (s *session) strings(ctx context.Context, query string) (_ [][]string, err error) {
	rows, err := s.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]string
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i, v := range values {
			row[i] = v.String
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// close lets go of the file. A read-write session folds its WAL.
func (s *session) close() error {
	ctx := context.Background()
	err := s.exec(ctx, "USE memory")
	if err == nil {
		err = s.exec(ctx, "DETACH "+quoteName(s.alias))
	}
	return errors.Join(err, s.conn.Close(), s.db.Close())
}

// alias is the catalog name that the engine itself would give the file, so
// that views which name it resolve; the instance's own catalogs stay free.
func alias(path string) string {
	base := filepath.Base(path)
	if i := strings.IndexByte(base, '.'); i > 0 {
		base = base[:i]
	}
	switch strings.ToLower(base) {
	case "memory", "temp", "system", "main":
		return base + "_db"
	}
	return base
}
