package hotcopy

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
)

// flipWindow bounds the time from a header change to the last read of a block
// that is new since the pass before: assumption A8.
const flipWindow = 250 * time.Millisecond

// usage is which blocks a header uses.
type usage struct {
	free  *duckfile.FreeList
	count int64
}

func (u *usage) uses(id int64) bool { return id < u.count && !u.free.IsFree(id) }

// flip waits for the header to change and returns a time shortly before it did;
// the zero time means that it did not within the bound.
func (s *source) flip(ctx context.Context, o *Options, bound time.Duration) (time.Time, error) {
	start := o.clock.Now()
	first, err := s.headers(ctx, o)
	if err != nil {
		return time.Time{}, err
	}
	for last := start; o.since(start) < bound; {
		if err := o.sleep(ctx, time.Millisecond); err != nil {
			return time.Time{}, err
		}
		looked := o.clock.Now()
		now, err := s.headers(ctx, o)
		if err != nil {
			return time.Time{}, err
		}
		if !bytes.Equal(now.Raw[:], first.Raw[:]) {
			return last, nil // the change is not older than the look before
		}
		last = looked
	}
	return time.Time{}, nil
}

// young says whether a block is likely to be new since the pass before: it was
// free then, or it holds metadata, which is rewritten in place.
func (p *pass) young(id int64) bool {
	_, meta := slices.BinarySearchFunc(p.free.Meta, id, func(m duckfile.MetaBlock, id int64) int { return int(m.ID - id) })
	return meta || !p.before.uses(id)
}

// copyYoung reads the blocks that are likely to be new before all others, one
// by one, so that they are read right after the header change.
func (c *copier) copyYoung(ctx context.Context, p *pass) error {
	for id := range p.Limit {
		if !p.uses(id) || !p.young(id) {
			continue
		}
		if err := c.copyRun(ctx, p, run{id, 1, true}); err != nil {
			return err
		}
	}
	return nil
}

// byFlip accepts a pass that began at a header change. A block that a read
// after the change found as one before it had it was right at the change, when
// all blocks of the header are. The rest was read within the window. Everything
// is read once more, so that blocks that were handed on since do not pass.
func (c *copier) byFlip(ctx context.Context, p *pass, v *verdict) error {
	window := max(0, p.freshAt.Sub(p.flipped))
	if window > flipWindow {
		return moving(movedBlocks, "what is new in %s since the pass before was read until %s after the header change, which is too late", c.src.path, window.Round(time.Millisecond))
	}
	// A clone was made within the window as a whole.
	if !p.cloned && !c.o.skips(withoutCompare) {
		if err := c.compare(ctx, p); err != nil {
			return err
		}
	}
	e, err := c.check(ctx, p)
	if err != nil {
		return err
	}
	if c.byProof(p, e, v) {
		return nil
	}
	owner, err := c.process()
	if err != nil {
		return err
	}
	switch {
	case e.underWay:
		return moving(movedCheckpoint, "a checkpoint of %s began during the copy", c.src.path)
	case owner.Stopped != "":
		return failure.Errorf(failure.OwnerStopped, "the process %d that holds %s is %s", c.ownerPID, c.src.path, owner.Stopped)
	}
	v.byC("flip", "the copy began at a header change, and two reads of every block, one of them before the change or right after it, agree")
	v.say("blocks_new_since_the_pass_before", strconv.FormatInt(p.fresh, 10))
	v.say("new_blocks_read_within", window.Round(time.Millisecond).String())
	return nil
}

// compare reads all used blocks once more. They must be what was stored, apart
// from those parts of metadata blocks that the header does not use.
func (c *copier) compare(ctx context.Context, p *pass) error {
	a := p.view.head.Current().BlockAllocSize
	var done int64
	for id := int64(0); id < p.Limit; {
		r := p.nextRun(id)
		id += r.n
		if !r.used {
			continue
		}
		off := duckfile.BlockOffset(r.first, a)
		now, old := c.buf[:r.n*a], c.old[:r.n*a]
		if err := c.read(ctx, now, off); err != nil {
			return c.explain(ctx, p, sourceError(c.src.path, err))
		}
		if err := c.stage.read(old, off); err != nil {
			return err
		}
		for i := range r.n {
			if !p.same(r.first+i, now[i*a:(i+1)*a], old[i*a:(i+1)*a]) {
				return moving(movedBlocks, "block %d of %s changed while it was copied", r.first+i, c.src.path)
			}
		}
		done += r.n * a
		c.o.Progress(Progress{Phase: "compare", Attempt: p.Attempt, Done: done, Total: p.total})
	}
	return nil
}

// same says whether two reads of a block hold the same for the pass's header.
func (p *pass) same(id int64, now, old []byte) bool {
	if bytes.Equal(now, old) {
		return true
	}
	for _, m := range p.free.Meta {
		if m.ID == id {
			return sameUsedParts(p.view.head, now, old, m.FreeMask)
		}
	}
	return false
}

// sameUsedParts compares the sub-blocks that mask does not mark as free.
func sameUsedParts(h *duckfile.Headers, a, b []byte, mask uint64) bool {
	a, errA := h.Payload(nil, a)
	b, errB := h.Payload(nil, b)
	if errA != nil || errB != nil {
		return false
	}
	s := h.SubBlockSize()
	for k := range int64(64) {
		lo, hi := k*s, (k+1)*s
		if mask&(1<<k) == 0 && !bytes.Equal(a[lo:hi], b[lo:hi]) {
			return false
		}
	}
	return true
}
