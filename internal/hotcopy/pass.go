package hotcopy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
)

// pass is one attempt: what was seen at its start and how far it is.
type pass struct {
	record
	view     *view
	free     *duckfile.FreeList
	lastLook *duckfile.Headers // of the last check
	stalled  phase             // not quiet: the state that an owner left behind
	side     mark              // of .wal.checkpoint where it is part of the copy
	waited   time.Duration     // at the gate
	flipped  time.Time         // shortly before the header change that the pass began at; zero: at none
	window   time.Duration     // how long after that new blocks may be read
	before   *usage            // of the header before that change, under which the stage was filled; nil: nothing was
	fresh    map[int64]bool    // used blocks that the stage did not hold with the same content
	freshAt  time.Time         // when the last of them had been read
	seen     time.Time         // the last time that the headers were looked at and found the same
	resumed  int64             // bytes below Next when this process took over
	cloned   bool
	unread   bool // a clone whose blocks were not looked into yet
	total    int64
	done     int64
}

func headersSum(h *duckfile.Headers) string { return sumOf(h.Raw[:]) }

// begin takes a view through the gate, stages the WAL and reads the free list.
func (c *copier) begin(ctx context.Context, attempt int) (*pass, error) {
	if err := c.stage.forget(); err != nil {
		return nil, err
	}
	bound := c.o.Gate
	if c.hold.active {
		bound = min(bound, heldGate)
	}
	v, waited, err := c.src.gate(ctx, &c.o, attempt, bound)
	if err != nil {
		return nil, err
	}
	p := &pass{view: v, waited: waited, stalled: v.phase()}
	p.record = record{
		Version: progressVersion, Device: c.src.info.Dev, Inode: c.src.info.Ino,
		Headers: headersSum(v.head), Began: v.began, Attempt: attempt, BytesRead: c.bytesRead,
	}
	c.headers = p.Headers
	if err := errors.Join(c.takeWAL(ctx, p), c.plan(ctx, p)); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return p, nil
}

// takeWAL stages the commits that belong to the view's header.
func (c *copier) takeWAL(ctx context.Context, p *pass) error {
	v := p.view
	main, side := v.main, v.side
	if p.opaque() && side.file != nil {
		return moving(movedCheckpoint, "a checkpoint of %s is unfinished, and without the key its WAL files cannot be joined", c.src.path)
	}
	var pieces []piece
	take := func(l *log, whole bool) {
		for i, r := range l.wal.Keep() {
			if i == 0 && !whole {
				r.Start = l.wal.Header.Size
			}
			if r.Start < r.End {
				pieces = append(pieces, piece{l.file, r})
			}
		}
		p.Commits += l.wal.Commits
		p.RowGroups = p.RowGroups || l.wal.RowGroups && !c.o.skips(withoutRowGroups)
	}
	if p.stalled != written && main.commits() > 0 {
		take(main, true)
	}
	if p.stalled != quiet && side.commits() > 0 {
		if p.stalled == running && len(pieces) == 0 {
			pieces = append(pieces, piece{main.file, duckfile.Range{Start: 0, End: main.wal.Header.Size}})
		}
		take(side, p.stalled == written)
	}
	var err error
	if p.Main, err = markOf(ctx, main); err != nil {
		return err
	}
	if p.stalled != quiet {
		if p.side, err = markOf(ctx, side); err != nil {
			return err
		}
	}
	p.WALBytes, err = c.stage.writeWAL(ctx, pieces, p.Commits, v.head, c.throttle)
	return err
}

// markOf identifies the committed part of a WAL. A WAL without a commit has no
// mark: it may come and go.
func markOf(ctx context.Context, l *log) (mark, error) {
	if l.commits() == 0 && (l.wal == nil || len(l.wal.Markers) == 0) {
		return mark{}, nil
	}
	s, err := sum(ctx, l.file, l.wal.End)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return mark{}, moving(movedWAL, "the WAL %s became shorter while it was read", l.path)
	}
	return mark{Present: true, Device: l.info.Dev, Inode: l.info.Ino, End: l.wal.End, SHA256: s}, err
}

// holds says whether the WAL at hand still begins with what was marked.
func (m mark) holds(ctx context.Context, l *log) (bool, error) {
	if !m.Present {
		return true, nil
	}
	if l.wal == nil || l.info.Dev != m.Device || l.info.Ino != m.Inode || l.wal.End < m.End {
		return false, nil
	}
	s, err := sum(ctx, l.file, m.End)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return s == m.SHA256, err
}

