package hotcopy

import (
	"slices"
	"time"

	"canvasback/internal/duckfile"
)

// plan is a checkpoint in the making.
type simPlan struct {
	image    logical
	root     uint64
	catalog  []uint64 // pointers of the sub-blocks
	written  uint64   // new data blocks
	obsolete uint64   // data blocks that it replaced
	skip     []change
	used     uint64
	unmarked bool // nothing in a WAL tells of it
}

// checkpoint writes the next header. With skip it carries a transaction that
// is in no WAL.
func (e *engine) checkpoint(th *thread, skip []change) {
	// A hold keeps the checkpoint off until it ends.
	th.until(func() bool { return !e.held })
	e.running = true
	if !e.k.concurrent || e.s.chance(25) {
		e.exclusive = true
		th.until(func() bool { return e.busy == 0 })
	}
	e.lockWAL(th)
	if marked := e.main.size > 0; marked || skip != nil {
		e.runCheckpoint(th, skip, marked)
	}
	e.walLock, e.exclusive, e.running, e.stage = false, false, false, noCheckpoint
}

// runCheckpoint is entered and left with the WAL locked.
func (e *engine) runCheckpoint(th *thread, skip []change, marked bool) {
	p := &simPlan{image: e.cur.clone(), skip: skip, unmarked: !marked}
	n := e.cur.rows[0] + 1
	if skip != nil {
		p.skip = append(skip, change{kind: entryRow, key: 0, val: n})
		p.obsolete |= applyTo(&p.image, p.skip)
	}
	th.logf("begins checkpoint %d, in the WAL: %v, past the WAL: %v", e.iteration+1, marked, skip != nil)
	p.catalog = e.allocSubs(len(appendCatalog(nil, &p.image)))
	p.root = p.catalog[0]
	if marked && e.k.concurrent {
		e.mark(th, p)
		e.switched, e.coming = true, e.iteration+1
	}
	held := skip != nil || !e.k.concurrent
	e.walLock = held
	e.compact(th, p)
	if marked && !e.k.concurrent {
		e.mark(th, p)
	}
	if e.k.keepsMarker && e.side.f == nil && e.s.chance(e.p.abort) {
		if !held {
			e.lockWAL(th)
		}
		if e.side.f == nil {
			e.abandon(th, p)
			return
		}
		held = true
	}
	e.writeHeader(th, p, n)
	e.truncate(th)
	if !held {
		e.lockWAL(th)
	}
	e.walLock = true
	e.stage = atWAL
	if marked {
		e.finishWAL(th)
	}
}

func (e *engine) mark(th *thread, p *simPlan) {
	e.stage = atMarker
	e.append(th, &e.main, "the marker", appendMarker(nil, p.root), nil)
	th.wait(e.s.dur(e.p.walSync))
}

// compact writes some segments anew.
func (e *engine) compact(th *thread, p *simPlan) {
	e.stage = atData
	th.wait(e.s.dur(e.p.think))
	for i := range p.image.segs {
		if seg := &p.image.segs[i]; e.s.chance(20) {
			id := e.alloc()
			fillSegment(th.buf[:], seg.id, seg.value)
			e.writeBlock(th, "compacted", id, th.buf[:])
			p.obsolete |= 1 << seg.block
			p.written |= 1 << id
			seg.block = id
		}
	}
}

// abandon is a checkpoint that fails after its marker, before its header. The
// process goes on.
func (e *engine) abandon(th *thread, p *simPlan) {
	th.logf("the checkpoint fails")
	e.free |= p.written
	e.rollback(th, p.skip)
	e.metas = slices.DeleteFunc(e.metas, func(m *metaBlock) bool {
		m.next = 0
		if m.used == 0 {
			e.free |= 1 << m.id
		}
		return m.used == 0
	})
	e.switched = false
}

