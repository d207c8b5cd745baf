package enginetest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// initialBalance of each account. The sum over all accounts never changes.
const initialBalance = 1000

// own is the owner's life: statements from the parent between its own
// transactions, until the parent closes stdin.
func own(db *sql.DB, opts OwnerOptions, dec *json.Decoder) error {
	stmts := make(chan string)
	go func() {
		defer close(stmts)
		for {
			var s string
			if dec.Decode(&s) != nil {
				return
			}
			stmts <- s
		}
	}()
	l := &load{opts: opts, db: db, rand: rand.New(rand.NewPCG(opts.Seed, 0))}
	if err := l.setUp(); err != nil {
		return err
	}
	for {
		select {
		case stmt, ok := <-stmts:
			if !ok {
				return nil
			}
			text := ""
			if _, err := db.Exec(stmt); err != nil {
				text = err.Error()
			}
			line, _ := json.Marshal(text)
			if err := report("answer", string(line)); err != nil {
				return err
			}
		default:
			if err := l.step(); err != nil {
				return err
			}
			time.Sleep(opts.Pause)
		}
	}
}

// load writes:
//
//	accounts(id, balance)            transfers keep the sum
//	ledger(id, src, dst, amount, note)  ids 1, 2, 3 ... one commit each; it explains every balance
//	bulk(batch, seq, payload)        whole batches come, change and go
//	churn(batch, seq)                replaced as a whole
type load struct {
	opts  OwnerOptions
	db    *sql.DB
	rand  *rand.Rand
	id    int64
	batch int64
}

func (l *load) setUp() error {
	stmts := append([]string{
		"SET checkpoint_threshold = '" + l.opts.CheckpointThreshold + "'",
		"CREATE TABLE IF NOT EXISTS accounts(id INTEGER, balance BIGINT)",
		fmt.Sprintf("INSERT INTO accounts SELECT range, %d FROM range(%d) WHERE (SELECT count(*) FROM accounts) = 0", initialBalance, l.opts.Accounts),
		"CREATE TABLE IF NOT EXISTS ledger(id BIGINT, src INTEGER, dst INTEGER, amount BIGINT, note VARCHAR)",
		"CREATE TABLE IF NOT EXISTS bulk(batch BIGINT, seq BIGINT, payload VARCHAR)",
		"CREATE TABLE IF NOT EXISTS churn(batch BIGINT, seq BIGINT)",
	}, l.opts.Setup...)
	for _, stmt := range stmts {
		if _, err := l.db.Exec(stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return l.db.QueryRow("SELECT (SELECT coalesce(max(id), 0) FROM ledger), (SELECT coalesce(max(batch), 0) FROM bulk)").Scan(&l.id, &l.batch)
}

func (l *load) step() error {
	if err := l.transfer(); err != nil {
		return fmt.Errorf("transfer %d: %w", l.id, err)
	}
	if err := report("commit", l.id); err != nil {
		return err
	}
	if l.opts.BulkEvery > 0 && l.id%int64(l.opts.BulkEvery) == 0 {
		if err := l.bulk(); err != nil {
			return fmt.Errorf("batch %d: %w", l.batch, err)
		}
	}
	if l.opts.CheckpointEvery > 0 && l.id%int64(l.opts.CheckpointEvery) == 0 {
		// A transaction of the statement before may still hold it off.
		if _, err := l.db.Exec("CHECKPOINT"); err != nil && !strings.Contains(err.Error(), "Cannot CHECKPOINT") {
			return err
		}
	}
	return nil
}

func (l *load) transfer() error {
	l.id++
	src, dst, amount := l.rand.IntN(l.opts.Accounts), l.rand.IntN(l.opts.Accounts), l.rand.IntN(100)
	return l.atomically(
		fmt.Sprintf("UPDATE accounts SET balance = balance - %d WHERE id = %d", amount, src),
		fmt.Sprintf("UPDATE accounts SET balance = balance + %d WHERE id = %d", amount, dst),
		fmt.Sprintf("INSERT INTO ledger VALUES (%d, %d, %d, %d, repeat('note %d ', %d))", l.id, src, dst, amount, l.id, l.rand.IntN(20)),
	)
}

// bulk adds a batch and then, in turn, changes an old one, deletes the oldest
// or replaces a table.
func (l *load) bulk() error {
	l.batch++
	rows := l.opts.BulkRows
	if err := l.atomically(fmt.Sprintf("INSERT INTO bulk SELECT %d, range, md5(range::VARCHAR) FROM range(%d)", l.batch, rows)); err != nil {
		return err
	}
	stmts := []string{fmt.Sprintf("DELETE FROM bulk WHERE batch <= %d", l.batch-int64(l.opts.KeepBatches))}
	switch l.batch % 3 {
	case 0:
		stmts = append(stmts, fmt.Sprintf("UPDATE bulk SET payload = md5(payload) WHERE batch = %d", l.batch-1))
	case 1:
		stmts = append(stmts, fmt.Sprintf("CREATE OR REPLACE TABLE churn AS SELECT %d::BIGINT AS batch, range AS seq FROM range(%d)", l.batch, rows))
	}
	return l.atomically(stmts...)
}

func (l *load) atomically(stmts ...string) error {
	tx, err := l.db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	for _, stmt := range stmts {
		if _, err := tx.Exec(stmt); err != nil {
			_ = tx.Rollback()
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return tx.Commit()
}
