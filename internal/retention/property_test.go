package retention

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const seeds = 4000

// each runs the property on random backups and policies; a failure names the
// seed.
func each(t *testing.T, property func(t *testing.T, seed uint64, rng *rand.Rand, backups []Backup, p Policy)) {
	t.Helper()
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 7))
		property(t, seed, rng, randomBackups(rng), randomPolicy(rng))
	}
}

func TestOrderOfTheInputChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, seed uint64, rng *rand.Rand, backups []Backup, p Policy) {
		want := NewPlan(now, backups, p)
		shuffled := slices.Clone(backups)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		require.Equal(t, want, NewPlan(now, shuffled, p), "seed %d", seed)
	})
}

func TestKeptSetGrowsWithThePolicy(t *testing.T) {
	grew := 0
	each(t, func(t *testing.T, seed uint64, rng *rand.Rand, backups []Backup, p Policy) {
		kept := keptIDs(Decide(now, backups, p))
		for range 6 {
			q := larger(rng, p)
			more := keptIDs(Decide(now, backups, q))
			for id := range kept {
				require.True(t, more[id], "seed %d: %s stays by %q and goes by %q", seed, id, p, q)
			}
			if len(more) > len(kept) {
				grew++
			}
			p, kept = q, more
		}
	})
	require.Greater(t, grew, seeds/4)
}

func TestNeverEmpties(t *testing.T) {
	removed := 0
	each(t, func(t *testing.T, seed uint64, _ *rand.Rand, backups []Backup, p Policy) {
		decisions := Decide(now, backups, p)
		require.Len(t, decisions, len(backups), "seed %d", seed)
		kept := keptIDs(decisions)
		require.True(t, len(kept) > 0 || len(backups) == 0, "seed %d", seed)
		var counted, verified, failed []Backup
		for _, b := range newestFirst(backups) {
			switch {
			case b.Time.After(now):
				require.True(t, kept[b.ID], "seed %d: %s is of the future", seed, b.ID)
				continue
			case b.State == stateFailed:
				require.True(t, kept[b.ID] || len(failed) > 0, "seed %d: %s is the newest failed one", seed, b.ID)
				failed = append(failed, b)
			case b.State == "strange":
				require.True(t, kept[b.ID], "seed %d: %s", seed, b.ID)
			default:
				require.True(t, kept[b.ID] || len(counted) > 0, "seed %d: %s goes, and nothing newer counts", seed, b.ID)
			}
			if p.counts(b.State) {
				counted = append(counted, b)
			}
			if b.State == stateVerified {
				verified = append(verified, b)
			}
		}
		for _, b := range counted[:min(len(counted), max(p.MinVerified, 1))] {
			require.True(t, kept[b.ID], "seed %d: %s is one of the newest %d", seed, b.ID, p.MinVerified)
		}
		require.True(t, len(verified) == 0 || kept[verified[0].ID], "seed %d: the newest verified", seed)
		for _, d := range decisions {
			require.NotEmpty(t, d.Reason)
			require.Equal(t, d.Keep, len(d.Rules) > 0)
		}
		removed += len(backups) - len(kept)
		for _, d := range Decide(now, backups, Policy{Tags: p.Tags, MinVerified: p.MinVerified}) {
			require.True(t, d.Keep, "seed %d: without a rule", seed)
		}
	})
	require.Greater(t, removed, seeds)
}

func TestPruningTwiceIsPruningOnce(t *testing.T) {
	each(t, func(t *testing.T, seed uint64, _ *rand.Rand, backups []Backup, p Policy) {
		kept := keptIDs(Decide(now, backups, p))
		left := slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return !kept[b.ID] })
		again := keptIDs(Decide(now, left, p))
		require.Equal(t, kept, again, "seed %d: %s", seed, p)
	})
}

// TestClockJumpRemovesNothing: two clocks that differ by anything from seconds
// to years, in either order.
func TestClockJumpRemovesNothing(t *testing.T) {
	between := 0
	each(t, func(t *testing.T, seed uint64, rng *rand.Rand, backups []Backup, p Policy) {
		early := now.Add(time.Duration(100-rng.IntN(200)) * time.Hour)
		late := early.Add(time.Duration(rng.Int64N(int64(20*365*24*time.Hour))) >> rng.IntN(20))
		first, second := keptIDs(Decide(early, backups, p)), keptIDs(Decide(late, backups, p))
		for id := range second {
			require.True(t, first[id], "seed %d: %s goes by the earlier clock only", seed, id)
		}
		if !slices.ContainsFunc(backups, func(b Backup) bool { return b.Time.After(early) && !b.Time.After(late) }) {
			require.Equal(t, first, second, "seed %d: nothing happened between the clocks", seed)
		} else {
			between++
		}
	})
	require.Greater(t, between, seeds/8)
	require.Less(t, between, seeds*9/10)
}

// TestOneJumpKeepsWhatIsYoung: from some backup on, the clock is ahead by
// anything. What was made before, is truly younger than a period, and pinned to
// a time that truly has not come, stays.
func TestOneJumpKeepsWhatIsYoung(t *testing.T) {
	young, pinned := 0, 0
	each(t, func(t *testing.T, seed uint64, rng *rand.Rand, backups []Backup, p Policy) {
		if len(backups) == 0 {
			return
		}
		p = Policy{Within: randomPeriod(rng), MinVerified: 1, CountStructure: p.CountStructure}
		p.Within.Hours++
		backups = slices.DeleteFunc(newestFirst(backups), func(b Backup) bool { return b.Time.After(now) })
		if len(backups) == 0 {
			return
		}
		truly := backups[0].Time
		jump := time.Duration(rng.Int64N(int64(50 * 365 * 24 * time.Hour)))
		if rng.IntN(2) == 0 {
			jump /= 1000
		}
		ahead := rng.IntN(len(backups) + 1)
		jumped := slices.Clone(backups)
		for i := range jumped[:ahead] {
			jumped[i].Time = jumped[i].Time.Add(jump)
			jumped[i].Pin = nil
		}
		kept := keptIDs(Decide(now.Add(jump), jumped, p))
		for _, b := range jumped[ahead:] {
			if p.counts(b.State) && p.Within.After(b.Time).After(truly) {
				young++
				require.True(t, kept[b.ID], "seed %d: %s is younger than %s", seed, b.ID, p.Within)
			}
			before := ahead == 0 || b.Pin != nil && b.Pin.At.Before(backups[ahead-1].Time)
			if b.Pin != nil && before && !truly.After(b.Pin.Until) {
				pinned++
				require.True(t, kept[b.ID], "seed %d: %s is pinned until %s", seed, b.ID, b.Pin.Until)
			}
		}
	})
	require.Greater(t, young, seeds/2)
	require.Greater(t, pinned, seeds/50)
}

func newestFirst(backups []Backup) []Backup {
	sorted := slices.Clone(backups)
	slices.SortFunc(sorted, func(a, b Backup) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID))
	})
	return sorted
}
