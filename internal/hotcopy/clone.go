package hotcopy

import (
	"bytes"
	"context"

	"canvasback/internal/duckfile"
)

// clone makes the stage a clone of the live file, in one step as seen by the
// owner's writes (ioctl_ficlone(2): the inode is locked). False means that the
// file systems cannot: it is found out by trying. The WAL was staged before, so
// that the blocks it refers to are in the clone (A4). The rules are the same as
// for a copy that was read in one moment.
func (c *copier) clone(ctx context.Context, p *pass) (bool, error) {
	if c.noClone {
		return false, nil
	}
	c.report(p, "clone", 0, p.total)
	if err := c.stage.db.CloneFrom(c.src.db); err != nil {
		// Whatever it is, reading and writing will meet it again and name the
		// file that is at fault.
		c.noClone = true
		return false, c.stage.look()
	}
	p.cloned, p.freshAt = true, c.o.clock.Now()
	head := make([]byte, duckfile.BlocksStart)
	if err := c.stage.read(head, 0); err != nil {
		return false, err
	}
	if !bytes.Equal(head, p.view.head.Raw[:]) {
		return false, moving(movedHeader, "the header of %s moved before it was cloned", c.src.path)
	}
	if p.opaque() {
		return true, nil
	}
	a := p.view.head.Current().BlockAllocSize
	if err := c.stage.db.Truncate(duckfile.BlockOffset(p.Limit, a)); err != nil {
		return false, stageError(c.stage.dir, err)
	}
	if c.o.Limiter != nil {
		// To read it takes long, and the header need not hold still for that: all
		// of it is there. What is found is found when it has been accepted.
		p.unread = true
		return true, nil
	}
	return true, c.checkClone(ctx, p)
}

// checkClone checks the used blocks of the clone. One that does not match its
// checksum was seen in the middle of a write after all, and is read again.
func (c *copier) checkClone(ctx context.Context, p *pass) error {
	a := p.view.head.Current().BlockAllocSize
	for id := int64(0); id < p.Limit; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r := p.nextRun(id)
		id += r.n
		if !r.used {
			continue
		}
		buf := c.buf[:r.n*a]
		if err := c.stage.read(buf, duckfile.BlockOffset(r.first, a)); err != nil {
			return err
		}
		for i := range r.n {
			if p.view.head.CheckBlock(buf[i*a : (i+1)*a]) {
				continue
			}
			if err := c.copyRun(ctx, p, run{r.first + i, 1, true}); err != nil {
				return err
			}
		}
		p.done += r.n * a
		c.report(p, "clone", p.done, p.total)
	}
	return nil
}

// copyRange lets the kernel copy a row of used blocks and checks what arrived.
// False means that the row is to be read and written instead: the kernel
// cannot, an earlier pass left something to compare with, or a block was seen
// torn.
func (c *copier) copyRange(ctx context.Context, p *pass, r run, buf []byte, off int64) (bool, error) {
	if c.noRange || c.stage.dirty || !r.used {
		return false, nil
	}
	if err := c.throttle(ctx, len(buf)); err != nil {
		return false, err
	}
	for done := int64(0); done < int64(len(buf)); {
		n, err := c.stage.db.CopyRangeFrom(c.src.db, off+done, off+done, int64(len(buf))-done)
		if err != nil || n == 0 {
			c.noRange = err != nil
			return false, nil
		}
		c.bytesRead += n
		done += n
	}
	if err := c.stage.read(buf, off); err != nil {
		return false, err
	}
	a := p.view.head.Current().BlockAllocSize
	for i := range r.n {
		if !p.view.head.CheckBlock(buf[i*a : (i+1)*a]) {
			return false, nil
		}
	}
	return true, nil
}
