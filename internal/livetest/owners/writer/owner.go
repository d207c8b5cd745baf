package writer

import (
	"database/sql"
	"fmt"
)

const (
	accounts    = 100
	batchRows   = 20_000
	batchesKept = 15
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
	fmt.Sprintf(`INSERT INTO accounts SELECT i, 1000 FROM range(%d) t(i)`, accounts),
	`INSERT INTO counters VALUES ('deleted', 0)`,
	`INSERT INTO notes SELECT i, 'note ' || i FROM range(1000) t(i)`,
}

// owner is the writer's state. What holds in every committed state: ledger and
// orders have the ids 1..id without a gap (deleted orders are counted), a
// balance is the sum of the amounts up to it, transfers keep the total of all
// accounts, and a batch has the rows and the sum that it says.
type owner struct {
	db      *sql.DB
	id      int64
	balance int64
	batch   int64
	column  bool // notes has its extra column
	index   bool // batches has its index
}

func (o *owner) prepare(threshold string) error {
	settings := []string{
		`SET threads = 1`,
		fmt.Sprintf(`SET checkpoint_threshold = '%s'`, threshold),
	}
	return o.transactions(append(settings, schema...)...)
}

// step commits the next ledger entry, and now and then something larger.
func (o *owner) step() error {
	if err := o.entry(); err != nil {
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
		{97, o.alter},
		{250, func() error { return o.transactions(`CHECKPOINT`) }},
	} {
		if o.id%chore.every == 0 {
			if err := chore.do(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *owner) entry() error {
	id := o.id + 1
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
	o.id, o.balance = id, o.balance+amount
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
	return o.transactions(fmt.Sprintf(`UPDATE orders SET status = 'shipped', note = note || '.' WHERE id > %d AND id %% 3 = 0`, o.id-40))
}

func (o *owner) archive() error {
	upto := o.id - 500
	return o.transaction(
		fmt.Sprintf(`UPDATE counters SET value = value + (SELECT count(*) FROM orders WHERE id <= %d) WHERE name = 'deleted'`, upto),
		fmt.Sprintf(`DELETE FROM orders WHERE id <= %d`, upto),
	)
}

func (o *owner) buildIndex() error {
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

func (o *owner) alter() error {
	statement := `ALTER TABLE notes ADD COLUMN extra INTEGER DEFAULT 7`
	if o.column {
		statement = `ALTER TABLE notes DROP COLUMN extra`
	}
	o.column = !o.column
	return o.transactions(statement)
}

// transactions runs each statement as a transaction of its own.
func (o *owner) transactions(statements ...string) error {
	for _, statement := range statements {
		if _, err := o.db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// transaction runs all statements in one.
func (o *owner) transaction(statements ...string) error {
	tx, err := o.db.Begin()
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := tx.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w (rollback: %v)", statement, err, tx.Rollback())
		}
	}
	return tx.Commit()
}
