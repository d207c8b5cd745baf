package livetest

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Tally counts what came of the copies by one method. The zero value is ready.
type Tally struct {
	Copies   int
	Bad      map[string]int // how each bad one showed
	Lost     int            // sound, but without entries that were committed before
	GaveUp   int            // no copy could be accepted
	Engine   int            // what is wrong in them is wrong in the owner's own state
	Rules    map[string]int
	attempts []int
	took     []time.Duration
}

// Add counts a copy, whose verdict follows.
func (c *Tally) Add(t Taken) {
	c.Copies++
	c.attempts = append(c.attempts, t.Attempts)
	c.took = append(c.took, t.Took)
	if t.Rule != "" {
		count(&c.Rules, t.Rule)
	}
}

// Judge counts the verdict on a copy.
func (c *Tally) Judge(v Verdict) {
	switch v.Kind {
	case "":
	case Lost:
		c.Lost++
	default:
		count(&c.Bad, v.Kind)
	}
}

// BadCopies is how many are not sound.
func (c *Tally) BadCopies() int {
	n := 0
	for _, k := range c.Bad {
		n += k
	}
	return n
}

func (c *Tally) String() string {
	return fmt.Sprintf("%d copies: %d bad, %d lost, %d given up; attempts p50 %d p99 %d; seconds p50 %.2f; rules %s; bad ones: %s",
		c.Copies, c.BadCopies(), c.Lost, c.GaveUp, quantile(c.attempts, 0.5), quantile(c.attempts, 0.99),
		quantile(c.took, 0.5).Seconds(), counts(c.Rules), counts(c.Bad))
}

func count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

func counts(m map[string]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", key, m[key]))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// quantile returns the smallest value that at least the share q of all values
// does not exceed, 0 for none.
func quantile[T cmp.Ordered](values []T, q float64) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}
