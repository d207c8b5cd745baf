package hotcopy

import (
	"errors"
	"io/fs"
	"math/bits"
	"os"
	"slices"
	"time"

	"canvasback/internal/vfs"
)

// openFiles opens the database and the WALs that there are.
func (e *engine) openFiles() {
	e.db = must(e.s.mem.OpenFile(livePath, os.O_RDWR|os.O_CREATE, 0o600))
	for w, suffix := range map[*simWAL]string{&e.main: walSuffix, &e.side: checkpointSuffix} {
		w.path = livePath + suffix
		f, err := e.s.mem.OpenFile(w.path, os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		w.f = must(f, err)
		w.size = must(f.Stat()).Size
	}
}

// content reads a file of the simulation; nil: there is none.
func (s *sim) content(name string) []byte {
	f, err := s.mem.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(f, err)
	b := make([]byte, must(f.Stat()).Size)
	if len(b) > 0 {
		must(f.ReadAt(b, 0))
	}
	check0(f.Close())
	return b
}

// live opens the database as its next owner would.
func (s *sim) live(k simKind) (*opened, error) {
	return openDatabase(s.content(livePath), s.content(livePath+walSuffix), s.content(livePath+checkpointSuffix), k.keepsMarker)
}

// die ends the owner's process; what it wrote stays in the page cache. The
// error says why nobody can open what it leaves: its header was torn, or it
// died while freed blocks were being overwritten.
func (e *engine) die() error {
	e.s.logf("owner", "dies")
	e.s.kill(e.owner...)
	e.dead = true
	if e.finish != nil {
		e.finish()
		e.finish = nil
	}
	check0(e.s.mem.SetLockOwner(livePath, 0, false))
	for _, f := range []vfs.File{e.db, e.main.f, e.side.f} {
		if f != nil {
			check0(f.Close())
		}
	}
	_, err := e.s.live(e.k)
	if err != nil {
		e.s.logf("owner", "leaves a broken database: %v", err)
	}
	return err
}

// recoverIn is the process that opens the database after a death.
func (e *engine) recoverIn(th *thread) {
	o := must(e.s.live(e.k))
	if o.state.rows[0] != e.s.visible {
		panic("the recovered state is not the last committed one")
	}
	th.logf("opens the database, header %d, commit %d", o.iteration, o.state.rows[0])
	check0(e.s.mem.SetLockOwner(livePath, 2, true))
	e.openFiles()
	e.iteration, e.slot, e.cur = o.iteration, o.slot, o.state
	e.max = max(o.count, int64(bits.Len64(o.named)))
	e.free = ^(o.used | o.named) & (1<<e.max - 1)
	live := uint64(0)
	for _, s := range e.cur.segs {
		live |= 1 << s.block
	}
	for _, m := range o.metas {
		img := slices.Clone(block(e.s.content(livePath), m.id))
		e.metas = append(e.metas, &metaBlock{id: m.id, img: img, used: ^m.mask})
		live |= 1 << m.id
	}
	e.needed = o.used
	e.modified = (o.used | o.named) &^ live
	th.wait(e.s.dur(5 * time.Millisecond))
	e.recoverWAL(th, o)
}

// recoverWAL leaves one WAL, without a torn tail.
func (e *engine) recoverWAL(th *thread, o *opened) {
	sideCommits := o.main.marked && len(o.side.commits) > 0
	switch {
	case o.covered && sideCommits:
		e.finishWAL(th)
	case o.covered:
		th.logf("removes the WAL that the header covers")
		e.remove(&e.main)
	case sideCommits:
		e.merge(th, o)
	case e.main.f != nil:
		end := int64(o.main.whole)
		if !e.k.keepsMarker {
			end = int64(o.main.end)
		}
		if end < e.main.size {
			th.logf("cuts the WAL from %d to %d bytes", e.main.size, end)
			check0(e.main.f.Truncate(end))
			e.main.size = end
		}
	}
	if e.side.f != nil {
		th.wait(e.step())
		th.logf("removes .wal.checkpoint")
		e.remove(&e.side)
	}
}

// merge puts the commits of both WALs into one, as DuckDB does: in a third
// file that it renames, and then it removes .wal.checkpoint.
func (e *engine) merge(th *thread, o *opened) {
	r := simWAL{path: livePath + ".wal.recovery"}
	e.ready(th, &r, e.iteration)
	for _, c := range slices.Concat(o.main.commits, o.side.commits) {
		e.append(th, &r, "a merged commit", appendCommit(nil, c), nil)
	}
	e.sync(th)
	th.logf("renames .wal.recovery")
	e.s.inodes.unlinked(must(e.main.f.Stat()).Ino)
	check0(e.s.mem.Rename(r.path, e.main.path))
	check0(e.main.f.Close())
	e.main.f, e.main.size = r.f, r.size
	th.wait(e.step())
}
