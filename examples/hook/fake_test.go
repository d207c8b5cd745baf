package hook

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// engine stands for DuckDB: transactions, the checkpoint that they keep off,
// and a record of every statement, with the number of its connection.
type engine struct {
	mu        sync.Mutex
	conns     int
	log       []string
	holding   map[int]bool // connections whose transaction created a table
	committed int          // tables that were left behind
	fail      map[string]error
	block     map[string]chan struct{} // a statement with this prefix waits for the channel, or its context
	started   chan string              // a statement that waits
	databases int
}

func newEngine() *engine {
	return &engine{holding: map[int]bool{}, fail: map[string]error{}, block: map[string]chan struct{}{}, started: make(chan string, 10), databases: 1}
}

func (e *engine) pool(t *testing.T) *sql.DB {
	db := sql.OpenDB(e)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.committed > 0 || len(e.holding) > 0 {
			t.Errorf("%d tables are left behind, and %d transactions open", e.committed, len(e.holding))
		}
	})
	return db
}

func (e *engine) statements() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.log...)
}

func (e *engine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *engine) Connect(context.Context) (driver.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns++
	return &conn{e: e, id: e.conns}, nil
}

func (e *engine) Driver() driver.Driver { return nil }

type conn struct {
	e     *engine
	id    int
	begun bool
}

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not used") }
func (c *conn) Begin() (driver.Tx, error)           { return nil, errors.New("not used") }

func (c *conn) Close() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	delete(c.e.holding, c.id)
	c.e.log = append(c.e.log, fmt.Sprintf("%d closed", c.id))
	return nil
}

func (c *conn) ExecContext(ctx context.Context, statement string, _ []driver.NamedValue) (driver.Result, error) {
	c.e.mu.Lock()
	c.e.log = append(c.e.log, fmt.Sprintf("%d %s", c.id, statement))
	var wait chan struct{}
	var fail error
	for prefix := range c.e.block {
		if strings.HasPrefix(statement, prefix) {
			wait = c.e.block[prefix]
		}
	}
	for prefix := range c.e.fail {
		if strings.HasPrefix(statement, prefix) {
			fail = c.e.fail[prefix]
		}
	}
	c.e.mu.Unlock()
	if wait != nil {
		c.e.started <- statement
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fail != nil {
		return nil, fail
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return driver.ResultNoRows, c.do(statement)
}

func (c *conn) do(statement string) error {
	switch verb, _, _ := strings.Cut(statement, " "); verb {
	case "BEGIN":
		c.begun = true
	case "CREATE":
		if !c.begun {
			c.e.committed++
		}
		c.e.holding[c.id] = true
	case "ROLLBACK":
		if !c.begun {
			return errors.New("cannot rollback - no transaction is active")
		}
		c.begun = false
		delete(c.e.holding, c.id)
	case "CHECKPOINT":
		if len(c.e.holding) > 0 {
			return errors.New("Cannot CHECKPOINT: there are other write transactions active")
		}
	default:
		return fmt.Errorf("the test knows no %s", verb)
	}
	return nil
}

func (c *conn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if strings.Contains(query, "version()") {
		return &rows{{"v1.5.6"}}, nil
	}
	return &rows{{int64(c.e.databases), `sh"op`}}, nil
}

type rows [][]driver.Value

func (r *rows) Columns() []string { return make([]string, len((*r)[0])) }
func (r *rows) Close() error      { return nil }
func (r *rows) Next(dest []driver.Value) error {
	if len(*r) == 0 {
		return io.EOF
	}
	copy(dest, (*r)[0])
	*r = (*r)[1:]
	return nil
}
