package pace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// disk is a simulated one: the more of it is used, by the service and by the
// copies, the larger the share of the time in which the service waits for it.
type disk struct {
	capacity float64 // bytes a second
	service  func(at time.Duration) float64
	noise    *rand.Rand
	read     func() int64 // bytes by the copies, so far

	began, at time.Time
	bytes     int64
	total     time.Duration
}

// stalled is what the kernel would say.
func (d *disk) stalled() (time.Duration, error) {
	now := time.Now()
	if d.began.IsZero() {
		d.began, d.at = now, now
	}
	if since := now.Sub(d.at); since > 0 {
		bytes := d.read()
		used := d.service(now.Sub(d.began)) + float64(bytes-d.bytes)/since.Seconds()/d.capacity
		d.total += time.Duration(d.share(used) * float64(since))
		d.at, d.bytes = now, bytes
	}
	return d.total, nil
}

// share is 0 up to half of the disk, and 1 when it is used up.
func (d *disk) share(used float64) float64 {
	if d.noise != nil {
		used += d.noise.NormFloat64() * 0.03
	}
	return min(1, max(0, 2*(used-0.5)))
}

// limits lets copies read from the disk for d, and returns the limit at the end of
// each second.
func limits(t *testing.T, dk *disk, o Options, d time.Duration, copies int) []float64 {
	o.Stalled = dk.stalled
	p := New(o)
	dk.read = func() int64 { return p.stats.Bytes } // asked for under the lock
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for range copies {
		r := &reader{share: p.Share(), piece: mostQuantum}
		wg.Go(func() { r.run(ctx) })
	}
	var all []float64
	for ctx.Err() == nil {
		time.Sleep(time.Second)
		all = append(all, float64(p.Stats().Limit))
	}
	wg.Wait()
	return all
}

func steady(load float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return load }
}

// The limit comes to lie where the service waits for the share of the time that
// is allowed, and swings there no further than a step up and one down.
func TestLimitConverges(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 1))
		load := random.Float64() * 0.5
		capacity := (100 + 900*random.Float64()) * mb
		copies := 1 + random.IntN(8)
		noise := random
		if seed%2 == 0 {
			noise = nil
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{Limit: 500 * mb, Floor: 10 * mb}
				all := limits(t, &disk{capacity: capacity, service: steady(load), noise: noise}, o, 2*time.Minute, copies)
				// The service waits for more than high beyond this.
				most := min(float64(o.Limit), max(float64(o.Floor), capacity*(0.5+high/2-load)))
				least := min(float64(o.Limit), max(float64(o.Floor), capacity*(0.5+low/2-load)))
				step, slack := float64(o.Limit-o.Floor)/climb, 0.0
				if noise != nil {
					slack = capacity * 0.12 // four times the noise
				}
				for i, limit := range all {
					require.GreaterOrEqual(t, limit, float64(o.Floor)-1)
					require.LessOrEqual(t, limit, float64(o.Limit)+1)
					if i < 30 {
						continue
					}
					assert.LessOrEqual(t, limit, most+step+slack+1, "second %d", i)
					assert.GreaterOrEqual(t, limit, max(float64(o.Floor), (least-slack)*back*0.9)-1, "second %d", i)
				}
			})
		})
	}
}

// The limit falls within seconds when the service needs its disk, and is back
// when it does not.
func TestLimitFallsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := func(at time.Duration) float64 {
			if at > time.Minute && at < 2*time.Minute {
				return 1
			}
			return 0.1
		}
		o := Options{Limit: 200 * mb, Floor: 10 * mb}
		all := limits(t, &disk{capacity: 2000 * mb, service: busy}, o, 3*time.Minute, 4)
		assert.Less(t, all[2], 50.0*mb, "it begins low")
		assert.EqualValues(t, o.Limit, all[55])
		assert.EqualValues(t, o.Floor, all[75])
		assert.EqualValues(t, o.Floor, all[115], "and no lower")
		assert.EqualValues(t, o.Limit, all[150])
	})
}