// writeHeader writes metadata and header, and hands the blocks over that
// nothing needs any more.
func (e *engine) writeHeader(th *thread, p *simPlan, n uint64) {
	multi := []int64{}
	for _, s := range p.image.segs {
		if s.value%7 == 0 {
			multi = append(multi, s.block)
		}
	}
	room := 24 + 8*64 + 12*len(multi) + 16*(len(e.metas)+1)
	list := e.allocSubs(room)
	var gone uint64
	e.metas = slices.DeleteFunc(e.metas, func(m *metaBlock) bool {
		if m.next == 0 {
			gone |= 1 << m.id
		}
		return m.next == 0
	})
	used := uint64(0)
	for _, s := range p.image.segs {
		used |= 1 << s.block
	}
	masks := make([]simMeta, 0, len(e.metas))
	for _, m := range e.metas {
		used |= 1 << m.id
		masks = append(masks, simMeta{m.id, ^m.next})
	}
	p.used = used
	e.fillSubs(p.catalog, appendCatalog(nil, &p.image))
	e.fillSubs(list, appendFreeList(nil, ^used&(1<<e.max-1), multi, masks))
	header := e.f.slot(e.iteration+1, p.root, list[0], e.max)
	hand := func() {
		th.logf("hands the blocks %#x over", e.modified|p.obsolete|gone)
		e.free |= e.modified | p.obsolete | gone
		e.modified = 0
	}
	if e.k.early {
		if p.unmarked && !e.p.hasty {
			th.until(func() bool { return e.s.now-e.flippedAt > flipWindow+10*time.Millisecond })
		}
		hand()
		e.handed = e.s.now
	}
	e.stage = atMetadata
	for _, m := range e.metas {
		if m.dirty || e.k.allMeta {
			seal(m.img)
			e.writeBlock(th, "metadata", m.id, m.img)
		}
	}
	e.stage = atSync
	e.sync(th)
	e.stage = atHeader
	e.flipHeader(th, p, n, header)
	e.stage = atHeaderSync
	if e.p.hasty {
		th.wait(e.step())
	} else {
		e.sync(th)
	}
	if !e.k.early {
		hand()
	}
}

// flipHeader writes the slot that is not current.
func (e *engine) flipHeader(th *thread, p *simPlan, n uint64, header []byte) {
	off := int64(duckfile.HeaderSize * (2 - e.slot))
	seen := func() {
		e.iteration++
		e.slot = 1 - e.slot
		e.handed, e.flippedAt, e.needed = 0, e.s.now, p.used
		check0(e.db.Sync()) // the memory file system forgets what a crash could undo
		e.flips++
		for _, m := range e.metas {
			m.used, m.next, m.dirty = m.next, 0, false
		}
		if p.skip != nil {
			applyTo(&e.cur, p.skip)
		}
		e.relocate(p)
		if p.skip != nil {
			e.commits++
			e.s.publish(&e.cur)
			th.logf("commit %d is visible", n)
		}
	}
	cuts := []int{len(header)}
	if e.s.chance(50) {
		cuts = []int{8 * e.s.between(1, 8), len(header)}
	}
	for i, to := range cuts {
		th.wait(e.step())
		if p.skip != nil {
			e.s.begin(&p.image)
		}
		e.finish = func() {
			must(e.db.WriteAt(header, off))
			seen()
		}
		th.logf("writes header %d, %d bytes", e.iteration+1, to)
		must(e.db.WriteAt(header[:to], off))
		if i == len(cuts)-1 {
			e.finish = nil
			seen()
		}
	}
}

// relocate lets the committed state point to the blocks of the image.
func (e *engine) relocate(p *simPlan) {
	for _, s := range p.image.segs {
		if i, ok := e.cur.find(s.id); ok {
			e.cur.segs[i].block = s.block
		}
	}
}

// truncate cuts the free end of the file off.
func (e *engine) truncate(th *thread) {
	th.wait(e.step())
	for e.max > 0 && e.free>>(e.max-1)&1 != 0 {
		e.max--
		e.free &^= 1 << e.max
	}
	if size := duckfile.BlockOffset(e.max, simA); must(e.db.Stat()).Size > size {
		th.logf("cuts the file to %d blocks", e.max)
		check0(e.db.Truncate(size))
	}
}

// finishWAL removes the WAL that the header has made obsolete, or puts the one
// with the commits made meanwhile in its place.
func (e *engine) finishWAL(th *thread) {
	th.wait(e.step())
	e.switched = false
	if e.side.size == 0 {
		th.logf("removes the WAL")
		e.remove(&e.main)
		return
	}
	th.logf("renames .wal.checkpoint")
	e.s.inodes.unlinked(must(e.main.f.Stat()).Ino)
	check0(e.s.mem.Rename(e.side.path, e.main.path))
	check0(e.main.f.Close())
	e.main.f, e.main.size = e.side.f, e.side.size
	e.side.f, e.side.size = nil, 0
}
