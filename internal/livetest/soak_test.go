package livetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"canvasback/internal/failure"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	soakFor  = flag.Duration("soak", 6*time.Second, "how long TestSoak copies")
	soakSeed = flag.Uint64("soak-seed", 0, "seed of TestSoak's loads; 0: one of the clock's")
	soakKeep = flag.String("soak-keep", "", "directory in which TestSoak leaves those of our copies that are bad, as they were taken")
)

const (
	// lanes is how many owners TestSoak has at a time.
	lanes = 2
	// oneEpoch is how long a database lives.
	oneEpoch = time.Minute
	// oneCopy bounds a copy of the few megabytes that the owners have.
	oneCopy = time.Minute
	// progressEvery is the time between two tables of a long soak.
	progressEvery = 3 * time.Minute
)

// TestSoak copies for as long as -soak says, from all kinds of owners under
// changing loads, with what people use instead beside it, and prints a table.
// It fails where one of our copies is bad. With -v it prints the table every
// few minutes. A long one needs a longer -timeout:
//
//	go test ./internal/livetest -run TestSoak -v -soak 1h -timeout 2h
func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-soak %v -soak-seed %d", *soakFor, seed)
	kinds := Kinds(t, bin)
	book := &Book{}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for ticker := time.NewTicker(progressEvery); ; {
			select {
			case <-ticker.C:
				t.Logf("so far:\n%s", book)
			case <-ended:
				ticker.Stop()
				return
			}
		}
	}()
	deadline := time.Now().Add(*soakFor)
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				s := &soak{t: t, book: book, rand: rand.New(rand.NewPCG(seed, uint64(lane))), kinds: kinds}
				for i := 0; i < len(kinds)/lanes || time.Now().Before(deadline); i++ {
					s.epoch(kinds[(lane*len(kinds)/lanes+i)%len(kinds)], min(oneEpoch, *soakFor/lanes))
				}
			})
		}
	})
	t.Logf("%v, seed %d:\n%s", *soakFor, seed, book)
	copies, bad, lost := book.Total(Ours)
	assert.Positive(t, copies)
	assert.Zero(t, bad, "bad copies of ours")
	assert.Zero(t, lost, "copies of ours that lack commits")
	for _, method := range Baselines {
		copies, _, _ := book.Total(method)
		assert.Positive(t, copies, method.Name)
	}
}

// soakShapes are the loads, with the read speed that lets most copies span a
// checkpoint and yet end.
var soakShapes = []struct {
	load  Load
	limit int64
}{
	{Load{Threshold: "1KB", Pause: 50 * time.Millisecond}, 0},
	{Load{Threshold: "1KB", Pause: 50 * time.Millisecond, SkipWAL: true}, 0},
	{Load{Threshold: "64KB", Pause: 20 * time.Millisecond, Flood: 130_000, Calm: 300 * time.Millisecond}, 48 << 20},
	{Load{Threshold: "256KB", Pause: 10 * time.Millisecond, SkipWAL: true, Flood: 130_000, Calm: 200 * time.Millisecond}, 32 << 20},
	{Load{Threshold: "1MB", Pause: 2 * time.Millisecond, Flood: 130_000, Calm: 50 * time.Millisecond}, 64 << 20},
	{Load{Threshold: "1MB", Pause: 5 * time.Millisecond, Flood: 250_000, Calm: 200 * time.Millisecond}, 24 << 20},
	{Load{Threshold: "4MB", Pause: 5 * time.Millisecond, Flood: 130_000, Calm: 100 * time.Millisecond}, 16 << 20},
}

// soak is one lane.
type soak struct {
	t     *testing.T
	book  *Book
	rand  *rand.Rand
	kinds []Kind
}

// epoch has one database, and in a long soak two owners of it in turn.
func (s *soak) epoch(kind Kind, length time.Duration) {
	dir, err := os.MkdirTemp(s.t.TempDir(), "epoch")
	require.NoError(s.t, err)
	defer func() { assert.NoError(s.t, os.RemoveAll(dir)) }()
	database := filepath.Join(dir, "shop.duckdb")
	owners := 1
	if length > oneEpoch/4 {
		owners = 2
	}
	for range owners {
		shape := soakShapes[s.rand.IntN(len(soakShapes))]
		owner := kind.Start(s.t, database, shape.load)
		source := Source{Kind: kind, Owner: owner, Limit: shape.limit, Settle: time.Second, Vouch: s.rand.IntN(2) == 0}
		err := owner.Reach(60)
		for begin := time.Now(); err == nil && time.Since(begin) < length/time.Duration(owners); {
			err = s.round(source, dir)
		}
		if err == nil {
			err = owner.Quit()
		}
		if errors.Is(err, errEngine) {
			return
		}
		if ended := owner.Ended(); err != nil && ended != nil {
			verdict, checkErr := kind.Check(s.t, database, 0, math.MaxInt64)
			require.NoError(s.t, checkErr)
			s.book.Fault(kind, "under %v the owner died: %v; its database: %q %q", shape.load, ended, verdict.Kind, verdict.Faults)
			return
		}
		require.NoError(s.t, err)
		s.own(source, dir)
	}
}

