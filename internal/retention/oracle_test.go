package retention

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oracle says by brute force which backups the rules keep: for every backup and
// rule it counts the slots that newer ones take.
func oracle(backups []Backup, p Policy) map[string]bool {
	var counted []Backup
	for _, b := range newestFirst(backups) {
		if !b.Time.After(now) && p.counts(b.State) {
			counted = append(counted, b)
		}
	}
	formats := []string{"", "2006-01-02 15 -0700", "2006-01-02", "week", "2006-01", "2006"}
	label := func(kind int, b Backup) [2]any {
		at := b.Time.In(p.location())
		switch formats[kind] {
		case "":
			return [2]any{b.ID}
		case "week":
			year, week := at.ISOWeek()
			return [2]any{year, week}
		}
		return [2]any{at.Format(formats[kind])}
	}
	keep := map[string]bool{}
	for i, b := range counted {
		newer := counted[:i]
		for kind, n := range p.numbers() {
			labels := map[[2]any]bool{}
			for _, other := range newer {
				labels[label(kind, other)] = true
			}
			first := !labels[label(kind, b)]
			if n != 0 && (n < 0 || len(labels) < n) && (first || i == len(counted)-1) {
				keep[b.ID] = true
			}
		}
		for kind, period := range p.periods() {
			taken := slices.ContainsFunc(newer, func(other Backup) bool { return label(kind, other) == label(kind, b) })
			if period.IsZero() || taken && i < len(counted)-1 {
				continue
			}
			var gap time.Duration
			for j := range newer {
				gap = max(gap, counted[j].Time.Sub(counted[j+1].Time))
			}
			if period.After(b.Time).After(counted[0].Time.Add(-gap)) {
				keep[b.ID] = true
			}
		}
	}
	return keep
}

// TestRulesKeepWhatTheyShould compares with the oracle: nothing less, and of
// what counts nothing more but for the newest ones, tags and pins.
func TestRulesKeepWhatTheyShould(t *testing.T) {
	amsterdam := zone(t, "Europe/Amsterdam")
	gone := 0
	each(t, func(t *testing.T, seed uint64, rng *rand.Rand, backups []Backup, p Policy) {
		p.Tags, p.MinVerified = nil, 1
		if rng.IntN(2) == 0 {
			p.Location = amsterdam
		}
		want := oracle(backups, p)
		decisions := Decide(now, backups, p)
		kept := keptIDs(decisions)
		ranked := 0
		for _, b := range newestFirst(backups) {
			if b.Time.After(now) || !p.counts(b.State) {
				continue
			}
			ranked++
			require.True(t, kept[b.ID] || !want[b.ID], "seed %d: %s goes, by %s", seed, b.ID, p)
			if b.Pin == nil && ranked > 1 && b.ID != newWalk(now, backups, p).newestVerified {
				require.Equal(t, want[b.ID], kept[b.ID], "seed %d: %s stays, by %s", seed, b.ID, p)
			}
			if !kept[b.ID] {
				gone++
			}
		}
	})
	require.Greater(t, gone, seeds/2)
}
