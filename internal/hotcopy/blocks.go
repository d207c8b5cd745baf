package hotcopy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
)

const (
	blockTries = 12
	saveEvery  = 64 << 20 // bytes between two records of progress
)

func blockBackoff(try int) time.Duration {
	return min(time.Duration(try*try)*time.Millisecond, 50*time.Millisecond)
}

// run is a row of blocks of one class.
type run struct {
	first, n int64
	used     bool
}

// uses says whether the pass's header uses a block.
func (p *pass) uses(id int64) bool {
	return id < p.view.head.Current().BlockCount && !p.free.IsFree(id)
}

// nextRun returns the row that begins at id, at most as long as one read.
func (p *pass) nextRun(id int64) run {
	a := p.view.head.Current().BlockAllocSize
	longest := max(1, MaxRead/a)
	i, free := slices.BinarySearch(p.free.Free, id)
	r := run{first: id, used: !free && id < p.view.head.Current().BlockCount}
	if !r.used && !p.RowGroups {
		longest = p.Limit // a hole of any length
	}
	for r.n < longest && id+r.n < p.Limit {
		at := id + r.n
		for i < len(p.free.Free) && p.free.Free[i] < at {
			i++
		}
		isFree := i < len(p.free.Free) && p.free.Free[i] == at || at >= p.view.head.Current().BlockCount
		if isFree == r.used {
			break
		}
		r.n++
	}
	return r
}

// copyBlocks copies from p.Next on, recording progress.
func (c *copier) copyBlocks(ctx context.Context, p *pass) error {
	if p.before != nil {
		if err := c.copyYoung(ctx, p); err != nil {
			return err
		}
	}
	sinceSave := int64(0)
	a := p.view.head.Current().BlockAllocSize
	for p.Next < p.Limit {
		if ctx.Err() != nil {
			return c.interrupted(ctx, p)
		}
		r := p.nextRun(p.Next)
		if err := c.copyRun(ctx, p, r); err != nil {
			if ctx.Err() != nil {
				return c.interrupted(ctx, p)
			}
			return err
		}
		p.Next += r.n
		if r.used || p.RowGroups {
			p.done += r.n * a
			sinceSave += r.n * a
		}
		c.report(p, "copy", p.done, p.total)
		if sinceSave >= saveEvery {
			sinceSave = 0
			if err := c.save(p); err != nil {
				return err
			}
		}
	}
	return c.save(p)
}

// interrupted records what is there, so that nothing is copied twice.
func (c *copier) interrupted(ctx context.Context, p *pass) error {
	if err := c.save(p); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// save records the pass, unless it is of a kind that is not resumed.
func (c *copier) save(p *pass) error {
	p.BytesRead = c.bytesRead
	if p.stalled != quiet || p.before != nil {
		return nil
	}
	return c.stage.save(p.record)
}

func (c *copier) copyRun(ctx context.Context, p *pass, r run) error {
	a := p.view.head.Current().BlockAllocSize
	off := duckfile.BlockOffset(r.first, a)
	hole := !r.used && !p.RowGroups
	if !r.used && p.RowGroups {
		data, err := c.src.db.NextData(off)
		if err != nil && err != io.EOF {
			return sourceError(c.src.path, err)
		}
		hole = err == io.EOF || data >= off+r.n*a
	}
	if hole {
		return c.hole(off, r.n*a)
	}
	buf := c.buf[:r.n*a]
	if done, err := c.copyRange(ctx, p, r, buf, off); done || err != nil {
		return err
	}
	if err := c.read(ctx, buf, off); err != nil {
		if err == io.EOF {
			err = failure.Errorf(failure.Truncated, "%s ends before block %d, which its header uses", c.src.path, r.first+r.n-1)
		}
		return c.explain(ctx, p, err)
	}
	for i := range r.n {
		if err := c.settleBlock(ctx, p, r, r.first+i, buf[i*a:(i+1)*a]); err != nil {
			return err
		}
	}
	return c.store(p, r, buf, off)
}

// settleBlock re-reads a block until its checksum holds. A free block need not
// have one: no rule speaks of blocks that nothing refers to.
func (c *copier) settleBlock(ctx context.Context, p *pass, r run, id int64, b []byte) error {
	off := duckfile.BlockOffset(id, int64(len(b)))
	for try := 1; !p.view.head.CheckBlock(b) && !c.o.skips(withoutBlockCheck); try++ {
		if !r.used && (try > 3 || allZero(b)) {
			return nil
		}
		if try == blockTries {
			return c.explain(ctx, p, failure.Errorf(failure.Corrupt, "block %d of %s, at byte %d, does not match its checksum after %d reads", id, c.src.path, off, try))
		}
		if err := c.o.sleep(ctx, blockBackoff(try)); err != nil {
			return err
		}
		if err := c.read(ctx, b, off); err != nil {
			return c.explain(ctx, p, sourceError(c.src.path, err))
		}
	}
	return nil
}

// throttle waits for the bandwidth of n bytes.
func (c *copier) throttle(ctx context.Context, n int) error {
	if c.o.Limiter == nil {
		return nil
	}
	began := c.o.clock.Now()
	defer func() { c.throttled += c.o.since(began) }()
	err := c.o.Limiter.WaitN(ctx, n)
	if _, bounded := ctx.Deadline(); err != nil && bounded && ctx.Err() == nil {
		<-ctx.Done() // the limiter sees now that the time will not do
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// read reads from the live database, within the bandwidth.
func (c *copier) read(ctx context.Context, b []byte, off int64) error {
	if err := c.throttle(ctx, len(b)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n, err := c.src.db.ReadAt(b, off)
	c.bytesRead += int64(n)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return io.EOF
	}
	return sourceError(c.src.path, err)
}

// store writes a row of blocks. What an earlier pass left is compared in full
// and kept where it is equal; the 8-byte checksums would not tell.
func (c *copier) store(p *pass, r run, buf []byte, off int64) error {
	if c.stage.dirty {
		old := c.old[:len(buf)]
		if err := c.stage.read(old, off); err != nil {
			return err
		}
		if bytes.Equal(old, buf) {
			return nil
		}
		size := int64(len(buf)) / r.n
		for i := range r.n {
			if !bytes.Equal(old[i*size:(i+1)*size], buf[i*size:(i+1)*size]) {
				p.mark(r.first+i, c.o.clock.Now())
			}
		}
	}
	if !r.used && allZero(buf) {
		return c.hole(off, int64(len(buf)))
	}
	_, err := c.stage.db.WriteAt(buf, off)
	return stageError(c.stage.dir, err)
}

// hole frees what an earlier pass left where nothing belongs.
func (c *copier) hole(off, n int64) error {
	if !c.stage.dirty {
		return nil
	}
	return stageError(c.stage.dir, c.stage.db.PunchHole(off, n))
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func mega(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
