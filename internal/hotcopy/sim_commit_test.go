package hotcopy

import "time"

// profile is the load and the speed of one interleaving.
type profile struct {
	step, think   time.Duration
	sync, walSync time.Duration // of the database and of a WAL
	// window bounds the time from hand-over to header where A7 holds.
	window time.Duration
	slow   bool // A7 does not hold
	hasty  bool // A8 does not hold
	// every so many commits there is a checkpoint, if not by a commit that
	// skips the WAL.
	every    int
	skips    int // percent of commits that skip the WAL
	abort    int // percent of checkpoints that fail
	bulk     int // percent of transactions that write blocks
	timid    int // percent of the second thread's transactions that roll back
	commits  int // after so many the owner rests
	segments int // of each thread
}

// work is the owner's main thread: transactions and checkpoints.
func (e *engine) work(th *thread) {
	for since := 0; e.commits < e.p.commits; {
		th.wait(e.s.dur(e.p.think))
		changes, ok := e.prepare(th, true)
		if !ok {
			continue
		}
		since++
		if e.s.chance(e.p.skips) {
			e.checkpoint(th, changes)
			since = 0
			continue
		}
		e.commit(th, changes)
		if since >= e.p.every {
			since = 0
			e.checkpoint(th, nil)
		}
	}
}

// insert is the thread that writes beside the first one, also during the
// checkpoints of those engines that let it.
func (e *engine) insert(th *thread) {
	for e.commits < e.p.commits {
		th.wait(e.s.dur(e.p.think))
		th.until(func() bool { return !e.exclusive })
		e.busy++
		if changes, ok := e.prepare(th, false); ok && (e.p.timid == 0 || hasSegments(changes)) {
			e.commit(th, changes)
		}
		e.busy--
	}
}

// prepare runs a transaction up to its commit; false: it was rolled back.
// The main thread may drop and replace, the other one only inserts; they have
// keys of their own.
func (e *engine) prepare(th *thread, main bool) ([]change, bool) {
	s := e.s
	rows, ids := [2]int{4, simRows}, [2]int{100, 100 + e.p.segments}
	if main {
		rows, ids = [2]int{1, 4}, [2]int{1, 1 + e.p.segments}
	}
	var changes []change
	for range s.between(0, 3) {
		changes = append(changes, change{kind: entryRow, key: uint64(s.between(rows[0], rows[1])), val: s.rng.Uint64()})
	}
	if main && s.chance(50) {
		for _, seg := range e.cur.segs {
			if s.chance(20) {
				changes = append(changes, change{kind: entryDrop, key: seg.id})
			}
		}
	}
	if !s.chance(e.p.bulk) || e.max > 36 && e.free == 0 {
		return changes, true
	}
	conflict := false // what the other thread inserts is there already
	for range s.between(1, 5) {
		id := uint64(s.between(ids[0], ids[1]))
		_, found := e.cur.find(id)
		dropped, inserted := false, false
		for _, c := range changes {
			dropped = dropped || c.kind == entryDrop && c.key == id
			inserted = inserted || c.kind == entrySeg && c.key == id
		}
		if inserted {
			continue
		}
		conflict = conflict || found && !main
		if found && !dropped && main {
			changes = append(changes, change{kind: entryDrop, key: id})
		}
		c := change{kind: entrySeg, key: id, val: s.rng.Uint64(), block: e.alloc()}
		fillSegment(th.buf[:], c.key, c.val)
		e.writeBlock(th, "optimistic", c.block, th.buf[:])
		changes = append(changes, c)
	}
	if conflict || s.chance(12) || !main && s.chance(e.p.timid) {
		th.wait(e.step())
		e.rollback(th, changes)
		return nil, false
	}
	return changes, true
}

func (e *engine) rollback(th *thread, changes []change) {
	for _, c := range changes {
		if c.kind != entrySeg {
			continue
		}
		th.logf("rolls block %d back", c.block)
		if e.k.rollsLate {
			e.modified |= 1 << c.block
		} else {
			e.free |= 1 << c.block
		}
	}
}

func hasSegments(changes []change) bool {
	for _, c := range changes {
		if c.kind == entrySeg {
			return true
		}
	}
	return false
}

// commit writes a transaction to the WAL.
func (e *engine) commit(th *thread, changes []change) {
	if hasSegments(changes) {
		e.sync(th)
	}
	e.lockWAL(th)
	n := e.cur.rows[0] + 1
	changes = append(changes, change{kind: entryRow, key: 0, val: n})
	w, iteration := &e.main, e.iteration
	if e.switched {
		w, iteration = &e.side, e.coming
	}
	e.ready(th, w, iteration)
	b := appendCommit(nil, changes)
	if !e.switched && e.s.chance(3) {
		e.revert(th, w, b[:e.s.rng.IntN(len(b)-30)])
		e.rollback(th, changes)
		e.walLock = false
		return
	}
	next := e.cur.clone()
	applyTo(&next, changes)
	e.s.begin(&next)
	e.append(th, w, "a commit", b, func() {
		e.modified |= applyTo(&e.cur, changes)
		e.s.publish(&e.cur)
		th.logf("commit %d is visible", n)
	})
	e.commits++
	th.wait(e.s.dur(e.p.walSync))
	e.walLock = false
}

// revert cuts the WAL back to where it was before a commit that failed.
func (e *engine) revert(th *thread, w *simWAL, b []byte) {
	size := w.size
	if len(b) > 0 {
		e.append(th, w, "a part of a commit", b, nil)
	}
	th.wait(e.step())
	th.logf("reverts it")
	check0(w.f.Truncate(size))
	w.size = size
}
