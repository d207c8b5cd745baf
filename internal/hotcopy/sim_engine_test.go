package hotcopy

import (
	"math/bits"
	"os"
	"slices"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/vfs"
)

// simKind is how one release line of DuckDB writes.
type simKind struct {
	name        string
	allMeta     bool // each checkpoint rewrites all metadata blocks
	concurrent  bool // marker at the start, .wal.checkpoint, inserts meanwhile
	early       bool // freed blocks are handed over before the header is written
	rollsLate   bool // rolled back blocks wait for the next checkpoint
	keepsMarker bool // a failed checkpoint's marker stays in the WAL
	vouched     string
}

var simKinds = []simKind{
	{name: "1.1", allMeta: true, keepsMarker: true, vouched: "1.1.3"},
	{name: "1.4", rollsLate: true, keepsMarker: true, vouched: "1.4.1"},
	{name: "1.5", concurrent: true, early: true, keepsMarker: true},
	{name: "1.5.6", concurrent: true, early: true},
	{name: "2.0", concurrent: true},
}

// simPhase is where a checkpoint stands.
type simPhase int

const (
	noCheckpoint simPhase = iota
	atMarker              // the marker is being written
	atData                // data blocks are
	atMetadata            // metadata blocks are
	atSync                // they are being synced
	atHeader              // the header is being written
	atHeaderSync          // it is being synced
	atWAL                 // the WAL goes
	phases
)

// engine is a process that has the database open.
type engine struct {
	s *sim
	k simKind
	f *simFormat
	p *profile

	db         vfs.File
	main, side simWAL
	switched   bool   // commits go to .wal.checkpoint
	coming     uint64 // the iteration that .wal.checkpoint belongs to

	iteration uint64
	slot      int // of the current header, 0 or 1
	max       int64
	free      uint64 // blocks to be had
	modified  uint64 // blocks to be had after the next checkpoint
	metas     []*metaBlock
	cur       logical

	walLock   bool
	exclusive bool // no transaction may begin
	busy      int  // transactions of the other thread
	commits   int
	flips     int // headers written
	// handed is when the blocks of the current header were handed over, 0: not.
	handed    time.Duration
	needed    uint64 // blocks of the current header
	stage     simPhase
	flippedAt time.Duration // when the last header was written
	held      bool          // a hold keeps checkpoints off
	running   bool          // a checkpoint
	dead      bool
	// finish completes the write of one page that a death cannot tear.
	finish func()
	owner  []*thread
}

// metaBlock is a metadata block in memory. used are the sub-blocks that the
// current header needs, next those of the header to come.
type metaBlock struct {
	id         int64
	img        []byte
	used, next uint64
	dirty      bool
}

type simWAL struct {
	path string
	f    vfs.File
	size int64
}

// step is the time that a call takes which syncs nothing.
func (e *engine) step() time.Duration { return e.s.dur(e.p.step) }

// sync is the time of an fsync. Between hand-over and header assumption A7
// bounds it.
func (e *engine) sync(th *thread) {
	d := e.s.dur(e.p.sync)
	if e.handed != 0 && !e.p.slow {
		d = max(0, min(d, e.p.window-(e.s.now-e.handed)))
	}
	th.wait(d)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check0(err error) {
	if err != nil {
		panic(err)
	}
}

// alloc takes the lowest free block, or extends the file.
func (e *engine) alloc() int64 {
	if e.free != 0 {
		id := bits.TrailingZeros64(e.free)
		e.free &^= 1 << id
		return int64(id)
	}
	if e.max++; e.max > 64 {
		panic("the simulated database outgrew its 64 blocks")
	}
	return e.max - 1
}

// cuts splits n bytes into one to three parts at multiples of unit.
func (e *engine) cuts(n, unit int) []int {
	c := []int{n}
	for parts := e.s.rng.IntN(10); parts >= 6 && len(c) < 3 && n > unit; parts -= 3 {
		c = append(c, (1+e.s.rng.IntN((n-1)/unit))*unit)
	}
	slices.Sort(c)
	return c
}

// writeBlock writes a block in the parts in which it becomes visible.
func (e *engine) writeBlock(th *thread, what string, id int64, b []byte) {
	off := duckfile.BlockOffset(id, simA)
	from := 0
	for _, to := range e.cuts(len(b), 8) {
		th.wait(e.step())
		if e.s.tracing {
			th.logf("writes block %d (%s), bytes %d to %d", id, what, from, to)
		}
		if e.needed>>id&1 != 0 && what == "optimistic" {
			e.s.overwritten++
		}
		must(e.db.WriteAt(b[from:to], off+int64(from)))
		from = to
	}
}

// append adds bytes to a WAL in the parts in which they become visible, torn at
// any byte. last happens together with the last part.
func (e *engine) append(th *thread, w *simWAL, what string, b []byte, last func()) {
	from := 0
	for _, to := range e.cuts(len(b), 1) {
		th.wait(e.step())
		if e.s.tracing {
			th.logf("appends %s to %s, bytes %d to %d of %d", what, w.path, from, to, len(b))
		}
		must(w.f.WriteAt(b[from:to], w.size+int64(from)))
		from = to
	}
	w.size += int64(len(b))
	if last != nil {
		last()
	}
}

// ready creates the WAL with its header where there is none.
func (e *engine) ready(th *thread, w *simWAL, iteration uint64) {
	if w.f == nil {
		th.wait(e.step())
		th.logf("creates %s", w.path)
		w.f = must(e.s.mem.OpenFile(w.path, os.O_RDWR|os.O_CREATE, 0o600))
		e.s.inodes.created(must(w.f.Stat()).Ino)
		w.size = 0
	}
	if w.size == 0 {
		e.append(th, w, "the header", e.f.walHeader(iteration), nil)
	}
}

func (e *engine) remove(w *simWAL) {
	e.s.inodes.unlinked(must(w.f.Stat()).Ino)
	check0(e.s.mem.Remove(w.path))
	check0(w.f.Close())
	w.f, w.size = nil, 0
}

func (e *engine) lockWAL(th *thread) {
	th.until(func() bool { return !e.walLock })
	e.walLock = true
}

// applyTo makes a transaction's changes and returns the blocks that it made
// obsolete.
func applyTo(l *logical, changes []change) (obsolete uint64) {
	for _, c := range changes {
		i, found := l.find(c.key)
		switch {
		case c.kind == entryRow:
			l.rows[c.key] = c.val
		case c.kind == entrySeg && !found:
			l.segs = slices.Insert(l.segs, i, simSeg{c.key, c.val, c.block})
		case c.kind == entryDrop && found:
			obsolete |= 1 << l.segs[i].block
			l.segs = slices.Delete(l.segs, i, i+1)
		default:
			panic("a change that does not apply")
		}
	}
	return obsolete
}
