package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const mb = 1_000_000

// reader is a copy that reads all the time, in pieces of a size of its own.
type reader struct {
	share *Share
	piece int
	bytes int64
}

func (r *reader) run(ctx context.Context) {
	defer r.share.Close()
	for r.share.WaitN(ctx, r.piece) == nil {
		r.bytes += int64(r.piece)
	}
}

// read lets copies read for d of the bubble's time.
func read(p *Pace, d time.Duration, pieces ...int) []*reader {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var all []*reader
	var wg sync.WaitGroup
	for _, piece := range pieces {
		r := &reader{share: p.Share(), piece: piece}
		all = append(all, r)
		wg.Go(func() { r.run(ctx) })
	}
	wg.Wait()
	return all
}

func sum(all []*reader) (n int64) {
	for _, r := range all {
		n += r.bytes
	}
	return n
}

func TestTogetherTheyStayWithinTheLimit(t *testing.T) {
	for _, limit := range []int64{100_000, 7 * mb, 200 * mb} {
		for _, copies := range []int{1, 2, 9} {
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{Limit: limit})
				pieces := make([]int, copies)
				for i := range pieces {
					pieces[i] = 1 << (14 + i%7)
				}
				const d = 100 * time.Second
				got := sum(read(p, d, pieces...))
				burst := max(p.quantum, limit/10)
				assert.LessOrEqual(t, p.Stats().Bytes, limit*100+burst, "limit %d, %d copies", limit, copies)
				assert.Equal(t, got, p.Stats().Bytes, "limit %d, %d copies", limit, copies)
				assert.GreaterOrEqual(t, got, limit*95-burst-int64(copies)*p.quantum, "limit %d, %d copies: no more is withheld than has to be", limit, copies)
				s := p.Stats()
				assert.Equal(t, limit, s.Limit)
				assert.GreaterOrEqual(t, s.Bytes, got)
				assert.InDelta(t, float64(copies)*d.Seconds(), s.Waited.Seconds(), float64(copies)*d.Seconds()/20, "they do nothing but wait")
				assert.Zero(t, s.Waiting)
			})
		}
	}
}

// In no stretch of time more passes than the limit allows in it and a burst, also
// after a pause.
func TestBurstIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 50 * mb
		p := New(Options{Limit: limit})
		s := p.Share()
		random := rand.New(rand.NewPCG(1, 2))
		type passed struct {
			at time.Time
			n  int
		}
		var all []passed
		for range 400 {
			n := 1 + random.IntN(mostQuantum)
			require.NoError(t, s.WaitN(t.Context(), n))
			all = append(all, passed{time.Now(), n})
			if random.IntN(20) == 0 {
				time.Sleep(time.Duration(random.Int64N(int64(10 * time.Second))))
			}
		}
		for i := range all {
			sum := 0
			for j := i; j < len(all); j++ {
				sum += all[j].n
				d := all[j].at.Sub(all[i].at).Seconds()
				require.LessOrEqual(t, float64(sum), limit*d+limit/10+2*mostQuantum, "from %d to %d", i, j)
			}
		}
	})
}

// Shares are equal in bytes, however small the pieces are that a copy asks for.
func TestSharesAreEqual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 20 * mb})
		all := read(p, 100*time.Second, mostQuantum, mostQuantum, 256<<10, 16<<10, 700_001)
		fair := sum(all) / int64(len(all))
		for _, r := range all {
			assert.InDelta(t, fair, r.bytes, float64(fair)/50+mostQuantum, "the one that reads %d at a time", r.piece)
		}
	})
}

// A copy that begins late does not get what it has missed, and has its share at
// once.
func TestNobodySavesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 20 * mb})
		idle := p.Share()
		require.NoError(t, idle.WaitN(t.Context(), 1))
		ctx, cancel := context.WithCancel(t.Context())
		early := &reader{share: p.Share(), piece: mostQuantum}
		var wg sync.WaitGroup
		wg.Go(func() { early.run(ctx) })
		time.Sleep(time.Minute)
		synctest.Wait()
		before := early.bytes
		late := &reader{share: idle, piece: mostQuantum}
		wg.Go(func() { late.run(ctx) })
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		assert.InDelta(t, early.bytes-before, late.bytes, 2*mostQuantum)
	})
}

// Of many that come at once and ask for the same, who came first is first.
func TestEqualsGoInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 1 * mb})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				assert.NoError(t, p.Share().WaitN(t.Context(), int(p.quantum)))
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		wg.Wait()
		require.Len(t, order, 50)
		for i, n := range order {
			assert.Equal(t, i, n)
		}
	})
}

// Waits that are given up take nothing from those that stay, and the turn goes on.
func TestWhoGivesUpGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 10 * mb})
		errGone := errors.New("gone")
		const d = 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		stays := &reader{share: p.Share(), piece: 256 << 10}
		var wg sync.WaitGroup
		wg.Go(func() { stays.run(ctx) })
		random := rand.New(rand.NewPCG(3, 4))
		for range 20 {
			share, patience := p.Share(), time.Duration(1+random.Int64N(int64(20*time.Millisecond)))
			wg.Go(func() {
				defer share.Close()
				for ctx.Err() == nil {
					waiting, gone := context.WithTimeoutCause(ctx, patience, errGone)
					if err := share.WaitN(waiting, mostQuantum); ctx.Err() == nil && err != nil {
						assert.ErrorIs(t, err, errGone)
					}
					gone()
				}
			})
		}
		wg.Wait()
		s := p.Stats()
		assert.Zero(t, s.Waiting)
		assert.Empty(t, p.turn, "nobody keeps the turn")
		assert.InDelta(t, 10*mb*10, s.Bytes, 3*mb, "nothing is lost")
		assert.Greater(t, stays.bytes, s.Bytes/21, "who stays has at least a share")
	})
}

// What a copy did not use is another's: many small ones pay for what they read.
func TestCloseGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 10 * mb})
		began := time.Now()
		for range 1000 {
			s := p.Share()
			require.NoError(t, s.WaitN(t.Context(), 50_000))
			s.Close()
		}
		assert.EqualValues(t, 50*mb, p.Stats().Bytes)
		assert.InDelta(t, 5.0, time.Since(began).Seconds(), 0.2)
		assert.Less(t, p.spare, p.quantum)
	})
}

func TestEndedContextWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 1})
		cause := errors.New("over")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		began := time.Now()
		require.ErrorIs(t, p.Share().WaitN(ctx, 10*mostQuantum), cause)
		assert.Equal(t, began, time.Now())
		require.NoError(t, p.Share().WaitN(ctx, 0), "nothing is asked for")
	})
}

func BenchmarkWait(b *testing.B) {
	for _, bench := range []struct {
		name   string
		limit  int64
		copies int
	}{{"1 copy", 1 << 60, 1}, {"4 copies", 1 << 60, 4}} {
		b.Run(bench.name, func(b *testing.B) {
			p := New(Options{Limit: bench.limit})
			var wg sync.WaitGroup
			for range bench.copies {
				wg.Go(func() {
					s := p.Share()
					for range b.N / bench.copies {
						s.WaitN(context.Background(), mostQuantum)
					}
				})
			}
			wg.Wait()
			b.SetBytes(mostQuantum)
		})
	}
}
