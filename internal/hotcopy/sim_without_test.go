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
	const batch = 250
	for from := uint64(0); from < uint64(limit); from += batch {
		var found *outcome
		var at uint64
		runAll(t, batch, func(i uint64) trial { return make(from + i) }, func(i uint64, o outcome) {
			if o.bad != "" && o.attempts > 0 && (found == nil || from+i < at) {
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
// The same interleavings end with a bad copy without it and with a good one
// with it.
func TestEachPrecautionIsNeeded(t *testing.T) {
	const base = 7
	for _, c := range []struct {
		name    string
		without check
		limit   int
	}{
		{"the marker at the end", withoutMarker, 20_000},
		{"the gate", withoutGate, 20_000},
		{"the headers at the end", withoutEndHeaders, 2_000},
		{"the pairing of WAL and headers", withoutPairing, 20_000},
		{"the blocks that the WAL refers to", withoutRowGroups, 2_000},
		{"the checksums of blocks", withoutBlockCheck, 5_000},
		{"the WAL at the end", withoutPrefix, 20_000},
		{"the wait of rule C", withoutSettle, 20_000},
		{"the second read of flip", withoutCompare, 20_000},
		{"the release of a hold", withoutRelease, 5_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed, o, found := searchBad(t, base, c.limit, func(seed uint64) trial {
				return trial{base: base, seed: seed, without: c.without}
			})
			require.True(t, found, "no bad copy in %d interleavings", c.limit)
			t.Logf("interleaving %d, engine %s: %s", seed, o.kind, o.bad)
			runAll(t, int(seed)+1, func(seed uint64) trial { return trial{base: base, seed: seed} }, func(seed uint64, o outcome) {
				assert.Empty(t, o.bad, "interleaving %d with the precaution", seed)
			})
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
		{"A7", func(seed uint64) trial { return trial{base: base, seed: seed, slow: true} }},
		{"A8", func(seed uint64) trial { return trial{base: base, seed: seed, hasty: true} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed, o, found := searchBad(t, base, 20_000, c.make)
			require.True(t, found)
			t.Logf("interleaving %d, engine %s: %s", seed, o.kind, o.bad)
			assert.Contains(t, o.how, "C ", fmt.Sprintf("only rule C rests on %s", c.name))
		})
	}
}
