package hotcopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs/vfstest"
)

// simSettle is the bound of assumption A7 in the simulation.
const simSettle = 500 * time.Millisecond

// trial says what to run: a seed, and what is different from a normal run.
type trial struct {
	base, seed uint64
	without    check
	slow       bool // the owner's fsync may take longer than Settle
	hasty      bool // the next hand-over may follow a header at once
	window     bool // always the load of inWindow
	held       bool // always under a hold, which the owner soon gives up
	lied       bool // the operator vouches for DuckDB 1.4 whatever it is
	tracing    bool
}

// outcome is what came of one interleaving.
type outcome struct {
	kind     string
	how      string // rule and variant, or the kind of failure
	attempts int
	// bad says what is wrong with an accepted copy, or with a failure.
	bad string
	// broken: the owner died and left a database that nobody can open.
	broken  error
	resumed bool
	revived bool
	died    bool
	steps   int
	// overwritten: blocks of the header of the time were, during the copy.
	overwritten bool
	trace       []string
}

// newProfile draws a load.
func newProfile(s *sim, t trial) *profile {
	p := &profile{
		step:     s.scale(5*time.Microsecond, time.Millisecond),
		sync:     s.scale(200*time.Microsecond, 150*time.Millisecond),
		walSync:  s.scale(100*time.Microsecond, 50*time.Millisecond),
		think:    s.scale(2*time.Millisecond, 300*time.Millisecond),
		window:   simSettle * 8 / 10,
		slow:     t.slow,
		hasty:    t.hasty,
		every:    s.between(1, 12),
		abort:    []int{0, 0, 10, 30}[s.rng.IntN(4)],
		skips:    []int{0, 10, 50, 95, 100}[s.rng.IntN(5)],
		bulk:     []int{10, 40, 80}[s.rng.IntN(3)],
		timid:    []int{0, 0, 60, 100}[s.rng.IntN(4)],
		segments: s.between(2, 7),
	}
	if t.slow {
		p.sync = s.scale(simSettle/2, 4*simSettle)
	}
	return p
}

// inWindow is a load under which a copy often meets the time between hand-over
// and header, while the other thread overwrites what was handed over.
func (s *sim) inWindow(p *profile) simKind {
	p.think = s.scale(2*time.Millisecond, 20*time.Millisecond)
	p.sync = max(p.sync, s.scale(20*time.Millisecond, 300*time.Millisecond))
	p.walSync = s.scale(100*time.Microsecond, 5*time.Millisecond)
	p.step = s.scale(5*time.Microsecond, 100*time.Microsecond)
	p.bulk, p.abort = 90, 0
	p.skips = []int{0, 100}[s.rng.IntN(2)]
	p.timid = p.skips
	s.opBase = s.scale(100*time.Microsecond, 5*time.Millisecond)
	if p.hasty {
		p.skips, p.timid = 100, 100
		p.think = s.scale(100*time.Microsecond, 2*time.Millisecond)
		s.opBase = s.scale(50*time.Microsecond, time.Millisecond)
	}
	return simKinds[2+s.rng.IntN(2)] // early ones
}

func newFormat(s *sim, k simKind) *simFormat {
	f := &simFormat{version: 64, compat: 1}
	switch {
	case k.name == "2.0":
		f.version, f.compat, f.tagged = 999, 69, true
	case k.name != "1.1" && s.chance(40):
		f.version, f.compat, f.tagged = 67, 6, true
	}
	if f.tagged {
		for i := range f.id {
			f.id[i] = byte(s.rng.Uint32())
		}
	}
	return f
}

// run runs one interleaving.
func (t trial) run() (out outcome) {
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("-seed %d -interleaving %d, %+v: %v", t.base, t.seed, t, r))
		}
	}()
	s := newSim(t.base, t.seed)
	s.tracing = t.tracing
	k, p := simKinds[s.rng.IntN(len(simKinds))], newProfile(s, t)
	s.opBase = s.scale(2*time.Microsecond, 4*time.Millisecond)
	if t.window || s.chance(15) {
		k = s.inWindow(p)
	}
	out.kind = k.name
	e := newDatabase(s, k, newFormat(s, k), p)
	check0(s.mem.SetLockOwner(livePath, 1, true))
	warm := s.between(1, 20)
	e.p.commits = 1 << 30
	e.start(s.chance(80))
	for e.commits < warm && s.now < 20*time.Second {
		s.advance(s.dur(5 * time.Millisecond))
	}
	e.p.commits = e.commits + s.between(1, 40)
	if s.chance(25) {
		s.spawn("death", func(th *thread) {
			if s.chance(50) {
				stage := simPhase(s.between(1, int(phases)))
				th.untilWithin(100*time.Microsecond, func() bool { return e.stage == stage })
				th.wait(s.scale(time.Microsecond, 4*e.p.step))
			} else {
				th.wait(s.scale(100*time.Microsecond, time.Second))
			}
			out.died = true
			if out.broken = e.die(); out.broken == nil && s.chance(60) {
				th.wait(s.scale(time.Millisecond, 2*time.Second))
				out.revived = true
				e = e.revive()
			}
		})
	}
	before := s.overwritten
	t.copy(s, &e, &out)
	out.overwritten = s.overwritten > before
	s.kill(s.threads...)
	out.steps, out.trace = s.steps, s.trace
	return out
}

