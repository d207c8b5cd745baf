package hotcopy

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"canvasback/internal/failure"
)

// end is what the last look found; all of it speaks of one unchanged header.
type end struct {
	commits  bool // the WAL holds a commit
	underWay bool // a marker at its end, or .wal.checkpoint
}

// verdict is the rule that a pass fulfils, and why.
type verdict struct {
	rule     string
	evidence map[string]string
}

// check looks at the path, the WAL and then the headers. An error of kind
// Moving means that the pass is lost.
func (c *copier) check(ctx context.Context, p *pass) (end, error) {
	if err := c.src.replaced(); err != nil {
		return end{}, err
	}
	if err := c.src.askOwner(); err != nil {
		return end{}, err
	}
	main, side, err := c.src.logs(p.view.head)
	if err != nil {
		return end{}, err
	}
	e, err := c.checkLogs(ctx, p, main, side)
	err = errors.Join(err, main.close(), side.close())
	now, herr := c.src.headers(ctx, &c.o)
	p.lastLook = now
	if herr == nil && !bytes.Equal(now.Raw[:], p.view.head.Raw[:]) && !c.o.skips(withoutEndHeaders) {
		return end{}, c.moved(p, now)
	}
	return e, errors.Join(err, herr)
}

func (c *copier) checkLogs(ctx context.Context, p *pass, main, side *log) (end, error) {
	for _, x := range []struct {
		m mark
		l *log
	}{{p.Main, main}, {p.side, side}} {
		same, err := x.m.holds(ctx, x.l)
		if err != nil {
			return end{}, err
		}
		if !same && !c.o.skips(withoutPrefix) {
			return end{}, moving(movedWAL, "the WAL of %s was replaced during the copy", c.src.path)
		}
	}
	if err := c.src.foreign(main); err != nil {
		return end{}, err
	}
	_, marked := main.marker()
	return end{commits: main.commits() > 0, underWay: marked || side.file != nil}, nil
}

// accept finds the rule that the finished pass fulfils, waiting where a rule
// needs it. An error of kind Moving means that another pass is needed.
func (c *copier) accept(ctx context.Context, p *pass) (*verdict, error) {
	e, err := c.check(ctx, p)
	if err != nil {
		return nil, err
	}
	v := &verdict{evidence: c.evidence(p)}
	since := c.hold.since
	switch held, err := c.hold.confirm(ctx, c.src.path); {
	case err != nil:
		return nil, err
	case held:
		v.rule = "hold"
		v.because("the owner held its checkpoints off from before the first look until after the last")
		v.say("hold", c.hold.held.Token)
		v.say("hold_lasted", c.o.since(since).Round(time.Millisecond).String())
		return v, nil
	case c.hold.lost != nil:
		v.say("hold_lost", c.hold.lost.Error())
	}
	if c.byProof(p, e, v) {
		return v, nil
	}
	if p.opaque() {
		return v, c.opaquely(ctx, p, v)
	}
	if old, err := c.untouched(p, v); err != nil || old {
		return v, err
	}
	if !p.flipped.IsZero() {
		return v, c.byFlip(ctx, p, v)
	}
	return v, c.byWaiting(ctx, p, v)
}

// byProof tries the rules that need no waiting.
func (c *copier) byProof(p *pass, e end, v *verdict) bool {
	if p.opaque() {
		return false // neither markers nor torn blocks would be seen
	}
	switch version := c.engineVersion(); {
	case p.stalled == quiet && e.commits && (!e.underWay || c.o.skips(withoutMarker)):
		v.rule = "A"
		v.because("the WAL holds commits and no checkpoint marker, the header is unchanged")
		return true
	case freesLate(version):
		v.rule = "B"
		who := "the operator vouches for"
		if c.o.EngineVersion == "" {
			who = "the owner's hook names"
		}
		v.because(who + " DuckDB " + version + ", the header is unchanged")
		return true
	}
	return false
}

