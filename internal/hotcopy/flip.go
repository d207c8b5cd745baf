package hotcopy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"canvasback/internal/duckfile"
)

// flipWindow bounds, as does a quarter of what the header before has lived, the
// time from a header change to the last read of a block that is new since the
// pass before: assumption A8.
const flipWindow = 250 * time.Millisecond

// watchEvery is the time between two looks at the headers while a change of
// them is waited for.
const watchEvery = time.Millisecond

// usage is which blocks a header uses.
type usage struct {
	iteration uint64
	free      *duckfile.FreeList
	count     int64
}

func (u *usage) uses(id int64) bool { return id < u.count && !u.free.IsFree(id) }

func (p *pass) usage() *usage {
	cur := p.view.head.Current()
	return &usage{iteration: cur.Iteration, free: p.free, count: cur.BlockCount}
}

// headerChange is a header change that was watched: the header before was seen
// until at, after it had been there for life or longer.
type headerChange struct {
	at   time.Time
	life time.Duration
}

// watch sleeps, looking at the headers all the while once passes were lost to
// their changes, and returns early when they change.
func (c *copier) watch(ctx context.Context, p *pass, d time.Duration) error {
	if c.lostWaits == 0 {
		return c.o.sleep(ctx, d)
	}
	now := c.buf[:duckfile.BlocksStart]
	for start := c.o.clock.Now(); c.o.since(start) < d; {
		looked := c.o.clock.Now()
		n, err := c.src.db.ReadAt(now, 0)
		if err != nil && err != io.EOF {
			return sourceError(c.src.path, err)
		}
		if !bytes.Equal(now[:n], p.view.head.Raw[:]) {
			return nil
		}
		p.seen = looked
		if err := c.o.sleep(ctx, watchEvery); err != nil {
			return err
		}
	}
	return nil
}

// changed notes that a pass that waited was ended by a header change.
func (c *copier) changed(p *pass) {
	c.lostWaits++
	c.change = nil
	if !p.seen.IsZero() {
		c.change = &headerChange{at: p.seen, life: p.seen.Sub(p.Began)}
	}
}

// atChange makes p a pass that began at a header change, if it is one.
func (c *copier) atChange(p *pass, ch *headerChange) {
	if ch == nil || c.hold.active || p.stalled != quiet || p.RowGroups || p.opaque() {
		return
	}
	p.flipped, p.window = ch.at, min(flipWindow, ch.life/4)
	if c.before != nil && c.before.iteration+1 == p.view.head.Current().Iteration {
		p.before, p.fresh = c.before, map[int64]bool{}
	}
}

// mark notes a block of which no read before the header change is known that
// agrees with the one after it.
func (p *pass) mark(id int64, at time.Time) {
	p.freshAt = at
	if p.fresh != nil {
		p.fresh[id] = true
	}
}

// copyYoung reads the blocks that are likely to be new before all others, one
// by one, so that they are read right after the header change: those that were
// free before it, and those of metadata, which are rewritten in place.
func (c *copier) copyYoung(ctx context.Context, p *pass) error {
	for id := range p.Limit {
		if !p.uses(id) || p.before.uses(id) && !p.metadata(id) {
			continue
		}
		if err := c.copyRun(ctx, p, run{id, 1, true}); err != nil {
			return err
		}
		if !p.before.uses(id) {
			p.mark(id, c.o.clock.Now())
		}
	}
	return nil
}

func (p *pass) metadata(id int64) bool {
	_, is := slices.BinarySearchFunc(p.free.Meta, id, func(m duckfile.MetaBlock, id int64) int { return cmp.Compare(m.ID, id) })
	return is
}

// bySuccessor accepts a pass whose header N has meanwhile been followed by N+1.
// Only blocks that N+1 does not use were handed on by its checkpoint, and only
// these can have been overwritten before its header appeared. Where every one
// of them was also read under header N-1, which used it too, with the same
// content, nothing that the copy holds can be wrong, however long the owner's
// sync took.
func (c *copier) bySuccessor(ctx context.Context, p *pass, v *verdict) bool {
	if p.stalled != quiet || p.RowGroups || p.opaque() || p.cloned {
		return false
	}
	next, err := c.src.look(ctx, &c.o)
	if err != nil {
		return false
	}
	head := next.head
	free, err := duckfile.ReadFreeList(c.src.db, head)
	if errors.Join(err, next.close()) != nil || head.Current().Iteration != p.view.head.Current().Iteration+1 {
		return false
	}
	after, err := c.src.headers(ctx, &c.o)
	if err != nil || !bytes.Equal(after.Raw[:], head.Raw[:]) {
		return false // the list may have been overwritten
	}
	n, freed := &usage{count: head.Current().BlockCount, free: free}, 0
	for id := range p.Limit {
		if !p.uses(id) || n.uses(id) {
			continue
		}
		freed++
		if (p.before == nil || !p.before.uses(id) || p.fresh[id]) && !c.o.skips(withoutFreed) {
			return false
		}
	}
	v.byC("succeeded", "the next header freed no block of this one that had not been read, with the same content, before this one was written")
	v.say("blocks_freed_by_the_next_header", strconv.Itoa(freed))
	p.lastLook = head
	v.say("headers_after", headerBytes(head))
	return true
}

// byFlip accepts a pass that began at a header change, under the header that it
// began with. A block that a read after the change found as one under the header
// before it was right at the change. The rest was read within the window.
// Everything is read once more, so that blocks that were handed on since do not
// pass.
func (c *copier) byFlip(ctx context.Context, p *pass, v *verdict) error {
	window := max(0, p.freshAt.Sub(p.flipped))
	if window > p.window {
		return c.byWaiting(ctx, p, v)
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
	stopped, err := c.stopped()
	if err != nil {
		return err
	}
	switch {
	case e.underWay:
		return moving(movedCheckpoint, "a checkpoint of %s began during the copy", c.src.path)
	case stopped != "":
		return c.byWaiting(ctx, p, v)
	}
	v.byC("flip", "the copy began at a header change, and two reads of every block, one of them before the change or right after it, agree")
	v.say("blocks_new_since_the_pass_before", strconv.Itoa(len(p.fresh)))
	v.say("new_blocks_read_within", window.Round(time.Microsecond).String())
	v.say("allowed", p.window.Round(time.Microsecond).String())
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
		c.report(p, "compare", done, p.total)
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