// plan reads the free list and sets how many blocks the pass looks at. The
// file's size is taken after the WAL was read, so that all blocks that its
// commits refer to lie below it (A4).
func (c *copier) plan(ctx context.Context, p *pass) error {
	if p.opaque() {
		return c.planOpaque(p)
	}
	cur := p.view.head.Current()
	var err error
	if p.free, err = readFreeList(ctx, c.src, &c.o, p.view); err != nil {
		return c.explain(ctx, p, err)
	}
	info, err := c.src.db.Stat()
	if err != nil {
		return sourceError(c.src.path, err)
	}
	c.src.info.Size = info.Size
	a := cur.BlockAllocSize
	whole := (info.Size - duckfile.BlocksStart) / a
	used := cur.BlockCount - int64(len(p.free.Free))
	if missing := usedFrom(p.free.Free, whole, cur.BlockCount); missing > 0 {
		return c.explain(ctx, p, failure.Errorf(failure.Truncated, "%s has %d bytes; %d of the %d blocks of %d bytes that its header uses lie beyond its end", c.src.path, info.Size, missing, used, a))
	}
	if p.Limit == 0 {
		// Ids beyond the file's end were handed out and never written: they are
		// free. Cutting them off keeps a wild block count from growing the copy.
		p.Limit = min(cur.BlockCount, whole)
		if p.RowGroups {
			if p.Limit, err = c.lastData(a, p.Limit, whole); err != nil {
				return sourceError(c.src.path, err)
			}
		}
	}
	p.total = used * a
	if p.RowGroups {
		p.total = p.Limit * a
	}
	return nil
}

// lastData is the end of the last block of [from, to) that is not wholly in a
// hole: an owner that maps its file makes it far longer than what it holds.
func (c *copier) lastData(a, from, to int64) (int64, error) {
	for id := from; id < to; {
		data, err := c.src.db.NextData(duckfile.BlockOffset(id, a))
		if err == io.EOF {
			return from, nil
		}
		if err != nil {
			return 0, err
		}
		id = (data-duckfile.BlocksStart)/a + 1
		from = min(id, to)
	}
	return from, nil
}

// usedFrom is how many of the blocks [from, count) are not on the free list.
func usedFrom(free []int64, from, count int64) int64 {
	if from >= count {
		return 0
	}
	i, _ := slices.BinarySearch(free, from)
	return count - from - int64(len(free)-i)
}

// prepare gives the staged file its length and its headers.
func (c *copier) prepare(p *pass) error {
	if err := c.stage.room(p.total); err != nil {
		return err
	}
	err := c.stage.db.Truncate(duckfile.BlockOffset(p.Limit, p.view.head.Current().BlockAllocSize))
	if err == nil {
		_, err = c.stage.db.WriteAt(p.view.head.Raw[:], 0)
	}
	return stageError(c.stage.dir, err)
}

// resume takes up the pass of an earlier process if the database, all header
// bytes and the WAL's prefix are the same, and the staged WAL is still there. A
// nil pass means to start over.
func (c *copier) resume(ctx context.Context) (*pass, error) {
	r, ok := c.stage.load()
	if !ok || r.Device != c.src.info.Dev || r.Inode != c.src.info.Ino {
		return nil, nil
	}
	c.bytesRead = r.BytesRead
	v, err := c.src.look(ctx, &c.o)
	if err != nil {
		return nil, err
	}
	same, err := r.Main.holds(ctx, v.main)
	if err != nil || !same || headersSum(v.head) != r.Headers || !c.stage.hasWAL(r, v.head) {
		return nil, errors.Join(err, v.close())
	}
	p := &pass{record: r, view: v}
	if err := c.plan(ctx, p); err != nil {
		return nil, errors.Join(err, v.close())
	}
	if p.Next > p.Limit {
		return nil, v.close()
	}
	p.done = p.countBelow(p.Next) * p.view.head.Current().BlockAllocSize
	p.resumed = p.done
	return p, nil
}

// countBelow is how many blocks below id the pass copies.
func (p *pass) countBelow(id int64) int64 {
	if p.RowGroups {
		return id
	}
	n := id
	for _, f := range p.free.Free {
		if f >= id {
			break
		}
		n--
	}
	return n
}

// explain turns a fault of the source's bytes into a Moving failure if the
// header has moved meanwhile: then the bytes were somebody else's already.
func (c *copier) explain(ctx context.Context, p *pass, err error) error {
	now, herr := c.src.headers(ctx, &c.o)
	if herr == nil && !bytes.Equal(now.Raw[:], p.view.head.Raw[:]) {
		return c.moved(p, now)
	}
	return errors.Join(err, herr)
}

func (c *copier) moved(p *pass, now *duckfile.Headers) error {
	return moving(movedHeader, "the header of %s went from iteration %d to %d during the copy",
		c.src.path, p.view.head.Current().Iteration, now.Current().Iteration)
}
