package writer

import (
	"fmt"
	"sync/atomic"
)

const (
	accounts    = 100
	batchRows   = 20_000
	batchesKept = 6
	exchanges   = 4 // transactions in a row
	partRows    = 40_000
	partsKept   = 5
)

var schema = []string{
	`CREATE TABLE IF NOT EXISTS ledger(id BIGINT, account INTEGER, amount BIGINT, balance BIGINT)`,
	`CREATE TABLE IF NOT EXISTS orders(id BIGINT, account INTEGER, cents BIGINT, status VARCHAR, note VARCHAR)`,
	`CREATE TABLE IF NOT EXISTS accounts(id INTEGER, cents BIGINT)`,
	`CREATE TABLE IF NOT EXISTS counters(name VARCHAR, value BIGINT)`,
	`CREATE TABLE IF NOT EXISTS batches(id BIGINT, rows BIGINT, total BIGINT)`,
	`CREATE TABLE IF NOT EXISTS readings(batch BIGINT, i BIGINT, value BIGINT, tag VARCHAR)`,
	`CREATE TABLE IF NOT EXISTS summary(upto BIGINT, amount BIGINT)`,
	`CREATE TABLE IF NOT EXISTS notes(id BIGINT, text VARCHAR)`,
	`CREATE TABLE IF NOT EXISTS floods(id BIGINT, rows BIGINT, total BIGINT)`,
	`CREATE TABLE IF NOT EXISTS flood(batch BIGINT, i BIGINT, value BIGINT)`,
	fmt.Sprintf(`INSERT INTO accounts SELECT i, 1000 FROM range(%d) t(i) WHERE NOT EXISTS (FROM accounts)`, accounts),
	`INSERT INTO counters SELECT unnest(['deleted', 'stock']), 0 WHERE NOT EXISTS (FROM counters)`,
	`INSERT INTO notes(id, text) SELECT i, 'note ' || i FROM range(1000) t(i) WHERE NOT EXISTS (FROM notes)`,
}

// owner is the writer's state. What holds in every committed state: ledger and
// orders have the ids 1..committed without a gap (deleted orders are counted),
// a balance is the sum of the amounts up to it, transfers keep the total of all
// accounts, a batch has the rows and the sum that it says, and stock is there
// when its counter is not 0.
type owner struct {
	session
	shape
	committed atomic.Int64 // the last ledger entry
	balance   int64
	batch     int64
	part      int64 // the newest of large
	stock     bool  // stock is there
	column    bool  // notes has its extra column
	index     bool  // batches has its index
}

// prepare makes a new database ready or finds out where an old one stands.
func (o *owner) prepare() error {
	settings := []string{
		`SET threads = 1`,
		fmt.Sprintf(`SET checkpoint_threshold = '%s'`, o.threshold),
	}
	if o.flood > 0 {
		// Each row group goes to the file when it is complete, not by fives.
		settings = append(settings, `SET write_buffer_row_group_count = 1`)
	}
	if o.skipWAL >= 0 {
		settings = append(settings, fmt.Sprintf(`SET auto_checkpoint_skip_wal_threshold = %d`, o.skipWAL))
	}
	if err := o.transactions(append(settings, schema...)...); err != nil {
		return err
	}
	var id int64
	err := o.numbers(`SELECT (SELECT coalesce(max(id), 0) FROM ledger), (SELECT coalesce(sum(amount), 0)::BIGINT FROM ledger),
		(SELECT coalesce(max(id), 0) FROM batches), (SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'stock'),
		(SELECT count(*) > 0 FROM duckdb_columns() WHERE table_name = 'notes' AND column_name = 'extra'),
		(SELECT count(*) > 0 FROM duckdb_indexes() WHERE index_name = 'batches_id')`,
		&id, &o.balance, &o.batch, &o.stock, &o.column, &o.index)
	o.committed.Store(id)
	return err
}

