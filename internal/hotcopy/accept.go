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
	side     bool // .wal.checkpoint
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
	if err := c.src.askOwner(&c.o); err != nil {
		return end{}, err
	}
	main, side, err := c.src.logs(ctx, p.view.head)
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
	switch err := c.src.belongs(main, &c.o); failure.Of(err) {
	case failure.Replaced, failure.ManyNames:
		return end{}, moving(movedWAL, "%w", err) // the next look tells whether it is so
	default:
		if err != nil {
			return end{}, err
		}
	}
	_, marked := main.marker()
	return end{commits: main.commits() > 0, underWay: marked || side.file != nil, side: side.file != nil}, nil
}

// accept finds the rule that the finished pass fulfils, waiting where a rule
// needs it. An error of kind Moving means that another pass is needed.
func (c *copier) accept(ctx context.Context, p *pass) (*verdict, error) {
	v := &verdict{}
	err := c.judge(ctx, p, v)
	if m, ok := errors.AsType[*movement](err); ok && m.what == movedHeader && !c.o.HoldRequired && c.bySuccessor(ctx, p, v) {
		err = nil
	}
	return v, err
}

func (c *copier) judge(ctx context.Context, p *pass, v *verdict) error {
	v.evidence = c.evidence(p)
	e, err := c.check(ctx, p)
	if err != nil {
		return err
	}
	v.say("headers_after", headerBytes(p.lastLook))
	since := c.hold.since
	switch held, err := c.hold.confirm(ctx, c.src); {
	case err != nil:
		return err
	case held:
		v.rule = "hold"
		v.because("the owner held its checkpoints off from before the first look until after the last")
		v.say("hold", c.hold.held.Token)
		v.say("hold_lasted", c.o.since(since).Round(time.Millisecond).String())
		return nil
	case c.hold.lost != nil:
		v.say("hold_lost", c.hold.lost.Error())
	}
	if c.byProof(p, e, v) {
		return nil
	}
	if p.opaque() {
		return c.opaquely(ctx, p, v)
	}
	if old, err := c.untouched(p, v); err != nil || old {
		return err
	}
	if !p.flipped.IsZero() {
		return c.byFlip(ctx, p, v)
	}
	return c.byWaiting(ctx, p, v)
}

// byProof tries the rules that need no waiting.
func (c *copier) byProof(p *pass, e end, v *verdict) bool {
	if p.opaque() {
		return false // neither markers nor torn blocks would be seen
	}
	switch {
	case p.stalled == quiet && e.commits && (!e.underWay || c.o.skips(withoutMarker)):
		v.rule = "A"
		v.because("the WAL holds commits and no checkpoint marker, the header is unchanged")
		return true
	case c.freesLate(p, e):
		v.rule = "B"
		who := "the operator vouches for"
		if c.o.EngineVersion == "" {
			who = "the owner's hook names"
		}
		v.because(who + " DuckDB " + c.engineVersion() + ", the header is unchanged")
		return true
	}
	return false
}

// freesLate says whether the engine is known to hand blocks on only after the
// next header is durable (A2): DuckDB up to 1.4. Whatever contradicts that
// counts: what the hook said, and what only later versions write.
func (c *copier) freesLate(p *pass, e end) bool {
	known := false
	for _, version := range []string{c.o.EngineVersion, c.hold.version} {
		if version == "" {
			continue
		}
		if !upTo14(version) {
			return false
		}
		known = true
	}
	if c.o.EngineVersion == "" && !c.hold.speaksOf(c.src) {
		return false
	}
	// Storage 68 and serialization version 7 came with 1.5, as the WAL of a
	// checkpoint did.
	head := p.view.head
	return known && !e.side && p.view.side.file == nil && head.StorageVersion() < 68 && head.Current().Compatibility < 7
}

// stopped looks at the owner now, as another one may have taken the lock, and
// says why it does not run.
func (c *copier) stopped() (string, error) {
	pid, held, err := c.src.db.LockOwner()
	if err != nil || !held {
		return "", sourceError(c.src.path, err)
	}
	return c.o.stopped(pid), nil
}

// untouched: nobody has the database open, at the first look or now, and nothing
// was written to it since Settle before the pass. The times of the file must be
// those of the first look: a clock that is set back must not make what is
// written meanwhile look old. With an owner they prove nothing: it may have been
// stopped all the while, or write through a memory map.
func (c *copier) untouched(p *pass, v *verdict) (bool, error) {
	if _, held, err := c.src.db.LockOwner(); err != nil || held || c.locked || p.resumed > 0 {
		return false, sourceError(c.src.path, err)
	}
	info, err := c.src.db.Stat()
	if err != nil {
		return false, sourceError(c.src.path, err)
	}
	was := p.view.info
	if info.Size != was.Size || !info.ModTime.Equal(was.ModTime) || !info.ChangeTime.Equal(was.ChangeTime) {
		return false, nil
	}
	last := info.ModTime
	if info.ChangeTime.After(last) {
		last = info.ChangeTime
	}
	age := p.Began.Sub(last) // negative where a clock was set back
	if age <= c.o.Settle {
		return false, nil
	}
	v.byC("untouched", "nobody has it open, and nothing was written to it since long before the copy")
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
	var waited time.Duration // until before the look that it is to justify
	for pause := min(200*time.Millisecond, c.o.Settle/4+time.Millisecond); ; {
		stopped, err := c.stopped()
		if err != nil {
			return err
		}
		e, err := c.check(ctx, p)
		if err != nil {
			if failure.Of(err) == failure.Moving {
				c.changed(p)
			}
			return err
		}
		if c.byProof(p, e, v) {
			return nil
		}
		switch {
		case stopped != "":
			// Whatever it was about to write is not refuted by waiting.
			if c.o.since(begun) > c.o.Gate+c.o.Settle {
				return failure.Errorf(failure.OwnerStopped, "the process %d that holds %s is %s, and without a commit in its WAL, or in the middle of a checkpoint, waiting proves nothing", c.ownerPID, c.src.path, stopped)
			}
			waited = 0
		case waited > c.o.Settle || c.o.skips(withoutSettle):
			v.byC("settled", "the header stood still for longer than the owner may take to sync")
			v.say("waited", waited.Round(time.Millisecond).String())
			return nil
		}
		c.report(p, "settle", int64(waited), int64(c.o.Settle))
		slept := c.o.clock.Now()
		if err := c.watch(ctx, p, pause); err != nil {
			return err
		}
		// Where machine or control group were paused, the owner had no time
		// either.
		waited += min(c.o.since(slept), 2*pause)
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

// upTo14: DuckDB 1.0 to 1.4. Newer ones are not taken on trust.
func upTo14(version string) bool {
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