// process looks at the owner now: another one may have taken the lock.
func (c *copier) process() (process, error) {
	pid, held, err := c.src.db.LockOwner()
	if err != nil {
		return process{}, sourceError(c.src.path, err)
	}
	if !held {
		return process{}, nil
	}
	return c.o.process(pid, c.src.info.Ino), nil
}

// untouched: nothing was written to the file since Settle before the pass, by
// its times. They do not tell of writes through a memory map, and not of an
// owner that was stopped right before the next header.
func (c *copier) untouched(p *pass, v *verdict) (bool, error) {
	owner, err := c.process()
	if err != nil || owner.Mapped || owner.Stopped != "" {
		return false, err
	}
	info, err := c.src.db.Stat()
	if err != nil {
		return false, sourceError(c.src.path, err)
	}
	last := info.ModTime
	if info.ChangeTime.After(last) {
		last = info.ChangeTime
	}
	age := p.Began.Sub(last) // negative where a clock was set back
	if age <= c.o.Settle {
		return false, nil
	}
	v.byC("untouched", "nothing was written to the file since long before the copy")
	v.say("age", age.Round(time.Millisecond).String())
	return true, nil
}

// byWaiting holds the pass back until the header has stood still for Settle
// after the last read. A commit in the WAL ends the wait by rule A.
func (c *copier) byWaiting(ctx context.Context, p *pass, v *verdict) error {
	if err := c.barrier(v); err != nil {
		return err
	}
	begun := c.o.clock.Now()
	for start := begun; ; {
		waited := c.o.since(start) // before the look that it is to justify
		owner, err := c.process()
		if err != nil {
			return err
		}
		e, err := c.check(ctx, p)
		if err != nil {
			if failure.Of(err) == failure.Moving {
				c.lostWaits++
			}
			return err
		}
		if c.byProof(p, e, v) {
			return nil
		}
		switch {
		case owner.Stopped != "":
			// Whatever it was about to write is not refuted by waiting.
			if c.o.since(begun) > c.o.Gate+c.o.Settle {
				return failure.Errorf(failure.OwnerStopped, "the process %d that holds %s is %s, and without a commit in its WAL, or in the middle of a checkpoint, waiting proves nothing", c.ownerPID, c.src.path, owner.Stopped)
			}
			start = c.o.clock.Now()
		case waited > c.o.Settle || c.o.skips(withoutSettle):
			v.byC("settled", "the header stood still for longer than the owner may take to sync")
			v.say("waited", waited.Round(time.Millisecond).String())
			return nil
		}
		c.o.Progress(Progress{Phase: "settle", Attempt: p.Attempt, Done: int64(waited), Total: int64(c.o.Settle)})
		if err := c.o.sleep(ctx, min(200*time.Millisecond, c.o.Settle/4+time.Millisecond)); err != nil {
			return err
		}
	}
}

// barrier syncs the database where the operator allows it: what the owner's own
// sync has to wait for is then on the disk before the waiting begins.
func (c *copier) barrier(v *verdict) error {
	if !c.o.Barrier {
		return nil
	}
	start := c.o.clock.Now()
	if err := c.src.db.Sync(); err != nil {
		return sourceError(c.src.path, err)
	}
	v.say("barrier_took", c.o.since(start).Round(time.Microsecond).String())
	return nil
}

// freesLate says whether an engine version hands blocks on only after the next
// header is durable (A2): DuckDB 1.0 to 1.4. Newer ones are not taken on trust.
func freesLate(version string) bool {
	major, minor, known := engineVersion(version)
	return known && major == 1 && minor <= 4
}

// engineVersion takes "1.4.1" or "v1.4.1" apart.
func engineVersion(version string) (major, minor int, known bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil || major < 0 {
		return 0, 0, false
	}
	minor, err = strconv.Atoi(parts[1])
	return major, minor, err == nil && minor >= 0
}
