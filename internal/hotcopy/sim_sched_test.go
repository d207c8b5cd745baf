package hotcopy

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"canvasback/internal/vfs/vfstest"
)

// sim is one interleaving: an owner that writes and a copy, in one goroutine
// and one virtual time. The copy's operations and sleeps move the time on, and
// every step of the owner that falls due happens meanwhile.
type sim struct {
	seed    uint64
	rng     *rand.Rand
	mem     *vfstest.Mem
	inodes  inodes
	now     time.Duration
	threads []*thread

	// states are all committed ones by number. The copy may hold any from the
	// last one visible when it was called to the last one begun when it returns.
	states  []logical
	visible uint64
	begun   uint64

	steps int
	// overwritten counts writes to blocks that the current header uses.
	overwritten int
	opBase      time.Duration // of the copy's operations
	tracing     bool
	trace       []string
}

func newSim(base, seed uint64) *sim {
	s := &sim{seed: seed, rng: rand.New(rand.NewPCG(base, seed)), mem: vfstest.NewMem(), states: []logical{{}}}
	s.mem.SetNow(s.Now)
	return s
}

var simEpoch = time.Unix(1_700_000_000, 0)

// Now and Sleep are the clock of the copy.
func (s *sim) Now() time.Time { return simEpoch.Add(s.now) }

func (s *sim) Sleep(ctx context.Context, d time.Duration) error {
	if s.tracing {
		s.logf("copy", "sleeps %v", d)
	}
	s.advance(d + s.dur(50*time.Microsecond))
	return context.Cause(ctx)
}

// logf adds to the trace. Callers on hot paths ask s.tracing first.
func (s *sim) logf(who, format string, args ...any) {
	if s.tracing {
		s.trace = append(s.trace, fmt.Sprintf("%12v %-6s %s", s.now, who, fmt.Sprintf(format, args...)))
	}
}

func (s *sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

// between draws from [lo, hi).
func (s *sim) between(lo, hi int) int { return lo + s.rng.IntN(hi-lo) }

// dur draws a duration around base.
func (s *sim) dur(base time.Duration) time.Duration {
	return base/4 + time.Duration(s.rng.Int64N(int64(2*base)))
}

// scale draws from [lo, hi], all orders of magnitude alike.
func (s *sim) scale(lo, hi time.Duration) time.Duration {
	return time.Duration(float64(lo) * math.Pow(float64(hi)/float64(lo), s.rng.Float64()))
}

// thread is a part of the owner that goes on by itself.
type thread struct {
	s     *sim
	name  string
	at    time.Duration // when it goes on
	next  func() (time.Duration, bool)
	stop  func()
	yield func(time.Duration) bool
	done  bool
	buf   [simA]byte
}

// died unwinds a thread whose process is gone.
type died struct{}

func (s *sim) spawn(name string, body func(*thread)) *thread {
	th := &thread{s: s, name: name, at: s.now}
	th.next, th.stop = iter.Pull(func(yield func(time.Duration) bool) {
		defer func() {
			if r := recover(); r != nil && r != (died{}) {
				panic(r)
			}
		}()
		th.yield = yield
		body(th)
	})
	s.threads = append(s.threads, th)
	return th
}

// wait ends one step and begins the next: what the caller does then happens d
// later.
func (th *thread) wait(d time.Duration) {
	if !th.yield(d) {
		panic(died{})
	}
}

// until polls a condition.
func (th *thread) until(f func() bool) { th.untilWithin(500*time.Microsecond, f) }

func (th *thread) untilWithin(d time.Duration, f func() bool) {
	for !f() {
		th.wait(th.s.dur(d))
	}
}

func (th *thread) logf(format string, args ...any) { th.s.logf(th.name, format, args...) }

// advance moves the time on by d, with every step that falls due.
func (s *sim) advance(d time.Duration) {
	end := s.now + d
	for {
		var first *thread
		for _, th := range s.threads {
			if !th.done && th.at <= end && (first == nil || th.at < first.at) {
				first = th
			}
		}
		if first == nil {
			s.now = end
			return
		}
		s.now = max(s.now, first.at)
		s.steps++
		if next, ok := first.next(); ok {
			first.at = s.now + next
		} else {
			first.done = true
		}
	}
}

// kill ends the threads of a process in the middle of what they do.
func (s *sim) kill(threads ...*thread) {
	for _, th := range threads {
		if th != nil && !th.done {
			th.done = true
			th.stop()
		}
	}
}

// begin makes a state one that the copy may hold: its last bytes are about to
// be written.
func (s *sim) begin(l *logical) {
	n := l.rows[0]
	s.states = append(s.states[:n], l.clone())
	s.begun = n
}

// publish makes the state begun last one that the copy must hold, or a later one.
func (s *sim) publish(l *logical) {
	s.visible = l.rows[0]
	if s.begun != s.visible || !s.states[s.visible].equal(l) {
		panic("a commit became visible that had not begun")
	}
}
