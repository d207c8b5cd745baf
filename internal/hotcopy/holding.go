package hotcopy

import (
	"context"
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
	lost    error // why it is not asked again; nil: nothing is wrong
	skips   bool  // tests: a failed release is passed over
}

// begin asks the owner for a hold, unless there is no way to or it was in vain
// before.
func (h *holding) begin(ctx context.Context, o *Options) error {
	if o.Hold == nil || h.lost != nil {
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

// drop ends the hold of a pass that is not accepted by it. The owner's deadline
// stands behind a failure, so that it only means not to ask again.
func (h *holding) drop(ctx context.Context) error {
	if !h.active {
		return nil
	}
	if err := h.end(ctx); err != nil && h.lost == nil {
		h.lost = failure.Errorf(failure.Hook, "the hold could not be ended: %w", err)
		if h.needed {
			return h.lost
		}
	}
	return nil
}

// confirm ends the hold after the final check of a pass. True: the pass was
// under it from its first look on.
func (h *holding) confirm(ctx context.Context, path string) (bool, error) {
	if !h.active {
		return false, nil
	}
	err := h.end(ctx)
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
