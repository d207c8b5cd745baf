package livetest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shapes are the loads of TestCopiesOfLiveOwners, and how many copies are taken
// under each.
var shapes = []struct {
	name   string
	load   Load
	limit  int64
	vouch  bool
	copies int
}{
	{"normal", Load{Threshold: "1MB", Pause: 3 * time.Millisecond, Flood: 130_000, Calm: 100 * time.Millisecond}, 0, true, 25},
	{"folding", Load{Threshold: "1KB", Pause: 50 * time.Millisecond}, 0, true, 15},
	{"past the WAL", Load{Threshold: "1KB", Pause: 50 * time.Millisecond, SkipWAL: true}, 0, false, 5},
	{"copied slowly", Load{Threshold: "2MB", Pause: 10 * time.Millisecond, Flood: 130_000, Calm: 300 * time.Millisecond}, 24 << 20, false, 15},
}

// TestCopiesOfLiveOwners copies from each kind of owner while it writes, and
// has every copy checked by the owner's version of DuckDB.
func TestCopiesOfLiveOwners(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds(t, bin) {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			total := 0
			for _, shape := range shapes {
				t.Run(shape.name, func(t *testing.T) {
					database := filepath.Join(t.TempDir(), "shop.duckdb")
					owner := kind.Start(t, database, shape.load)
					source := Source{Kind: kind, Owner: owner, Limit: shape.limit, Settle: time.Second, Vouch: shape.vouch}
					owner.WaitFor(t, 60)
					newest := copyInARow(t, source, shape.copies)
					committed := owner.Committed(t)
					owner.Stop(t)
					verdict, err := kind.Check(t, database, max(committed, newest), math.MaxInt64)
					require.NoError(t, err)
					assert.Emptyf(t, verdict.Kind, "the owner's own database: %q", verdict.Faults)
				})
				total += shape.copies
			}
			assert.GreaterOrEqual(t, total, 60)
		})
	}
}

// copyInARow takes copies, and checks each while the next one is taken. It
// returns the newest ledger entry of all.
func copyInARow(t *testing.T, source Source, copies int) (newest int64) {
	queue := make(chan Taken, 2)
	checked := make(chan int64)
	go func() {
		var newest int64
		for taken := range queue {
			verdict, err := source.Kind.Check(t, taken.Path, taken.AtLeast, taken.AtMost)
			if !assert.NoError(t, err) {
				continue
			}
			assert.Emptyf(t, verdict.Kind, "copy by rule %s in %d attempts: %q", taken.Rule, taken.Attempts, verdict.Faults)
			assert.GreaterOrEqual(t, verdict.Last, newest, "a later copy holds less")
			newest = max(newest, verdict.Last)
			assert.NoError(t, os.RemoveAll(filepath.Dir(taken.Path)))
		}
		checked <- newest
	}()
	tally := &Tally{}
	dir := t.TempDir()
	var err error
	for i := range copies {
		target := filepath.Join(dir, fmt.Sprint(i), "copy.duckdb")
		var taken Taken
		if err = os.Mkdir(filepath.Dir(target), 0o700); err == nil {
			taken, err = Ours.Take(t.Context(), source, target)
		}
		if err != nil {
			break
		}
		tally.Add(taken)
		queue <- taken
	}
	close(queue)
	newest = <-checked
	require.NoError(t, err)
	t.Logf("%s", tally)
	return newest
}
