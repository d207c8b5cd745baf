package hook

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// rollbackWait bounds the ROLLBACK of a hold, which has nothing to undo.
const rollbackWait = 30 * time.Second

// hold is a transaction that keeps checkpoints off. Its fields are guarded by
// the Hook's mu; conn is used by whoever took the hold out of the Hook.
type hold struct {
	token    string
	begun    bool
	since    time.Time
	deadline time.Time
	cancel   context.CancelFunc // of the beginning
	timer    *time.Timer        // ends it at the deadline
	conn     *sql.Conn
	open     bool // a transaction was begun on conn
}

// begin returns once no checkpoint runs and none can start. The hold lasts
// until it is ended, for the given time at most. It is given up where ctx ends
// first, since then nobody knows of it.
func (h *Hook) begin(ctx context.Context, token string, lasts time.Duration) (version string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &hold{token: token, cancel: cancel}
	h.mu.Lock()
	if h.active != nil {
		h.mu.Unlock()
		return "", refuse(http.StatusConflict, "another hold is active")
	}
	h.active = a
	h.mu.Unlock()
	version, err = h.acquire(ctx, a)

	h.mu.Lock()
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("the hold was given up before it had begun: %w", ctx.Err())
	}
	if err != nil {
		h.active = nil
		h.mu.Unlock()
		return "", errors.Join(err, a.release())
	}
	defer h.mu.Unlock()
	a.begun, a.since = true, time.Now()
	a.deadline = a.since.Add(lasts)
	a.timer = time.AfterFunc(lasts, func() { h.expire(a) })
	return version, nil
}

// acquire opens the transaction. Where it fails, a.conn may be set.
func (h *Hook) acquire(ctx context.Context, a *hold) (version string, err error) {
	if h.db.Stats().MaxOpenConnections == 1 {
		return "", refuse(http.StatusServiceUnavailable, "the pool is of one connection, and a hold would leave none to the service")
	}
	ctx, cancel := context.WithTimeout(ctx, h.options.Wait)
	defer cancel()
	if a.conn, err = h.connect(ctx); err != nil {
		return "", err
	}
	if version, err = h.engineVersion(ctx, a.conn); err != nil {
		return "", err
	}
	catalog, err := h.catalog(ctx, a.conn)
	if err != nil {
		return "", err
	}
	// The transaction must outlive ctx, so that it is not a sql.Tx.
	a.open = true
	if _, err = a.conn.ExecContext(ctx, "BEGIN TRANSACTION"); err != nil {
		return "", fmt.Errorf("begin: %w", err)
	}
	if _, err = a.conn.ExecContext(ctx, "CREATE TABLE "+catalog+".main.__canvasback_hold_"+a.token+"(i INTEGER)"); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", refuse(http.StatusServiceUnavailable, "the hold could not begin within %s: %v", h.options.Wait, err)
		}
		return "", fmt.Errorf("create the table of the hold: %w", err)
	}
	return version, nil
}

// end ends the hold and returns nil only if it was in force until then.
func (h *Hook) end(token string) error {
	h.mu.Lock()
	a := h.active
	switch {
	case a == nil || a.token != token:
		text := "no such hold"
		if h.last.token == token {
			text = "that hold is over: " + h.lastEnd
		}
		h.mu.Unlock()
		return refuse(http.StatusGone, "%s", text)
	case !a.begun:
		a.cancel()
		h.mu.Unlock()
		return refuse(http.StatusGone, "that hold had not begun")
	}
	h.take(a, "it was ended")
	h.mu.Unlock()
	if err := a.release(); err != nil {
		return refuse(http.StatusGone, "%v", err)
	}
	return nil
}

// expire ends the hold at its deadline, unless it has ended.
func (h *Hook) expire(a *hold) {
	h.mu.Lock()
	if h.active != a {
		h.mu.Unlock()
		return
	}
	h.take(a, "it expired at "+a.deadline.UTC().Format(time.RFC3339))
	h.calls.Add(1) // take would not have found it after Close
	h.mu.Unlock()
	defer h.calls.Done()
	if err := a.release(); err != nil {
		h.mu.Lock()
		h.lastEnd += ", and " + err.Error()
		h.mu.Unlock()
	}
}

// take takes a begun hold out of the Hook, for its caller to release. mu must
// be held.
func (h *Hook) take(a *hold, how string) {
	a.timer.Stop()
	h.active, h.last, h.lastEnd = nil, hold{token: a.token}, how
}

// release rolls back on the hold's own connection and gives it back to the
// pool. A connection that cannot roll back is closed instead, which ends
// whatever it had open.
func (a *hold) release() error {
	if a.conn == nil {
		return nil
	}
	if !a.open {
		return a.conn.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWait)
	defer cancel()
	if _, err := a.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = a.conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = a.conn.Close()
		return fmt.Errorf("the hold could not be rolled back: %w", err)
	}
	return a.conn.Close()
}