// start begins the owner's threads.
func (e *engine) start(second bool) {
	e.owner = []*thread{e.s.spawn("main", e.work)}
	if second {
		e.owner = append(e.owner, e.s.spawn("second", e.insert))
	}
}

// revive lets a new process open the database and go on.
func (e *engine) revive() *engine {
	next := &engine{s: e.s, k: e.k, f: e.f, p: e.p, commits: e.commits, flips: e.flips}
	e.s.spawn("main", func(th *thread) {
		next.recoverIn(th)
		next.work(th)
	})
	return next
}

var errInterrupted = errors.New("interrupted")

// copy makes the copy, now and then in two processes, and judges it.
func (t trial) copy(s *sim, owner **engine, out *outcome) {
	e := *owner
	o := Options{Path: livePath, Dir: "/copy", Name: "x", Settle: simSettle, clock: s, without: t.without}
	o.stopped = func(int) string { return "" }
	o.opened = func(int, uint64, uint64) []string { return nil }
	s.mem.SetClones(s.chance(15))
	o.NeverClone = s.chance(50)
	if t.held || s.chance(15) {
		o.Hold = &simHold{s: s, owner: owner, short: t.held}
	}
	if s.chance(30) {
		o.Gate = s.scale(10*time.Millisecond, time.Second)
	}
	if e.k.vouched != "" && s.chance(30) {
		o.EngineVersion = e.k.vouched
	}
	if t.lied {
		o.EngineVersion = "1.4.1"
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	left := -1
	if s.chance(10) {
		left = s.between(5, 80)
	}
	o.FS = s.copyFS(func(vfstest.Op) error {
		if left--; left == 0 {
			s.logf("copy", "is interrupted")
			cancel(errInterrupted)
		}
		return nil
	})
	lo := s.visible
	res, err := Copy(ctx, o)
	if err != nil && ctx.Err() != nil {
		s.advance(s.scale(time.Millisecond, 5*time.Second))
		res, err = Copy(context.Background(), o)
	}
	s.judge(out, lo, res, err)
}

// judge says whether the copy is a committed state of the time it was made in,
// and whether a failure is one that the database justifies.
func (s *sim) judge(out *outcome, lo uint64, res *Result, err error) {
	if err != nil {
		kind := failure.Of(err)
		out.how = "failed: " + kind.Name
		if kind != failure.Moving && out.broken == nil {
			out.bad = err.Error()
		}
		s.logf("copy", "fails: %v", err)
		return
	}
	out.attempts = res.Attempts
	out.how = res.Rule
	if v := res.Evidence["variant"]; v != "" {
		out.how += " " + v
	}
	if u := res.Evidence["unfinished_checkpoint"]; u != "" {
		out.how += ", checkpoint " + u
	}
	out.resumed = res.BytesResumed > 0
	s.logf("copy", "is accepted by %s in attempt %d: %v", out.how, res.Attempts, res.Evidence)
	got, err := openDatabase(s.content("/copy/x.duckdb"), s.content("/copy/x.duckdb.wal"), nil, false)
	if err != nil {
		out.bad = fmt.Sprintf("accepted by %s: the copy does not open: %v", out.how, err)
	} else if n := got.state.rows[0]; n < lo || n > s.begun {
		out.bad = fmt.Sprintf("accepted by %s: the copy holds commit %d, want %d to %d", out.how, n, lo, s.begun)
	} else if n >= uint64(len(s.states)) || !got.state.equal(&s.states[n]) {
		out.bad = fmt.Sprintf("accepted by %s: the copy is not the database of commit %d", out.how, n)
	}
	// What an owner that died in the middle of a header, or between hand-over
	// and header, leaves is broken itself; only rule C may take it.
	if out.broken != nil && res.Rule == "C" {
		out.bad = ""
	}
	if out.bad != "" {
		s.logf("copy", "%s", out.bad)
	}
}
