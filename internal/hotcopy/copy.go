package hotcopy

import (
	"context"
	"errors"
	"time"

	"canvasback/internal/failure"
)

// copier is the state of one call of Copy.
type copier struct {
	o         Options
	src       *source
	stage     *stage
	buf, old  []byte
	bytesRead int64
	lostWaits int // passes that a checkpoint ended while they waited
	resumed   int64
	ownerPID  int
	held      bool
}

// faultTries is how often the same fault of the source's bytes, under an
// unchanged header, is met before it is believed.
const faultTries = 3

// Copy makes a consistent copy of the live database in o.Dir. Its failures are
// of the kinds of package failure: Moving when no pass could be accepted within
// o.MaxAttempts, Replaced when the path came to name another file, and those of
// reading the database and writing the copy. When ctx ends it records how far
// it got and returns the context's cause; calling it again with the same Dir
// goes on from there.
func Copy(ctx context.Context, o Options) (res *Result, err error) {
	o.fillIn()
	src, err := openSource(o.FS, o.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	// What cannot be copied is refused before anything is written.
	if _, err := src.headers(ctx, o.sleep); err != nil {
		return nil, err
	}
	st, err := openStage(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	c := &copier{o: o, src: src, stage: st, buf: make([]byte, MaxRead), old: make([]byte, MaxRead)}
	return c.run(ctx)
}

func (c *copier) run(ctx context.Context) (*Result, error) {
	p, err := c.resume(ctx)
	if err != nil {
		return nil, err
	}
	faults := 0
	first := 1
	if p != nil {
		first, c.resumed = p.Attempt, p.resumed
	}
	for attempt := first; ; attempt++ {
		if p == nil {
			p, err = c.start(ctx, attempt)
		}
		if err == nil {
			var res *Result
			if res, err = c.try(ctx, p); err == nil {
				return res, nil
			}
			c.stage.dirty = true
		}
		p = nil
		switch kind := failure.Of(err); {
		case ctx.Err() != nil:
			return nil, err
		case kind == failure.Corrupt || kind == failure.Truncated:
			if faults++; faults >= faultTries {
				return nil, err
			}
		case kind != failure.Moving:
			return nil, err
		}
		if attempt-first+1 >= c.o.MaxAttempts {
			return nil, failure.Errorf(failure.Of(err), "no copy of %s could be accepted in %d attempts; the last one: %w", c.o.Path, attempt-first+1, err)
		}
		if err := c.o.sleep(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// start begins a pass; after passes were lost in waiting, right after a header
// change, so that the flip variant of rule C can apply.
func (c *copier) start(ctx context.Context, attempt int) (*pass, error) {
	flipped := false
	if c.lostWaits >= 2 {
		var err error
		if flipped, err = c.src.flip(ctx, &c.o, 2*c.o.Settle); err != nil {
			return nil, err
		}
	}
	p, err := c.begin(ctx, attempt)
	if err == nil {
		p.flip = flipped && p.waited < 100*time.Millisecond && p.stalled == quiet
	}
	return p, err
}

// try runs a pass to its verdict.
func (c *copier) try(ctx context.Context, p *pass) (res *Result, err error) {
	defer func() { err = errors.Join(err, p.view.close()) }()
	if c.ownerPID, c.held, err = c.src.db.LockOwner(); err != nil {
		return nil, sourceError(c.src.path, err)
	}
	if err := c.copyBlocks(ctx, p); err != nil {
		return nil, err
	}
	rule, ev, err := c.accept(ctx, p)
	if err != nil {
		return nil, err
	}
	c.o.Progress(Progress{Phase: "hash", Attempt: p.Attempt, Done: p.done, Total: p.total})
	files, blocks, err := c.stage.finish(ctx, p.WALBytes > 0)
	if err != nil {
		return nil, err
	}
	cur := p.view.head.Current()
	return &Result{
		Rule: rule, Evidence: ev, Attempts: p.Attempt, Began: p.Began,
		Iteration: cur.Iteration, Storage: p.view.head.StorageVersion(), Library: p.view.head.Main.Library,
		Device: c.src.info.Dev, Inode: c.src.info.Ino, SourceBytes: c.src.info.Size,
		BlockBytes: cur.BlockAllocSize, Blocks: blocks, FreeBlocks: int64(len(p.free.Free)),
		OwnerPID: c.ownerPID, Held: c.held,
		Commits: p.Commits, WALBytes: p.WALBytes, BytesRead: c.bytesRead, BytesResumed: c.resumed,
		Files: files,
	}, nil
}
