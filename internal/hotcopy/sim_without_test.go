package hotcopy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// searchBad runs interleavings until one ends with a bad copy, in batches, and
// returns its seed and outcome; false: none of the limit did.
func searchBad(t *testing.T, base uint64, limit int, make func(seed uint64) trial) (uint64, outcome, bool) {
	t.Helper()
	const batch = 50
	for from := uint64(0); from < uint64(limit); from += batch {
		var found *outcome
		var at uint64
		runAll(t, batch, func(i uint64) trial { return make(from + i) }, func(i uint64, o outcome) {
			if o.bad != "" && (found == nil || from+i < at) {
				at, found = from+i, &o
			}
		})
		if found != nil {
			return at, *found, true
		}
	}
	return 0, outcome{}, false
}

// TestEachPrecautionIsNeeded leaves out one precaution of the copy at a time.
// The same interleavings end badly without it and well with it.
func TestEachPrecautionIsNeeded(t *testing.T) {
	const base = 7
	for _, c := range []struct {
		name    string
		without check
	}{
		{"the marker at the end", withoutMarker},
		{"the headers at the end", withoutEndHeaders},
		{"the blocks that the WAL refers to", withoutRowGroups},
		{"the wait of rule C", withoutSettle},
		{"what the next header freed", withoutFreed},
		{"the release of a hold", withoutRelease},
	} {
		t.Run(c.name, func(t *testing.T) {
			const limit = 4_000
			seed, o, found := searchBad(t, base, limit, func(seed uint64) trial {
				return trial{base: base, seed: seed, without: c.without, window: true, held: c.without == withoutRelease}
			})
			require.True(t, found, "nothing bad in %d interleavings", limit)
			t.Logf("interleaving %d, engine %s: %s", seed, o.kind, o.bad)
			runAll(t, int(seed)+1, func(seed uint64) trial {
				return trial{base: base, seed: seed, window: true, held: c.without == withoutRelease}
			}, func(seed uint64, o outcome) {
				assert.Empty(t, o.bad, "interleaving %d with the precaution", seed)
			})
		})
	}
}

// TestPrecautionsThatOthersCover: what these prevent is found out later by
// another precaution, at the price of a pass. They are no part of the proof.
func TestPrecautionsThatOthersCover(t *testing.T) {
	const base = 8
	for _, c := range []struct {
		name    string
		without check
	}{
		{"the gate, by the rules for a running checkpoint", withoutGate},
		{"the checksums of blocks, by the check of what was stored", withoutBlockCheck},
		{"the pairing of WAL and headers, by the headers at the end", withoutPairing},
		{"the WAL at the end, by the headers at the end", withoutPrefix},
		{"the second read of flip, by the time of the first", withoutCompare},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := max(10, *simCount/100)
			require.Positive(t, n)
			y := newTally()
			runAll(t, n, func(seed uint64) trial {
				return trial{base: base, seed: seed, without: c.without, window: seed%2 == 0}
			}, y.add)
			assert.Empty(t, y.badHows)
		})
	}
}

// TestEachAssumptionIsNeeded breaks what rule C assumes of the owner's timing.
// If no bad copy came of it the simulation would not reach what the assumptions
// are about.
func TestEachAssumptionIsNeeded(t *testing.T) {
	const base = 11
	for _, c := range []struct {
		name string
		make func(seed uint64) trial
	}{
		{"A7", func(seed uint64) trial { return trial{base: base, seed: seed, slow: true, window: true} }},
		{"A8", func(seed uint64) trial { return trial{base: base, seed: seed, hasty: true, window: true} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed, o, found := searchBad(t, base, 20_000, c.make)
			require.True(t, found)
			t.Logf("interleaving %d, engine %s: %s", seed, o.kind, o.bad)
			assert.Contains(t, o.how, "C ", fmt.Sprintf("only rule C rests on %s", c.name))
		})
	}
}

// TestRuleBNeedsAnEngineThatFreesLate: what the operator vouches for must be so.
func TestRuleBNeedsAnEngineThatFreesLate(t *testing.T) {
	const base = 13
	seed, o, found := searchBad(t, base, 4_000, func(seed uint64) trial {
		return trial{base: base, seed: seed, lied: true, window: true}
	})
	require.True(t, found)
	t.Logf("interleaving %d, engine %s: %s", seed, o.kind, o.bad)
	assert.Contains(t, o.how, "B")
	assert.Contains(t, o.kind, "1.5")
}
