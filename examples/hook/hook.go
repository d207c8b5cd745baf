package hook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options of a Hook. The zero value serves a service with one database file.
type Options struct {
	// Catalog is the name under which the database is attached. It may be
	// empty where one database file is attached for writing, and no more.
	Catalog string
	// Wait bounds how long a request waits for a connection of the pool and for
	// a running checkpoint, 20 s if zero.
	Wait time.Duration
	// Renew is the age at which a transaction of a hold is replaced by a younger
	// one, 250 ms if zero.
	Renew time.Duration
	// MaxHold bounds the deadline of a hold, 1 h if zero.
	MaxHold time.Duration
}

// Hook is an http.Handler that serves POST /checkpoint, POST /begin, POST /end
// and GET /status. It is safe for concurrent use.
type Hook struct {
	db      *sql.DB
	options Options
	mux     *http.ServeMux
	calls   sync.WaitGroup // what Close waits for; added to under mu, before closed

	mu      sync.Mutex // guards what follows; not held while DuckDB works
	closed  bool
	active  *hold  // begun or beginning; nil: none
	version string // of the engine; empty: not asked yet
	last    string // token of the last hold, for who asks for it too late
	lastEnd string // how it ended
}

// New makes the hook of a database. db must have a connection to spare and
// stays the caller's.
func New(db *sql.DB, options Options) *Hook {
	if options.Wait == 0 {
		options.Wait = 20 * time.Second
	}
	if options.Renew == 0 {
		options.Renew = 250 * time.Millisecond
	}
	if options.MaxHold == 0 {
		options.MaxHold = time.Hour
	}
	h := &Hook{db: db, options: options, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /checkpoint", h.serve(h.serveCheckpoint))
	h.mux.HandleFunc("POST /begin", h.serve(h.serveBegin))
	h.mux.HandleFunc("POST /end", h.serve(h.serveEnd))
	h.mux.HandleFunc("GET /status", h.serve(h.serveStatus))
	return h
}

// Close ends the hold, if there is one, refuses all further requests and
// returns when nothing of the hook uses the database any more.
func (h *Hook) Close() error {
	h.mu.Lock()
	h.closed = true
	a := h.active
	var err error
	if a != nil && !a.begun {
		a.cancel()
		a = nil
	} else if a != nil {
		h.take(a, "the service stopped")
	}
	h.mu.Unlock()
	if a != nil {
		err = a.release()
	}
	h.calls.Wait()
	return err
}

// enter counts a call that uses the database; leave is its other end.
func (h *Hook) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return refuse(http.StatusServiceUnavailable, "the service is stopping")
	}
	h.calls.Add(1)
	return nil
}

func (h *Hook) leave() { h.calls.Done() }

// connect takes a connection of the pool.
func (h *Hook) connect(ctx context.Context) (*sql.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Wait)
	defer cancel()
	conn, err := h.db.Conn(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refuse(http.StatusServiceUnavailable, "the pool has had no connection free for %s", h.options.Wait)
	}
	return conn, err
}

// catalog is the quoted name of the database. A connection of the pool may
// have been told to USE another one, so that no statement relies on it.
func (h *Hook) catalog(ctx context.Context, conn *sql.Conn) (string, error) {
	name := h.options.Catalog
	if name == "" {
		var count int
		row := conn.QueryRowContext(ctx, `SELECT count(*), coalesce(min(database_name), '') FROM duckdb_databases() WHERE path IS NOT NULL AND NOT internal AND NOT readonly`)
		if err := row.Scan(&count, &name); err != nil {
			return "", fmt.Errorf("ask for the attached databases: %w", err)
		}
		if count != 1 {
			return "", fmt.Errorf("%d database files are attached for writing, where Options.Catalog is needed unless it is one", count)
		}
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`, nil
}

// engineVersion asks once; the answer has no leading v.
func (h *Hook) engineVersion(ctx context.Context, conn *sql.Conn) (string, error) {
	h.mu.Lock()
	version := h.version
	h.mu.Unlock()
	if version != "" {
		return version, nil
	}
	if err := conn.QueryRowContext(ctx, `SELECT version()`).Scan(&version); err != nil {
		return "", fmt.Errorf("ask for DuckDB's version: %w", err)
	}
	version = strings.TrimPrefix(version, "v")
	h.mu.Lock()
	h.version = version
	h.mu.Unlock()
	return version, nil
}

// checkpoint folds the write-ahead log into the file. It is not interrupted
// when ctx ends once it has begun. DuckDB refuses it during a hold, as it does
// beside other write transactions.
func (h *Hook) checkpoint(ctx context.Context) (err error) {
	conn, err := h.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	catalog, err := h.catalog(ctx, conn)
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(context.WithoutCancel(ctx), "CHECKPOINT "+catalog)
	if err != nil && strings.Contains(err.Error(), "Cannot CHECKPOINT") {
		return refuse(http.StatusServiceUnavailable, "not now: %v", err)
	}
	return err
}
