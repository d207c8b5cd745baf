// Package writer is a program that holds a DuckDB file open and writes to it
// until it is told to stop, and that checks copies of such files. It speaks
// database/sql only, so that it can be built with drivers that carry different
// versions of DuckDB; each of the modules beside it does that with one.
//
// It prints the id of every committed ledger entry on a line of its own, after
// the commit, so that whoever reads it knows a lower bound of what any later
// copy must hold. Standard input takes commands, one a line, and each is
// answered by a line that begins with "= ":
//
//	committed   the last committed ledger entry
//	checkpoint  runs CHECKPOINT between two transactions; "ok", or the error
//
// As "check" it checks a copy, as "shell" it is a command-line shell.
//
// It stops when standard input ends, and then closes the database as a service
// would.
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
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// shape is what the flags say of the load.
type shape struct {
	threshold string        // size of the WAL that starts a checkpoint
	skipWAL   int64         // estimated bytes from which a commit goes past the WAL; negative: the engine's default
	pause     time.Duration // between two transactions
	flood     int64         // rows of a batch on the second connection; 0: no such connection
	calm      time.Duration // between two batches on the second connection
	rollBack  bool          // the second connection commits nothing
	// exchangeEvery is the number of ledger entries between two exchanges of
	// rows in a large table with an index; 0: never.
	exchangeEvery int64
	hook          string // where the hook of backups is served; empty: nowhere
}

// Main runs the program with the registered driver "duckdb" and returns its
// exit status.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) > 0 && args[0] == "check" {
		return checkMain(args[1:], out, errOut)
	}
	if len(args) > 0 && args[0] == "shell" {
		return shellMain(args[1:], in, out, errOut)
	}
	var s shape
	flags := flag.NewFlagSet("owner", flag.ContinueOnError)
	flags.SetOutput(errOut)
	path := flags.String("database", "", "file to hold open")
	flags.StringVar(&s.threshold, "checkpoint-threshold", "1MB", "size of the WAL that starts a checkpoint")
	flags.Int64Var(&s.skipWAL, "skip-wal-threshold", -1, "from DuckDB 1.5: estimated bytes from which a commit goes past the WAL; negative: the engine's default")
	flags.DurationVar(&s.pause, "pause", time.Millisecond, "time between two transactions")
	flags.Int64Var(&s.flood, "flood", 0, "from DuckDB 1.5: rows of each batch that a second connection writes or rolls back meanwhile")
	flags.DurationVar(&s.calm, "calm", 20*time.Millisecond, "time between two batches of the second connection")
	flags.BoolVar(&s.rollBack, "roll-back", false, "have the second connection roll back all that it writes")
	flags.Int64Var(&s.exchangeEvery, "exchange", 0, "ledger entries between two exchanges of rows in a large table with an index, on a new database; 0: none")
	flags.StringVar(&s.hook, "hook", "", "address, or path of a unix socket, on which to serve the hook of backups; empty: none")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *path == "" {
		fmt.Fprintln(errOut, "owner: --database is missing")
		return 2
	}
	if err := run(*path, s, in, out); err != nil {
		fmt.Fprintln(errOut, "owner:", err)
		return 1
	}
	return 0
}

func run(path string, s shape, in io.Reader, out io.Writer) (err error) {
	db, err := sql.Open("duckdb", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	// One connection writes all but the flood: DuckDB 1.4 can lose a DELETE
	// beside an ALTER of the same table on another one, which no copy can mend.
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	o := &owner{session: session{conn}, shape: s}
	if err := o.prepare(); err != nil {
		return err
	}
	lines := &printer{w: bufio.NewWriter(out)}
	if s.hook != "" {
		stopHook, refused := serveHook(db, s.hook, lines)
		if refused != nil {
			return refused
		}
		defer func() { err = errors.Join(err, stopHook()) }()
	}
	checkpoints := make(chan struct{}, 64)
	go func() {
		serve(in, lines, &o.committed, checkpoints)
		stop()
	}()
	flooded := make(chan error, 1)
	go func() { flooded <- flood(ctx, db, s) }()
	err = o.work(ctx, lines, checkpoints)
	stop()
	return errors.Join(err, <-flooded)
}

// work writes until ctx ends.
func (o *owner) work(ctx context.Context, lines *printer, checkpoints <-chan struct{}) error {
	for ctx.Err() == nil {
		if err := o.step(lines); err != nil {
			return fmt.Errorf("after ledger entry %d: %w", o.committed.Load(), err)
		}
		select {
		case <-checkpoints:
			answer := "ok"
			if err := o.transactions(`CHECKPOINT`); err != nil {
				answer = strings.ReplaceAll(err.Error(), "\n", " ")
			}
			if err := lines.println("= " + answer); err != nil {
				return err
			}
		default:
		}
		select {
		case <-ctx.Done():
		case <-time.After(o.pause):
		}
	}
	return nil
}

// serve answers the commands on in until it ends.
func serve(in io.Reader, lines *printer, committed *atomic.Int64, checkpoints chan<- struct{}) {
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		switch command := scanner.Text(); command {
		case "committed":
			_ = lines.println(fmt.Sprint("= ", committed.Load()))
		case "checkpoint":
			checkpoints <- struct{}{}
		default:
			_ = lines.println("= unknown command " + command)
		}
	}
}

// printer writes whole lines from several goroutines.
type printer struct {
	mu sync.Mutex // guards w
	w  *bufio.Writer
}

func (p *printer) println(line string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.w.WriteString(line + "\n"); err != nil {
		return err
	}
	return p.w.Flush()
}

// Exit runs Main on the process's own arguments and streams.
func Exit() {
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
