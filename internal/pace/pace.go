package pace

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// every is the time between two looks at the pressure.
	every = time.Second
	// What is waited for at once is an eighth of a second's at the lowest limit,
	// within these bounds, in bytes.
	leastQuantum = 64 << 10
	mostQuantum  = 1 << 20
)

// Options say what the bound is.
type Options struct {
	Limit int64 // bytes a second, at least 1
	// Floor is what an adaptive limit never falls below, in bytes a second: at
	// least 1, at most Limit.
	Floor int64
	// Stalled is for how long at least one task has waited for I/O, since some time
	// in the past: see the function of that name. nil: the limit is fixed.
	Stalled func() (time.Duration, error)
}

// Pace is a bound that copies share. It is safe for concurrent use.
type Pace struct {
	stalled func() (time.Duration, error)
	quantum int64         // bytes
	turn    chan struct{} // full while somebody has the turn; those that wait for it go in their order

	mu      sync.Mutex // guards what follows
	bucket  *rate.Limiter
	spare   int64    // that shares gave back
	control *control // nil: the limit is fixed
	looked  look
	felt    bool // the bucket made somebody wait since the last look
	stats   Stats
}

// look is one at the pressure.
type look struct {
	at    time.Time
	total time.Duration
	known bool
}

// Share is what one copy has of a Pace. It is for one goroutine at a time, which
// closes it.
type Share struct {
	pace  *Pace
	left  int64 // of the quantum that was had last
	spent int64 // and was not counted yet
}

// Stats are what a Pace did so far.
type Stats struct {
	Limit   int64         // now, in bytes a second
	Bytes   int64         // that copies read, up to the last quantum of each
	Waited  time.Duration // by all copies together
	Waiting int           // copies that wait now
	// Stalled is the share of the last second looked at in which somebody waited
	// for I/O; negative: not known, or not looked at.
	Stalled float64
}

// New makes a bound. An adaptive one begins at its floor.
func New(o Options) *Pace {
	p := &Pace{stalled: o.Stalled, turn: make(chan struct{}, 1), bucket: rate.NewLimiter(0, 0), stats: Stats{Stalled: -1}}
	limit := float64(o.Limit)
	if o.Stalled != nil {
		p.control = newControl(float64(o.Floor), limit)
		limit = p.control.limit
	}
	p.quantum = min(mostQuantum, max(leastQuantum, int64(limit/8)))
	p.set(time.Now(), limit)
	return p
}

// set puts the limit in force. What may pass at once is a tenth of a second's.
func (p *Pace) set(now time.Time, limit float64) {
	p.bucket.SetLimitAt(now, rate.Limit(limit))
	p.bucket.SetBurstAt(now, max(int(p.quantum), int(limit/10)))
	p.stats.Limit = int64(limit)
}

// Share is one for another copy.
func (p *Pace) Share() *Share { return &Share{pace: p} }

// Stats are what was done so far.
func (p *Pace) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// WaitN returns when n bytes may be read, or with the context's cause when ctx
// ends first.
func (s *Share) WaitN(ctx context.Context, n int) error {
	for s.left < int64(n) {
		if err := s.pace.wait(ctx); err != nil {
			return err
		}
		s.left += s.pace.quantum
		s.pace.count(s.counted)
	}
	s.left -= int64(n)
	s.spent += int64(n)
	return nil
}

func (s *Share) counted(stats *Stats) {
	stats.Bytes += s.spent
	s.spent = 0
}

// Close gives back what was not used.
func (s *Share) Close() {
	s.pace.count(func(stats *Stats) {
		s.pace.spare += s.left
		s.left = 0
		s.counted(stats)
	})
}

// wait waits for a quantum.
func (p *Pace) wait(ctx context.Context) error {
	began := time.Now()
	p.count(func(s *Stats) { s.Waiting++ })
	err := p.have(ctx)
	p.count(func(s *Stats) {
		s.Waiting--
		s.Waited += time.Since(began)
	})
	return err
}

func (p *Pace) count(f func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

// have waits for the turn, and then for the bucket.
func (p *Pace) have(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.turn }()
	return p.draw(ctx)
}

// draw takes a quantum out of the bucket when it is there. Only who has the turn
// is here, and looks at the pressure while it waits.
func (p *Pace) draw(ctx context.Context) error {
	for {
		p.mu.Lock()
		now := time.Now()
		p.adapt(now)
		back := min(p.spare, p.quantum)
		n := int(p.quantum - back)
		had := p.bucket.AllowN(now, n)
		missing := (float64(n) - p.bucket.TokensAt(now)) / float64(p.bucket.Limit())
		if had {
			p.spare -= back
		}
		p.felt = p.felt || !had
		p.mu.Unlock()
		if had {
			return nil
		}
		timer := time.NewTimer(min(every, time.Duration(missing*float64(time.Second))+time.Microsecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// adapt moves the limit when it is time to. Where the pressure cannot be read,
// and after a pause of the copies, of which it would tell nothing, the limit
// stays.
func (p *Pace) adapt(now time.Time) {
	since := now.Sub(p.looked.at)
	if p.control == nil || since < every {
		return
	}
	total, err := p.stalled()
	p.stats.Stalled = -1
	if before := p.looked; err == nil && before.known && since <= 3*every && total >= before.total {
		p.stats.Stalled = min(1, float64(total-before.total)/float64(since))
		p.set(now, p.control.next(p.stats.Stalled, p.felt))
	}
	p.looked, p.felt = look{at: now, total: total, known: err == nil}, false
}
