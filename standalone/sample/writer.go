package sample

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the driver, used in the child only
)

// childArg is the first argument of a process that is the writer.
const childArg = "sample-writer"

const (
	commitEvery     = 20 * time.Millisecond
	batchEvery      = 2 * time.Second
	checkpointEvery = 7 * time.Second
	// The hurry ends so that a sample left alone for days stays small.
	hurry       = 10 * time.Minute
	commitLater = time.Second
	batchLater  = time.Minute
	// lockWait is how long the writer of a process that died may take to let
	// the file go.
	lockWait = 15 * time.Second
	// closeWait bounds the orderly end.
	closeWait = 10 * time.Second
)

// RunIfChild takes over the process if it was started as the writer, and
// never returns then. Every main and TestMain whose process calls Start calls
// it first.
func RunIfChild() {
	if len(os.Args) != 3 || os.Args[1] != childArg {
		return
	}
	syscall.Umask(0o077) // what it makes is nobody else's
	// A key pressed at the terminal reaches this process too: the parent
	// decides when it ends.
	signal.Ignore(os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin) // ends when the parent closes it or dies
		cancel()
	}()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(closeWait, func() { os.Exit(1) })
	})
	if err := write(ctx, os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// write holds the database open and writes until ctx ends. To out it prints
// the number of the newest commit, a line each.
func write(ctx context.Context, path string, out io.Writer) (err error) {
	db, err := open(ctx, path)
	if err != nil {
		return fmt.Errorf("sample: open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// One statement at a time on one connection: what is counted is committed.
	db.SetMaxOpenConns(1)
	w := &writer{db: db, out: out, started: time.Now()}
	if err := w.prepare(ctx); err != nil {
		return ended(ctx, fmt.Errorf("sample: prepare %s: %w", path, err))
	}
	if err := w.run(ctx); err != nil {
		return ended(ctx, fmt.Errorf("sample: write %s: %w", path, err))
	}
	return nil
}

// ended drops an error that the end of ctx caused.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open waits while the writer of an earlier process still holds the lock.
func open(ctx context.Context, path string) (*sql.DB, error) {
	deadline := time.Now().Add(lockWait)
	for {
		db, err := sql.Open("duckdb", path)
		if err == nil {
			if err = db.PingContext(ctx); err == nil {
				return db, nil
			}
			db.Close()
		}
		if !strings.Contains(err.Error(), "lock") || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

type writer struct {
	db      *sql.DB
	out     io.Writer
	started time.Time
	id      int64 // of the newest commit
	batch   int64 // the newest batch
}

func (w *writer) prepare(ctx context.Context) error {
	for _, stmt := range []string{
		`CREATE TABLE IF NOT EXISTS ledger (id BIGINT NOT NULL, made TIMESTAMPTZ NOT NULL, account INTEGER NOT NULL, amount DECIMAL(12,2) NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS measurements (batch BIGINT NOT NULL, sensor INTEGER NOT NULL, value DOUBLE NOT NULL)`,
	} {
		if _, err := w.db.ExecContext(ctx, stmt); err != nil {
			return err
		}
	}
	row := w.db.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(id), 0) FROM ledger), (SELECT coalesce(max(batch), 0) FROM measurements)`)
	if err := row.Scan(&w.id, &w.batch); err != nil {
		return err
	}
	for w.batch < batchesFirst {
		if err := w.bulk(ctx); err != nil {
			return err
		}
	}
	if _, err := w.db.ExecContext(ctx, `CHECKPOINT`); err != nil {
		return err
	}
	return w.commit(ctx)
}

func (w *writer) run(ctx context.Context) error {
	commit := time.NewTicker(commitEvery)
	defer commit.Stop()
	batch := time.NewTicker(batchEvery)
	defer batch.Stop()
	checkpoint := time.NewTicker(checkpointEvery)
	defer checkpoint.Stop()
	later := time.NewTimer(hurry)
	defer later.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-commit.C:
			err = w.commit(ctx)
		case <-batch.C:
			err = w.bulk(ctx)
		case <-checkpoint.C:
			_, err = w.db.ExecContext(ctx, `CHECKPOINT`)
		case <-later.C:
			commit.Reset(commitLater)
			batch.Reset(batchLater)
		}
		if err != nil {
			return err
		}
	}
}

// commit adds one row to the ledger in a transaction of its own.
func (w *writer) commit(ctx context.Context) error {
	_, err := w.db.ExecContext(ctx, `INSERT INTO ledger VALUES (?, now(), ?, ?)`,
		w.id+1, rand.IntN(1000), float64(rand.IntN(2_000_000)-1_000_000)/100)
	if err != nil {
		return err
	}
	w.id++
	_, err = fmt.Fprintln(w.out, w.id)
	return err
}

// bulk adds a batch and takes the oldest one away where there are enough.
func (w *writer) bulk(ctx context.Context) error {
	_, err := w.db.ExecContext(ctx, `INSERT INTO measurements SELECT ?, range % 500, random() * 100 FROM range(?)`, w.batch+1, batchRows)
	if err != nil {
		return err
	}
	w.batch++
	_, err = w.db.ExecContext(ctx, `DELETE FROM measurements WHERE batch <= ?`, w.batch-batchesKept)
	return err
}
