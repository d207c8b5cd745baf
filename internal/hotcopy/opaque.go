package hotcopy

import (
	"context"
	"io"

	"canvasback/internal/duckfile"
)

// opaque: the file is encrypted and its key is not known. Then only rule C
// applies: torn blocks and markers cannot be seen, so that nothing short of a
// header that stands still tells that no checkpoint was at work.
func (p *pass) opaque() bool { return p.view.head.Opaque }

// planOpaque: all of the file is copied.
func (c *copier) planOpaque(p *pass) error {
	info, err := c.src.db.Stat()
	if err != nil {
		return sourceError(c.src.path, err)
	}
	c.src.info.Size = info.Size
	p.free = &duckfile.FreeList{}
	p.total = max(0, info.Size-duckfile.BlocksStart)
	return nil
}

func (c *copier) copyOpaque(ctx context.Context, p *pass) error {
	if err := c.stage.db.Truncate(c.src.info.Size); err != nil {
		return stageError(c.stage.dir, err)
	}
	end := c.src.info.Size
	for off := int64(duckfile.BlocksStart); off < end; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(MaxRead, end-off)
		data, err := c.src.db.NextData(off)
		if err != nil && err != io.EOF {
			return sourceError(c.src.path, err)
		}
		if err == io.EOF || data >= off+n {
			if err := c.hole(off, n); err != nil {
				return err
			}
			off += n
			continue
		}
		buf := c.buf[:n]
		if err := c.read(ctx, buf, off); err != nil {
			if err == io.EOF {
				return moving(movedBlocks, "%s became shorter during the copy", c.src.path)
			}
			return err
		}
		if err := c.store(p, run{used: true, n: 1}, buf, off); err != nil {
			return err
		}
		off += n
		p.done += n
		c.report(p, "copy", p.done, p.total)
	}
	return nil
}

// opaquely accepts a copy of an encrypted file without its key.
func (c *copier) opaquely(ctx context.Context, p *pass, v *verdict) error {
	v.say("opaque", "encrypted, and no key was given: its blocks and its WAL could not be looked into")
	if old, err := c.untouched(p, v); err != nil || old {
		return err
	}
	return c.byWaiting(ctx, p, v)
}
