package hotcopy

import (
	"context"
	"errors"
	"time"

	"canvasback/internal/failure"
)

// releaseTime bounds the release of a hold that nobody waits for any more.
const releaseTime = time.Minute

// holding is what a copy knows of its hold.
type holding struct {
	hook    Hold
	needed  bool
	active  bool
	held    Held
	version string // what the owner said of its engine, now or before
	since   time.Time
	pid     int   // of the process that had the database open when the hold began; 0: it is not seen
	lost    error // why it is not asked again; nil: nothing is wrong
	skips   bool  // tests: a failed release is passed over
}

// begin asks the owner for a hold, unless there is no way to or it was in vain
// before.
func (h *holding) begin(ctx context.Context, o *Options, src *source) error {
	switch {
	case o.Hold == nil:
		return nil
	case h.lost != nil && o.HoldRequired:
		return h.lost
	case h.lost != nil:
		return nil
	}
	h.hook, h.needed, h.skips = o.Hold, o.HoldRequired, o.skips(withoutRelease)
	o.Progress(Progress{Phase: "hold"})
	h.active = true // also where Begin fails: the owner may hold on all the same
	held, err := h.hook.Begin(ctx)
	if err != nil {
		h.lost = failure.Errorf(failure.Hook, "the owner of %s does not hold its checkpoints: %w", o.Path, err)
		_ = h.end(ctx) // in case it holds on; an owner that does not says so
		if h.needed || ctx.Err() != nil {
			return h.lost
		}
		return nil
	}
	h.held, h.since = held, o.clock.Now()
	if h.pid, _, err = src.db.LockOwner(); err != nil {
		_ = h.end(ctx)
		return sourceError(src.path, err)
	}
	if held.EngineVersion != "" {
		h.version = held.EngineVersion
	}
	return nil
}

// end ends an active hold. Nil means that it was in force until now.
func (h *holding) end(ctx context.Context) error {
	h.active = false
	// The hold must not outlive the copy because the copy was cancelled.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	return h.hook.End(ctx)
}

// drop ends the hold of a pass that was lost, or not accepted by it. The owner's
// deadline stands behind a failure, so that it only means not to ask again. Nor
// is an owner asked again that checkpointed under its own hold.
func (h *holding) drop(ctx context.Context, why error) error {
	if !h.active {
		return nil
	}
	err := h.end(ctx)
	m, moved := errors.AsType[*movement](why)
	switch {
	case err != nil:
		h.lost = failure.Errorf(failure.Hook, "the hold could not be ended: %w", err)
	case moved && (m.what == movedHeader || m.what == movedCheckpoint):
		h.lost = failure.Errorf(failure.Hook, "the owner checkpointed although it said that it held its checkpoints off: %w", why)
	default:
		return nil
	}
	if h.needed {
		return h.lost
	}
	return nil
}

// speaksOf says whether what the hook said is about the process that has the
// database open now.
func (h *holding) speaksOf(src *source) bool {
	pid, held, err := src.db.LockOwner()
	return err == nil && held && pid != 0 && pid == h.pid
}

// confirm ends the hold after the final check of a pass. True: the pass was
// under it from its first look on.
func (h *holding) confirm(ctx context.Context, src *source) (bool, error) {
	if !h.active {
		return false, nil
	}
	path := src.path
	err := h.end(ctx)
	if pid, _, lockErr := src.db.LockOwner(); err == nil && (lockErr != nil || pid != h.pid) {
		err = errors.Join(errors.New("another process has the database open than when it began"), lockErr)
	}
	if err == nil || h.skips {
		return true, nil
	}
	h.lost = failure.Errorf(failure.Hook, "the hold on the checkpoints of %s was not in force until the end: %w", path, err)
	if h.needed {
		return false, h.lost
	}
	return false, nil
}

// engineVersion is the owner's DuckDB as the operator, or else its own hook,
// says it; empty: unknown.
func (c *copier) engineVersion() string {
	if c.o.EngineVersion != "" {
		return c.o.EngineVersion
	}
	return c.hold.version
}
