package hotcopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
)

// copier is the state of one call of Copy.
type copier struct {
	o         Options
	src       *source
	stage     *stage
	buf, old  []byte
	bytesRead int64
	lost      losses
	throttled time.Duration // that went into waiting for the bandwidth
	lostWaits int           // passes that a checkpoint ended while they waited
	resumed   int64
	ownerPID  int
	locked    bool          // a process holds the database's lock
	headers   string        // the hash of those of the pass before
	before    *usage        // of the pass before, if it copied all of it; nil: none did
	change    *headerChange // that ended the pass before; nil: it was not watched
	hold      holding
	noClone   bool // tried, and it cannot be done here
	noRange   bool // the same of copy_file_range
}

const (
	// faultTries is how often the same fault of the source's bytes, under an
	// unchanged header, is met before it is believed.
	faultTries = 3
	// retryPause lies between two passes.
	retryPause = 10 * time.Millisecond
)

var errOutOfTime = errors.New("the time for the copy is over")

// Copy makes a consistent copy of the live database in o.Dir. Its failures are
// of the kinds of package failure: Moving when no pass could be accepted within
// o.MaxAttempts, OutOfTime when o.MaxTime ended first, OwnerStopped when only an
// owner that makes no progress stands in the way, Replaced when the path came
// to name another file, Hook when a required hold failed, and those of reading
// the database and writing the copy. When ctx ends it records how far it got
// and returns the context's cause; calling it again with the same Dir goes on
// from there.
func Copy(ctx context.Context, o Options) (res *Result, err error) {
	o.fillIn()
	src, err := openSource(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	if err := src.local(&o); err != nil {
		return nil, err
	}
	// What cannot be copied is refused before anything is written.
	if _, err := src.headers(ctx, &o); err != nil {
		return nil, err
	}
	st, err := openStage(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	if o.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.MaxTime, errOutOfTime)
		defer cancel()
	}
	c := &copier{
		o: o, src: src, stage: st, buf: make([]byte, MaxRead), old: make([]byte, MaxRead),
		lost: losses{}, noClone: o.NeverClone, noRange: o.NeverClone,
	}
	return c.run(ctx)
}

func (c *copier) run(ctx context.Context) (*Result, error) {
	faults, tries := 0, 0
	var faulty string // the headers under which a fault was met
	for next := 1; ; {
		attempt, res, err := c.attempt(ctx, next, tries == 0)
		if err == nil {
			return res, nil
		}
		if lookErr := c.stage.look(); lookErr != nil {
			return nil, errors.Join(err, lookErr)
		}
		tries++
		next = attempt + 1
		switch kind := failure.Of(err); {
		case ctx.Err() != nil:
			return nil, c.ended(ctx, attempt, err)
		case kind == failure.Corrupt || kind == failure.Truncated:
			if c.headers != faulty {
				faults, faulty = 0, c.headers
			}
			if faults++; faults >= faultTries {
				return nil, err
			}
		case kind != failure.Moving:
			return nil, err
		}
		c.lost.add(err)
		if tries >= c.o.MaxAttempts {
			return nil, failure.Errorf(failure.Of(err), "no copy of %s could be accepted in %d attempts%s; the last one: %w", c.o.Path, tries, c.lost.because(), err)
		}
		if c.change != nil {
			continue // every millisecond counts
		}
		if c.o.sleep(ctx, retryPause) != nil {
			return nil, c.ended(ctx, attempt, err)
		}
	}
}

// ended is the failure of a context that ended: the caller's own cause, or that
// the time is over, with why the last pass was lost.
func (c *copier) ended(ctx context.Context, attempt int, err error) error {
	switch cause := context.Cause(ctx); {
	case !errors.Is(cause, errOutOfTime):
		return cause
	case len(c.lost) == 0:
		return failure.Errorf(failure.OutOfTime, "the copy of %s did not end within %s%s, in attempt %d", c.o.Path, c.o.MaxTime, c.slowed(), attempt)
	}
	return failure.Errorf(failure.OutOfTime, "no copy of %s could be accepted within %s%s, in attempt %d%s; the last one: %w", c.o.Path, c.o.MaxTime, c.slowed(), attempt, c.lost.because(), err)
}

