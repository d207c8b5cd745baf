// Package writer is a program that holds a DuckDB file open and writes to it
// until it is told to stop. It speaks database/sql only, so that it can be
// built with drivers that carry different versions of DuckDB; each of the
// modules beside it does that with one.
//
// It prints the id of every committed ledger entry on a line of its own, after
// the commit, so that whoever reads it knows a lower bound of what any later
// copy must hold. It stops when standard input ends, and then closes the
// database as a service would.
package writer

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// Main runs the program with the registered driver "duckdb" and returns its
// exit status.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("owner", flag.ContinueOnError)
	flags.SetOutput(errOut)
	path := flags.String("database", "", "file to hold open")
	threshold := flags.String("checkpoint-threshold", "1MB", "size of the WAL that starts a checkpoint")
	pause := flags.Duration("pause", time.Millisecond, "time between two transactions")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *path == "" {
		fmt.Fprintln(errOut, "owner: --database is missing")
		return 2
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	if err := run(ctx, *path, *threshold, *pause, out); err != nil {
		fmt.Fprintln(errOut, "owner:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, path, threshold string, pause time.Duration, out io.Writer) (err error) {
	db, err := sql.Open("duckdb", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// One connection: DuckDB 1.4 can lose a DELETE beside an ALTER of the same
	// table on another one, which no copy can mend.
	db.SetMaxOpenConns(1)
	o := &owner{db: db}
	if err := o.prepare(threshold); err != nil {
		return err
	}
	lines := bufio.NewWriter(out)
	for ctx.Err() == nil {
		if err := o.step(); err != nil {
			return fmt.Errorf("after ledger entry %d: %w", o.id, err)
		}
		fmt.Fprintln(lines, o.id)
		if err := lines.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// Exit runs Main on the process's own arguments and streams.
func Exit() {
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