// own checks the database of an owner that has ended as it should.
func (s *soak) own(source Source, dir string) {
	copied := filepath.Join(dir, "own.duckdb")
	require.NoError(s.t, source.copyFiles(s.t.Context(), copied, logSuffixes...))
	verdict, err := source.Kind.Check(s.t, copied, 1, math.MaxInt64)
	require.NoError(s.t, err)
	Remove(s.t, copied)
	if verdict.Kind != "" {
		s.book.Fault(source.Kind, "the owner's own database after its end: %s %q", verdict.Kind, verdict.Faults)
	}
}

// errEngine says that the owner's own state is bad.
var errEngine = errors.New("the owner's own state is bad")

// round takes three copies of ours, and one by each of the other methods. Bad
// ones are bad only if the owner's own state is not.
func (s *soak) round(source Source, dir string) error {
	type bad struct {
		method  Method
		verdict Verdict
	}
	var found []bad
	for _, baseline := range Baselines {
		for _, method := range []Method{Ours, baseline} {
			verdict, err := s.one(source, method, dir)
			if err != nil {
				return err
			}
			if verdict.Kind != "" {
				found = append(found, bad{method, verdict})
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	faults, err := s.state(source, dir)
	for _, f := range found {
		if faults != nil {
			s.book.Write(source.Kind, f.method, func(c *Tally) { c.Engine++ })
			continue
		}
		s.book.Write(source.Kind, f.method, func(c *Tally) { c.Judge(f.verdict) })
		if f.method.Name == Ours.Name {
			assert.Failf(s.t, "a copy of ours is bad", "%s: %s %q", source.Kind.Name, f.verdict.Kind, f.verdict.Faults)
		}
	}
	if err == nil && faults != nil {
		s.book.Fault(source.Kind, "the running owner's state: %q", faults)
		err = errEngine
	}
	return err
}

// state returns what is wrong in the owner's own state, nil for nothing. It may
// be between two states that are right, so one look that finds nothing is
// enough.
func (s *soak) state(source Source, dir string) (faults []string, err error) {
	for i := range 3 {
		target := filepath.Join(dir, fmt.Sprintf("frozen%d.duckdb", i))
		frozen, err := source.Frozen(s.t.Context(), target)
		if err != nil {
			return nil, err
		}
		verdict, err := source.Kind.Check(s.t, target, frozen.AtLeast, frozen.AtMost)
		require.NoError(s.t, err)
		Remove(s.t, target)
		if verdict.Kind == "" {
			return nil, nil
		}
		faults = append(faults, verdict.Faults...)
	}
	return faults, nil
}

// one takes a copy and checks it.
func (s *soak) one(source Source, method Method, dir string) (Verdict, error) {
	room, err := os.MkdirTemp(dir, "copy")
	require.NoError(s.t, err)
	defer func() { assert.NoError(s.t, os.RemoveAll(room)) }()
	ctx, cancel := context.WithTimeout(s.t.Context(), oneCopy)
	defer cancel()
	taken, err := method.Take(ctx, source, filepath.Join(room, "copy.duckdb"))
	if err != nil && source.Owner.Ended() == nil && (ctx.Err() != nil || failure.Of(err) == failure.Moving) {
		s.book.Write(source.Kind, method, func(c *Tally) { c.GaveUp++ })
		return Verdict{}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	kept := s.keep(method, taken)
	verdict, err := source.Kind.Check(s.t, taken.Path, taken.AtLeast, taken.AtMost)
	if err != nil {
		return verdict, err
	}
	s.book.Write(source.Kind, method, func(c *Tally) { c.Add(taken) })
	if verdict.Kind == "" && kept != "" {
		require.NoError(s.t, os.RemoveAll(kept))
	}
	return verdict, nil
}

// keep saves a copy of ours, which its check will change, where -soak-keep says.
func (s *soak) keep(method Method, taken Taken) string {
	if *soakKeep == "" || method.Name != Ours.Name {
		return ""
	}
	kept, err := os.MkdirTemp(*soakKeep, "copy")
	require.NoError(s.t, err)
	for _, suffix := range []string{"", ".wal"} {
		if err := copyFile(s.t.Context(), taken.Path+suffix, filepath.Join(kept, "copy.duckdb"+suffix), nil); !errors.Is(err, os.ErrNotExist) {
			require.NoError(s.t, err)
		}
	}
	return kept
}
