package writer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	// floodsKept is how many batches of the second connection stay.
	floodsKept = 2
	// floodValue is a number of 52 bits that hardly compresses, made of the
	// row i and the batch.
	floodValue = `i * 2654435761 %% 4294967291 * 1048573 + %d`
)

// flood writes batches on a connection of its own until ctx ends. From about
// 120,000 rows on the engine writes them to free blocks of the file while the
// statement runs, and checkpoints of the other connection do not hold it up.
// Every third batch is rolled back, or all are.
func flood(ctx context.Context, db *sql.DB, s shape) (err error) {
	if s.flood == 0 {
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	second := session{conn}
	var batch int64
	if err := second.numbers(`SELECT coalesce(max(id), 0) FROM floods`, &batch); err != nil {
		return err
	}
	for ctx.Err() == nil {
		batch++
		if err := second.floodOnce(batch, s.flood, s.rollBack || batch%3 == 0); err != nil {
			return fmt.Errorf("batch %d of the second connection: %w", batch, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.calm):
		}
	}
	return nil
}

func (s session) floodOnce(batch, rows int64, rollBack bool) error {
	insert := fmt.Sprintf(`INSERT INTO flood SELECT %d, i, `+floodValue+` FROM range(%d) t(i)`, batch, batch, rows)
	if rollBack {
		return s.transactions(`BEGIN TRANSACTION`, insert, `ROLLBACK`)
	}
	return s.transaction(
		insert,
		fmt.Sprintf(`INSERT INTO floods SELECT %d, count(*), sum(value %% 1009)::BIGINT FROM flood WHERE batch = %d`, batch, batch),
		fmt.Sprintf(`DELETE FROM flood WHERE batch <= %d`, batch-floodsKept),
		fmt.Sprintf(`DELETE FROM floods WHERE id <= %d`, batch-floodsKept),
	)
}
