package writer

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
)

// Invariant counts what contradicts it, so its query's value must be 0. Where
// When is set, it is asked only if that query's value is not 0.
type Invariant struct {
	Name string `json:"name"`
	When string `json:"when"`
	SQL  string `json:"sql"`
}

// report is what a check prints, on one line. Kind is empty for a good copy.
type report struct {
	Last   int64    `json:"last"`
	Faults []string `json:"faults"`
	Kind   string   `json:"kind"` // open, read, data, lost, late
}

// The ways in which a copy shows that it is bad. One that kills the process
// prints nothing.
const (
	kindOpen = "open" // it does not open
	kindRead = "read" // a query fails
	kindData = "data" // every query runs, and an invariant does not hold
	kindLost = "lost" // it is sound, but lacks what it must hold
	kindLate = "late" // it is sound at first and not after CHECKPOINT and a second opening
)

// checkMain is the mode "check": it opens a copy read-write, reads every column
// of every table, asks for each invariant, folds the WAL, closes, and does it
// all again. It returns 0 whatever it finds, and something else only where the
// check itself could not be made.
func checkMain(args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(errOut)
	path := flags.String("database", "", "copy to check; the check changes it")
	invariants := flags.String("invariants", "", "JSON file with what holds in it")
	atLeast := flags.Int64("at-least", 0, "ledger entry that it must hold")
	atMost := flags.Int64("at-most", math.MaxInt64, "last ledger entry that it may hold")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	content, err := os.ReadFile(*invariants)
	var list []Invariant
	if err == nil {
		err = json.Unmarshal(content, &list)
	}
	if err == nil && (*path == "" || len(list) == 0) {
		err = errors.New("--database is missing, or --invariants names none")
	}
	if err == nil {
		_, err = os.Stat(*path)
	}
	if err != nil {
		fmt.Fprintln(errOut, "check:", err)
		return 2
	}
	r := check(*path, list, *atLeast, *atMost)
	if err := json.NewEncoder(out).Encode(r); err != nil {
		fmt.Fprintln(errOut, "check:", err)
		return 1
	}
	return 0
}

func check(path string, invariants []Invariant, atLeast, atMost int64) report {
	r := look(path, invariants, true)
	if r.Kind != "" {
		return r
	}
	if r.Last < atLeast || r.Last > atMost {
		r.fault(kindLost, "the last ledger entry is %d, not one of %d to %d", r.Last, atLeast, atMost)
		return r
	}
	again := look(path, invariants, false)
	if again.Kind == "" && again.Last != r.Last {
		again.fault(kindLate, "the last ledger entry was %d at first and is %d", r.Last, again.Last)
	}
	if again.Kind != "" {
		again.Kind = kindLate
	}
	return again
}

func (r *report) fault(kind, format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	if r.Kind == "" || kind == kindRead {
		r.Kind = kind
	}
}

// look opens the file, reads it, asks for the invariants, and folds the WAL if
// it is to.
func look(path string, invariants []Invariant, fold bool) (r report) {
	r.Faults = []string{}
	db, err := sql.Open("duckdb", path)
	if err != nil {
		r.fault(kindOpen, "%v", err)
		return r
	}
	defer func() {
		if err := db.Close(); err != nil {
			r.fault(kindLate, "close: %v", err)
		}
	}()
	conn, err := db.Conn(context.Background())
	if err != nil {
		r.fault(kindOpen, "%v", err)
		return r
	}
	defer conn.Close()
	s := session{conn}
	if err := s.transactions(`SET threads = 1`); err != nil {
		r.fault(kindOpen, "%v", err)
		return r
	}
	if err := s.readAll(); err != nil {
		r.fault(kindRead, "%v", err)
	}
	if err := s.numbers(`SELECT coalesce(max(id), 0) FROM ledger`, &r.Last); err != nil {
		r.fault(kindRead, "%v", err)
	}
	for _, i := range invariants {
		s.ask(i, &r)
	}
	if fold && r.Kind == "" {
		if err := s.transactions(`CHECKPOINT`); err != nil {
			r.fault(kindLate, "%v", err)
		}
	}
	return r
}

// ask adds a fault where the invariant does not hold.
func (s session) ask(i Invariant, r *report) {
	if i.When != "" {
		var applies int64
		if err := s.numbers(i.When, &applies); err != nil {
			r.fault(kindRead, "%s: %v", i.Name, err)
			return
		}
		if applies == 0 {
			return
		}
	}
	var faults sql.NullInt64
	if err := s.numbers(`SELECT CAST((`+i.SQL+`) AS BIGINT)`, &faults); err != nil {
		r.fault(kindRead, "%s: %v", i.Name, err)
	} else if !faults.Valid || faults.Int64 != 0 {
		r.fault(kindData, "%s: %d faults", i.Name, faults.Int64)
	}
}

// readAll reads every column of every table to its last value.
func (s session) readAll() error {
	rows, err := s.conn.QueryContext(context.Background(), `SELECT format('"{}"."{}"', schema_name, table_name) FROM duckdb_tables() WHERE NOT internal ORDER BY 1`)
	if err != nil {
		return err
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return errors.Join(err, rows.Close())
		}
		tables = append(tables, table)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if len(tables) == 0 {
		return errors.New("there is no table")
	}
	for _, table := range tables {
		if err := s.read(table); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func (s session) read(table string) error {
	rows, err := s.conn.QueryContext(context.Background(), `SELECT bit_xor(hash(COLUMNS(*))) FROM `+table)
	if err != nil {
		return err
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("an aggregate has %d rows", n)
	}
	return nil
}