// step commits the next ledger entry, and now and then something larger.
func (o *owner) step(lines *printer) error {
	if err := o.entry(); err != nil {
		return err
	}
	id := o.committed.Load()
	if err := lines.println(fmt.Sprint(id)); err != nil {
		return err
	}
	for _, chore := range []struct {
		every int64
		do    func() error
	}{
		{25, o.bulk},
		{11, o.ship},
		{13, o.archive},
		{37, o.buildIndex},
		{60, o.summarise},
		{83, o.restock},
		{97, o.alter},
		{250, o.checkpoint},
		{o.exchangeEvery, o.exchange},
	} {
		if chore.every > 0 && id%chore.every == 0 {
			if err := chore.do(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *owner) entry() error {
	id := o.committed.Load() + 1
	amount := id*7919%1000 - 300
	from, to := id%accounts, (id*31+7)%accounts
	err := o.transaction(
		fmt.Sprintf(`INSERT INTO ledger VALUES (%d, %d, %d, %d)`, id, from, amount, o.balance+amount),
		fmt.Sprintf(`INSERT INTO orders VALUES (%d, %d, %d, 'new', 'order ' || %d)`, id, from, amount, id),
		fmt.Sprintf(`UPDATE accounts SET cents = cents - 5 WHERE id = %d`, from),
		fmt.Sprintf(`UPDATE accounts SET cents = cents + 5 WHERE id = %d`, to),
	)
	if err != nil {
		return err
	}
	o.balance += amount
	o.committed.Store(id)
	return nil
}

func (o *owner) bulk() error {
	o.batch++
	return o.transaction(
		fmt.Sprintf(`INSERT INTO readings SELECT %d, i, (i * %d) %% 1009, md5(i::VARCHAR || '-' || %d) FROM range(%d) t(i)`, o.batch, o.batch, o.batch, batchRows),
		fmt.Sprintf(`INSERT INTO batches SELECT %d, count(*), sum(value)::BIGINT FROM readings WHERE batch = %d`, o.batch, o.batch),
		fmt.Sprintf(`DELETE FROM readings WHERE batch <= %d`, o.batch-batchesKept),
		fmt.Sprintf(`DELETE FROM batches WHERE id <= %d`, o.batch-batchesKept),
	)
}

func (o *owner) ship() error {
	return o.transactions(fmt.Sprintf(`UPDATE orders SET status = 'shipped', note = note || '.' WHERE id > %d AND id %% 3 = 0`, o.committed.Load()-40))
}

func (o *owner) archive() error {
	upto := o.committed.Load() - 500
	return o.transaction(
		fmt.Sprintf(`UPDATE counters SET value = value + (SELECT count(*) FROM orders WHERE id <= %d) WHERE name = 'deleted'`, upto),
		fmt.Sprintf(`DELETE FROM orders WHERE id <= %d`, upto),
	)
}

// buildIndex makes or drops an index. It does not where holds may be asked for,
// since DuckDB invalidates the database, or loses deletes, where that happens
// beside an older transaction.
func (o *owner) buildIndex() error {
	if o.hook != "" {
		return nil
	}
	statement := `CREATE INDEX batches_id ON batches(id)`
	if o.index {
		statement = `DROP INDEX batches_id`
	}
	o.index = !o.index
	return o.transactions(statement)
}

func (o *owner) summarise() error {
	return o.transactions(`CREATE OR REPLACE TABLE summary AS SELECT max(id) AS upto, sum(amount)::BIGINT AS amount FROM ledger`)
}

// restock makes the table stock and counts its rows, or drops it.
func (o *owner) restock() error {
	statements := []string{`DROP TABLE stock`, `UPDATE counters SET value = 0 WHERE name = 'stock'`}
	if !o.stock {
		rows := 5000 + o.committed.Load()%100
		statements = []string{
			fmt.Sprintf(`CREATE TABLE stock AS SELECT i AS id, i * 31 %% 997 AS pieces FROM range(%d) t(i)`, rows),
			fmt.Sprintf(`UPDATE counters SET value = %d WHERE name = 'stock'`, rows),
		}
	}
	o.stock = !o.stock
	return o.transaction(statements...)
}

func (o *owner) alter() error {
	statement := `ALTER TABLE notes ADD COLUMN extra INTEGER DEFAULT 7`
	if o.column {
		statement = `ALTER TABLE notes DROP COLUMN extra`
	}
	o.column = !o.column
	return o.transactions(statement)
}

// exchange folds the WAL and then, in one transaction each, takes away the
// oldest rows of a large table with an index and adds as many. From DuckDB 1.5
// on such a commit is a checkpoint beside another connection that inserts, and
// with nothing in the WAL none that a marker announces. It gives up the blocks
// of the index, of which the new keys touch each.
func (o *owner) exchange() error {
	if err := o.transactions(`CREATE TABLE IF NOT EXISTS large(i BIGINT PRIMARY KEY, part BIGINT, value BIGINT)`); err != nil {
		return err
	}
	if err := o.checkpoint(); err != nil {
		return err
	}
	for range exchanges {
		o.part++
		err := o.transaction(
			fmt.Sprintf(`DELETE FROM large WHERE part <= %d`, o.part-partsKept),
			fmt.Sprintf(`INSERT INTO large SELECT i * 1000 + %d, %d, `+floodValue+` FROM range(%d) t(i)`, o.part%1000, o.part, o.part, partRows),
		)
		if err != nil {
			return err
		}
	}
	return nil
}
