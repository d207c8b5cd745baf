package hotcopy

import (
	"context"
	"errors"
	"time"
)

// simHold is an owner that keeps checkpoints off on request, but not longer
// than it wants to.
type simHold struct {
	s     *sim
	owner **engine // changes when a new process takes over
	held  *engine
	short bool
	begun int // holds, the last of them the one in force
}

var errHold = errors.New("the hold is over")

// Begin returns when no checkpoint runs and none can begin.
func (h *simHold) Begin(context.Context) (Held, error) {
	e := *h.owner
	h.begun++
	this := h.begun
	for limit := h.s.now + 2*time.Second; e.running && !e.dead; h.s.advance(h.s.dur(time.Millisecond)) {
		if h.s.now > limit {
			return Held{}, errHold
		}
	}
	if e.dead || h.s.chance(10) {
		return Held{}, errHold
	}
	h.s.logf("copy", "holds checkpoints off")
	e.held, h.held = true, e
	deadline := h.s.scale(10*time.Millisecond, 20*time.Second)
	if h.short {
		deadline = h.s.scale(time.Millisecond, 200*time.Millisecond)
	}
	h.s.spawn("hold", func(th *thread) {
		th.wait(deadline)
		if this == h.begun {
			h.drop()
		}
	})
	return Held{Token: "simulated"}, nil
}

// drop ends the hold without being asked.
func (h *simHold) drop() {
	if h.held != nil {
		h.s.logf("owner", "gives the hold up")
		h.held.held = false
		h.held = nil
	}
}

// End says whether the hold was in force until now.
func (h *simHold) End(context.Context) error {
	if h.held == nil {
		return errHold
	}
	e := h.held
	h.held, e.held = nil, false
	if e.dead {
		return errHold
	}
	h.s.logf("copy", "ends the hold")
	return nil
}
