package writer

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// session is one connection to the database.
type session struct{ conn *sql.Conn }

// transactions runs each statement as a transaction of its own.
func (s session) transactions(statements ...string) error {
	for _, statement := range statements {
		if _, err := s.conn.ExecContext(context.Background(), statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// transaction runs all statements in one.
func (s session) transaction(statements ...string) error {
	if err := s.transactions(`BEGIN TRANSACTION`); err != nil {
		return err
	}
	if err := s.transactions(statements...); err != nil {
		return fmt.Errorf("%w (rollback: %v)", err, s.transactions(`ROLLBACK`))
	}
	return s.transactions(`COMMIT`)
}

// checkpoint runs CHECKPOINT; that a transaction holds it off is no fault.
func (s session) checkpoint() error {
	if err := s.transactions(`CHECKPOINT`); err != nil && !strings.Contains(err.Error(), "Cannot CHECKPOINT") {
		return err
	}
	return nil
}

// numbers scans the single row of a query.
func (s session) numbers(query string, into ...any) error {
	if err := s.conn.QueryRowContext(context.Background(), query).Scan(into...); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}
