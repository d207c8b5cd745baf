package hook

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// rollbackWait bounds the ROLLBACK of a hold, which has nothing to undo.
const rollbackWait = 30 * time.Second

// hold keeps checkpoints off by a chain of transactions: before one is rolled
// back, a younger one has taken its place, so that none gets old. Its fields are
// guarded by the Hook's mu, except for those below turn.
type hold struct {
	token    string
	begun    bool
	since    time.Time
	deadline time.Time
	cancel   context.CancelFunc // of the beginning, and of renewals
	timer    *time.Timer        // ends it at the deadline
	renewal  *time.Timer        // begins the next link

	turn   sync.Mutex // locked before mu where both are; guards what follows
	links  int        // that were begun
	link   link       // the one in force
	broken error      // an older link could not be rolled back: the chain has a gap, for all that is known
}

// link is one transaction of a hold, on a connection of its own.
type link struct {
	conn *sql.Conn
	open bool // a transaction was begun on conn
}

// begin returns once no checkpoint runs and none can start. The hold lasts
// until it is ended, for the given time at most. It is given up where ctx ends
// first, since then nobody knows of it.
func (h *Hook) begin(ctx context.Context, token string, lasts time.Duration) (version string, err error) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	a := &hold{token: token, cancel: cancel}
	h.mu.Lock()
	if h.active != nil {
		h.mu.Unlock()
		stop()
		cancel()
		return "", refuse(http.StatusConflict, "another hold is active")
	}
	h.active = a
	h.mu.Unlock()
	version, err = h.acquire(lasting, a)

	h.mu.Lock()
	if !stop() && err == nil || err == nil && lasting.Err() != nil {
		err = errors.New("the hold was given up before it had begun")
	}
	if err != nil {
		h.active = nil
		h.mu.Unlock()
		cancel()
		return "", errors.Join(err, a.release())
	}
	defer h.mu.Unlock()
	a.begun, a.since = true, time.Now()
	a.deadline = a.since.Add(lasts)
	a.timer = time.AfterFunc(lasts, func() { h.expire(a) })
	a.renewal = time.AfterFunc(h.options.Renew, func() { h.renew(lasting, a) })
	return version, nil
}

// acquire opens the first link.
func (h *Hook) acquire(ctx context.Context, a *hold) (version string, err error) {
	if h.db.Stats().MaxOpenConnections == 1 {
		return "", refuse(http.StatusServiceUnavailable, "the pool is of one connection, and a hold would leave none to the service")
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	a.links = 1
	return h.open(ctx, &a.link, fmt.Sprintf("%s_%d", a.token, a.links))
}

// renew lets a younger transaction take the place of the hold's. The older one
// is rolled back after that; where it is not known to have been in force until
// then, the hold is broken. Where there can be no younger one, the older stays.
func (h *Hook) renew(ctx context.Context, a *hold) {
	h.mu.Lock()
	if h.active != a {
		h.mu.Unlock()
		return
	}
	h.calls.Add(1)
	h.mu.Unlock()
	defer h.calls.Done()
	a.turn.Lock()
	a.links++
	name := fmt.Sprintf("%s_%d", a.token, a.links)
	a.turn.Unlock()
	var other link
	_, err := h.open(ctx, &other, name)

	a.turn.Lock()
	defer a.turn.Unlock()
	h.mu.Lock()
	over := h.active != a
	h.mu.Unlock()
	replaced := err == nil && !over
	if replaced {
		a.link, other = other, a.link
	}
	if err := other.release(); err != nil && replaced {
		a.broken = err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active == a {
		a.renewal.Reset(h.options.Renew)
	}
}

// open opens a transaction that keeps checkpoints off. Where it fails, l is to
// be released all the same.
func (h *Hook) open(ctx context.Context, l *link, name string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Wait)
	defer cancel()
	if l.conn, err = h.connect(ctx); err != nil {
		return "", err
	}
	if version, err = h.engineVersion(ctx, l.conn); err != nil {
		return "", err
	}
	catalog, err := h.catalog(ctx, l.conn)
	if err != nil {
		return "", err
	}
	// The transaction must outlive ctx, so that it is not a sql.Tx.
	l.open = true
	if _, err = l.conn.ExecContext(ctx, "BEGIN TRANSACTION"); err != nil {
		return "", fmt.Errorf("begin: %w", err)
	}
	if _, err = l.conn.ExecContext(ctx, "CREATE TABLE "+catalog+".main.__canvasback_hold_"+name+"(i INTEGER)"); err != nil {
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
		if h.last == token {
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
	a.renewal.Stop()
	a.cancel()
	h.active, h.last, h.lastEnd = nil, a.token, how
}

// release ends the link in force, and waits for an older one that is being
// ended. Nil: there always was one in force, until now.
func (a *hold) release() error {
	a.turn.Lock()
	defer a.turn.Unlock()
	return errors.Join(a.broken, a.link.release())
}

// release rolls back on the link's own connection and gives it back to the
// pool. A connection that cannot roll back is closed instead, which ends
// whatever it had open.
func (l *link) release() error {
	if l.conn == nil {
		return nil
	}
	if !l.open {
		return l.conn.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWait)
	defer cancel()
	if _, err := l.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = l.conn.Close()
		return fmt.Errorf("the hold could not be rolled back: %w", err)
	}
	return l.conn.Close()
}
