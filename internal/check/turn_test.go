package check

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

func ids(all []candidate) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.id)
	}
	return out
}

func TestTurn(t *testing.T) {
	all := []candidate{
		{id: "new", bytes: 100},
		{id: "last week", bytes: 100, read: start.AddDate(0, 0, -7)},
		{id: "yesterday", bytes: 100, read: start.AddDate(0, 0, -1), checked: start.AddDate(0, 0, -1)},
		{id: "last month", bytes: 100, read: start.AddDate(0, -1, 0)},
	}
	tests := []struct {
		name string
		turn Turn
		want []string
	}{
		{"everything, the longest unread first", Turn{}, []string{"new", "last month", "last week", "yesterday"}},
		{"a quarter", Turn{Share: 4}, []string{"new"}},
		{"a third", Turn{Share: 3}, []string{"new", "last month"}}, // rounded up to a whole backup
		{"one of one", Turn{Share: 1}, []string{"new", "last month", "last week", "yesterday"}},
		{"within ten days, a day after the last run", Turn{Within: 10 * 24 * time.Hour}, []string{"new", "last month"}},
		{"within eight days last week is due before the next run", Turn{Within: 8 * 24 * time.Hour}, []string{"new", "last month", "last week"}},
		{"within an hour, which is shorter than the pause", Turn{Within: time.Hour}, []string{"new", "last month", "last week", "yesterday"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, ids(tt.turn.take(start, all))) })
	}
	assert.Empty(t, Turn{Share: 3}.take(start, nil))
}

// simulate runs checks a day apart on a repository that gets a backup a day and
// loses the oldest, and returns how much each run read.
func simulate(t *testing.T, seed uint64, turn Turn, runs int, each func(now time.Time, all []candidate)) (reads []int64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	var all []candidate
	for i := range 60 {
		all = append(all, candidate{id: fmt.Sprintf("old-%03d", i), bytes: 1 + random.Int64N(1000)})
	}
	now := start
	for run := range runs {
		at := map[string]bool{}
		var sum int64
		for _, c := range turn.take(now, all) {
			at[c.id] = true
			sum += c.bytes
		}
		reads = append(reads, sum)
		for i := range all {
			if at[all[i].id] {
				all[i].read, all[i].checked = now, now
			}
		}
		each(now, all)
		now = now.Add(24 * time.Hour)
		all = append(all[1:], candidate{id: fmt.Sprintf("new-%03d", run), bytes: 1 + random.Int64N(1000), read: now})
	}
	return reads
}

func TestShareReadsEverythingInSoManyRuns(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		share := 2 + random.IntN(9)
		var all []candidate
		for i := range 1 + random.IntN(50) {
			c := candidate{id: fmt.Sprint(i), bytes: random.Int64N(1 << 40)}
			if random.IntN(2) == 0 {
				c.read = start.Add(-time.Duration(random.Int64N(1e15)))
			}
			all = append(all, c)
		}
		for run := range share {
			now := start.Add(time.Duration(run+1) * time.Hour)
			for _, c := range (Turn{Share: share}).take(now, all) {
				for i := range all {
					if all[i].id == c.id {
						all[i].read = now
					}
				}
			}
		}
		for _, c := range all {
			require.True(t, c.read.After(start), "seed %d: backup %s was not read in %d runs", seed, c.id, share)
		}
	}
}

func TestWithinReadsEverythingInTimeAndEvenly(t *testing.T) {
	const days = 10
	for seed := range uint64(50) {
		reads := simulate(t, seed, Turn{Within: days * 24 * time.Hour}, 60, func(now time.Time, all []candidate) {
			if now.Before(start.AddDate(0, 0, days)) {
				return
			}
			for _, c := range all {
				require.Less(t, now.Sub(c.read), days*24*time.Hour, "seed %d: %s", seed, c.id)
			}
		})
		var most, sum int64
		for _, n := range reads[days:] {
			most, sum = max(most, n), sum+n
		}
		mean := sum / int64(len(reads[days:]))
		assert.Less(t, most, 3*mean, "seed %d: one run reads much more than the others", seed)
	}
}
