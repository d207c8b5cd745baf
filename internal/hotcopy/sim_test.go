package hotcopy

import (
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	simCount = flag.Int("interleavings", defaultInterleavings(), "how many interleavings TestInterleavings runs")
	simBase  = flag.Uint64("seed", 1, "the base of the seeds of the interleavings")
	simOne   = flag.Int64("interleaving", -1, "run this one interleaving only, with a trace")
)

func defaultInterleavings() int {
	if raceEnabled {
		return 300
	}
	return 100_000
}

// runAll runs n interleavings on all processors and hands each outcome over,
// one at a time.
func runAll(t *testing.T, n int, make func(seed uint64) trial, each func(seed uint64, o outcome)) {
	const shards = 8
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // much garbage, little that stays
	var mu sync.Mutex
	var next atomic.Int64
	t.Run("shards", func(t *testing.T) {
		for i := range shards {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for {
					seed := next.Add(1) - 1
					if seed >= int64(n) {
						return
					}
					o := make(uint64(seed)).run()
					mu.Lock()
					each(uint64(seed), o)
					mu.Unlock()
				}
			})
		}
	})
}

// tally sums up many outcomes.
type tally struct {
	kinds, hows, badHows map[string]int
	attempts             map[int]int
	bad                  []uint64
	first                map[uint64]outcome
	broken, resumed      int
	died, revived        int
	overwritten          int
	steps, n             int
}

func newTally() *tally {
	return &tally{kinds: map[string]int{}, hows: map[string]int{}, badHows: map[string]int{}, attempts: map[int]int{}, first: map[uint64]outcome{}}
}

func (y *tally) add(seed uint64, o outcome) {
	y.n++
	y.kinds[o.kind]++
	y.hows[o.how]++
	y.steps += o.steps
	for _, c := range []struct {
		is bool
		n  *int
	}{{o.broken != nil, &y.broken}, {o.resumed, &y.resumed}, {o.died, &y.died}, {o.revived, &y.revived}, {o.overwritten, &y.overwritten}} {
		if c.is {
			*c.n++
		}
	}
	if o.attempts > 0 {
		y.attempts[o.attempts]++
	}
	if o.bad != "" {
		y.bad = append(y.bad, seed)
		y.badHows[o.kind+", "+o.how]++
		if len(y.first) < 10 {
			y.first[seed] = o
		}
	}
}

// quantile of the attempts of the accepted copies.
func (y *tally) quantile(q float64) int {
	total := 0
	for _, n := range y.attempts {
		total += n
	}
	at := int(q * float64(total))
	for _, a := range slices.Sorted(maps.Keys(y.attempts)) {
		if at -= y.attempts[a]; at < 0 {
			return a
		}
	}
	return 0
}

func table(m map[string]int) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "\n  %8d  %s", m[k], k)
	}
	return b.String()
}

func (y *tally) String() string {
	return fmt.Sprintf("%d interleavings, %d steps of the owner\nengines:%s\ncopies:%s\n"+
		"the owner died in %d, left a broken database in %d, was followed by another in %d\n"+
		"blocks of the current header were overwritten during the copy in %d\ncopies finished by a second process: %d\nattempts: p50 %d, p99 %d, most %d",
		y.n, y.steps, table(y.kinds), table(y.hows), y.died, y.broken, y.revived, y.overwritten, y.resumed,
		y.quantile(0.5), y.quantile(0.99), y.quantile(0.9999999))
}

// TestInterleavings copies from a simulated owner, in as many interleavings as
// -interleavings says, and holds every copy to the states that were committed.
func TestInterleavings(t *testing.T) {
	if *simOne >= 0 {
		o := trial{base: *simBase, seed: uint64(*simOne), tracing: true}.run()
		t.Logf("engine %s\n%s", o.kind, strings.Join(o.trace, "\n"))
		require.Empty(t, o.bad)
		return
	}
	y := newTally()
	runAll(t, *simCount, func(seed uint64) trial { return trial{base: *simBase, seed: seed} }, y.add)
	t.Logf("base of the seeds: %d\n%v", *simBase, y)
	y.requireGood(t)
	assert.Less(t, float64(y.hows["failed: Moving"]), 0.01*float64(y.n), "copies that gave up")
}

// requireGood fails with the way to run the first bad interleavings again.
func (y *tally) requireGood(t *testing.T) {
	t.Helper()
	for seed, o := range y.first {
		t.Errorf("engine %s: %s\n  go test ./internal/hotcopy -run 'TestInterleavings$' -v -seed %d -interleaving %d", o.kind, o.bad, *simBase, seed)
	}
	if len(y.bad) > 0 {
		t.Errorf("%d bad copies of %d:%s", len(y.bad), y.n, table(y.badHows))
	}
}