// slowed says how much of the time the limit on the bandwidth took, as a part of a
// sentence; empty where it was less than a tenth.
func (c *copier) slowed() string {
	if c.throttled < c.o.MaxTime/10 {
		return ""
	}
	return fmt.Sprintf(" (%s of it went into waiting for the bandwidth limit)", c.throttled.Round(c.o.MaxTime/1000))
}

// attempt runs one pass to its verdict, under a hold where one is to be had. It
// returns the pass's number, which is higher than next where an earlier
// process had come further.
func (c *copier) attempt(ctx context.Context, next int, first bool) (attempt int, res *Result, err error) {
	if err := c.hold.begin(ctx, &c.o, c.src); err != nil {
		return next, nil, err
	}
	defer func() { err = errors.Join(c.hold.drop(ctx, err), err) }()
	var p *pass
	if first {
		if p, err = c.resume(ctx); err != nil {
			return next, nil, err
		}
		if p != nil {
			c.resumed = p.resumed
		}
	}
	if p == nil {
		if p, err = c.start(ctx, next); err != nil {
			return next, nil, err
		}
	}
	res, err = c.try(ctx, p)
	return p.Attempt, res, err
}

// start begins a pass; right after a header change where the one before was
// lost to it.
func (c *copier) start(ctx context.Context, attempt int) (*pass, error) {
	ch := c.change
	c.change = nil
	p, err := c.begin(ctx, attempt)
	if err == nil {
		c.atChange(p, ch)
	}
	return p, err
}

// try runs a pass to its verdict.
func (c *copier) try(ctx context.Context, p *pass) (res *Result, err error) {
	defer func() { err = errors.Join(err, p.view.close()) }()
	if c.ownerPID, c.locked, err = c.src.db.LockOwner(); err != nil {
		return nil, sourceError(c.src.path, err)
	}
	if err := c.transfer(ctx, p); err != nil {
		return nil, err
	}
	v, err := c.accept(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := c.repair(p, v); err != nil {
		return nil, err
	}
	c.report(p, "hash", p.done, p.total)
	files, blocks, err := c.finish(ctx, p)
	if err != nil {
		return nil, err
	}
	cur := p.view.head.Current()
	return &Result{
		Rule: v.rule, Evidence: v.evidence, Attempts: p.Attempt, Began: p.Began,
		Iteration: cur.Iteration, Storage: p.view.head.StorageVersion(), Library: p.view.head.Main.Library,
		EngineVersion: c.engineVersion(),
		Device:        c.src.info.Dev, Inode: c.src.info.Ino, SourceBytes: c.src.info.Size,
		BlockBytes: cur.BlockAllocSize, Blocks: blocks, FreeBlocks: int64(len(p.free.Free)), Encrypted: p.view.head.Main.Encrypted(), Opaque: p.opaque(),
		OwnerPID: c.ownerPID, Held: c.locked,
		Commits: p.Commits, WALBytes: p.WALBytes, BytesRead: c.bytesRead, BytesResumed: c.resumed, Cloned: p.cloned,
		Files: files,
	}, nil
}

// finish reads the accepted copy back. Where it is a clone, its blocks are those of
// the database, on the same disk, and within the bandwidth; what was not looked
// into before may show half a write, and is then copied by reading.
func (c *copier) finish(ctx context.Context, p *pass) ([]File, int64, error) {
	wait := freely
	if p.cloned {
		wait = c.throttle
	}
	files, blocks, err := c.stage.finish(ctx, &c.o, p.WALBytes > 0, p.opaque(), wait)
	if p.unread && (errors.Is(err, duckfile.ErrCorrupt) || errors.Is(err, duckfile.ErrTruncated)) {
		c.noClone = true
		err = moving(movedBlocks, "the clone of %s shows half a write: %w", c.src.path, err)
	}
	return files, blocks, err
}

// transfer brings the blocks into the stage: as a clone where the file system
// makes one, else by reading.
func (c *copier) transfer(ctx context.Context, p *pass) error {
	if p.Next == 0 {
		cloned, err := c.clone(ctx, p)
		if err != nil || cloned {
			return err
		}
		if err := c.prepare(p); err != nil {
			return err
		}
	}
	if p.before == nil {
		p.flipped = time.Time{} // nothing to compare with was read before the change
	}
	c.before = nil // until all of this pass is in the stage
	if p.opaque() {
		return c.copyOpaque(ctx, p)
	}
	if err := c.copyBlocks(ctx, p); err != nil {
		return err
	}
	c.before = p.usage()
	return nil
}