// Reads that the page cache answers make nobody wait, whatever their speed: the
// limit goes to its top, and stays there.
func TestPageCacheDoesNotFoolIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := limits(t, &disk{capacity: 1e18, service: steady(0.1)}, Options{Limit: 200 * mb, Floor: 10 * mb}, time.Minute, 2)
		for i := climb + 5; i < len(all); i++ {
			require.EqualValues(t, 200*mb, all[i])
		}
	})
}

// A limit that nobody feels does not rise: what made the copies slow was
// something else.
func TestUnfeltLimitStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Limit: 200 * mb, Floor: 10 * mb, Stalled: func() (time.Duration, error) { return 0, nil }})
		s := p.Share()
		require.NoError(t, s.WaitN(t.Context(), 1))
		for range 60 {
			time.Sleep(time.Second)
			require.NoError(t, s.WaitN(t.Context(), mostQuantum))
		}
		assert.Less(t, p.Stats().Limit, int64(30*mb))
	})
}

// Without a pressure to look at the limit stays where it is, and goes on when
// there is one again. A group that was made anew counts from 0.
func TestUnknownPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault error
		var total, each time.Duration
		each = time.Second // all the time
		p := New(Options{Limit: 100 * mb, Floor: 10 * mb, Stalled: func() (time.Duration, error) {
			total += each
			return total, fault
		}})
		p.control.limit = 50 * mb
		s := p.Share()
		seconds := func(n int) {
			for end := time.Now().Add(time.Duration(n) * time.Second); time.Now().Before(end); {
				require.NoError(t, s.WaitN(t.Context(), mostQuantum))
			}
		}
		seconds(3)
		fell := p.Stats().Limit
		assert.Less(t, fell, int64(50*mb))
		assert.InDelta(t, 1, p.Stats().Stalled, 0.1)
		fault = errors.New("no such file")
		seconds(10)
		assert.Equal(t, fell, p.Stats().Limit)
		assert.EqualValues(t, -1, p.Stats().Stalled)
		fault, total, each = nil, 0, 0
		seconds(2)
		before := p.Stats().Limit
		total = -time.Hour // it begins anew
		seconds(1)
		assert.Equal(t, before, p.Stats().Limit)
		total = 0
		seconds(10)
		assert.Greater(t, p.Stats().Limit, fell)
		risen := p.Stats().Limit
		total += time.Hour // while nobody copied
		time.Sleep(time.Hour)
		seconds(1)
		assert.GreaterOrEqual(t, p.Stats().Limit, risen)
	})
}

func TestStalled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "io")
	tests := []struct {
		name, content string
		want          time.Duration
		fault         string
	}{
		{"a machine's", "some avg10=0.01 avg60=0.56 avg300=0.73 total=1483488329\nfull avg10=0.00 avg60=0.13 avg300=0.37 total=328006133\n", 1483488329 * time.Microsecond, ""},
		{"other order and more", "full total=7\nsome new=1 total=8 avg10=0\n", 8 * time.Microsecond, ""},
		{"empty", "", 0, file + " holds no pressure stall information"},
		{"only full", "full avg10=0.00 total=5\n", 0, file + " holds no pressure stall information"},
		{"no number", "some total=x\n", 0, file + " holds no pressure stall information"},
		{"negative", "some total=-1\n", 0, file + " holds no pressure stall information"},
		{"too large", "some total=9223372036854775807\n", 0, file + " holds no pressure stall information"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(tt.content), 0o600))
			got, err := Stalled(file)()
			assert.Equal(t, tt.want, got)
			if tt.fault == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, tt.fault)
			}
		})
	}
	_, err := Stalled(filepath.Join(t.TempDir(), "none"))()
	assert.ErrorIs(t, err, os.ErrNotExist)
}
