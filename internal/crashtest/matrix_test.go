package crashtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/repo"
	"canvasback/internal/vfs/vfstest"
)

// cell counts what one operation met of one fault.
type cell struct {
	operation, fault string
	points           int // moments at which the fault struck
	passed           int // of those, the operation succeeded all the same
	failures         []string
}

// add counts a point; err says how the promise was broken.
func (c *cell) add(err error, format string, args ...any) {
	c.points++
	if err != nil {
		c.failures = append(c.failures, fmt.Sprintf(format, args...)+": "+err.Error())
	}
}

// report prints the table, shows the first failures of each cell, and wants at
// least so many points in each.
func report(t *testing.T, cells []*cell, least map[string]int) {
	t.Helper()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "operation\tfault\tpoints\tdone all the same\tfailures")
	total := 0
	for _, c := range cells {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", c.operation, c.fault, c.points, c.passed, len(c.failures))
		total += c.points
	}
	_ = w.Flush() // a strings.Builder takes everything
	t.Logf("crash matrix: %d points\n%s", total, &text)
	for _, c := range cells {
		want := least[c.operation]
		if strings.HasPrefix(c.fault, "ENOSPC") {
			want = leastFull[c.operation]
		}
		assert.GreaterOrEqual(t, c.points, want, "points of %s under %s", c.operation, c.fault)
		for i, f := range c.failures {
			if i < 3 {
				t.Errorf("%s under %s: %s", c.operation, c.fault, f)
			}
		}
	}
}

// leastPoints of a fault in each operation: fewer mean that the sweep no
// longer sees what it is there for.
var leastPoints = map[string]int{"copy": 20, "commit": 15, "verify": 10, "prune": 10, "sweep": 10, "restore": 20, "backup": 60}

// leastFull is that of a full disk. A sweep takes no space.
var leastFull = map[string]int{"copy": 20, "commit": 5, "verify": 5, "prune": 3, "sweep": 0, "restore": 10, "backup": 30}

// stage is a world in memory, ready for one operation.
type stage struct {
	op     operation
	mem    *vfstest.Mem // never changed
	oracle *oracle
}

// world is a fresh one on a disk of its own.
func (s *stage) world() (world, *vfstest.Mem) {
	mem := s.mem.CrashClone(1)
	return world{fs: mem, root: "/w", level: "bytes"}, mem
}

func newStage(t *testing.T, op operation, all []content, book *contentBook) *stage {
	t.Helper()
	mem := vfstest.NewMem()
	w := makeWorld(t, mem, "/w", "bytes", all)
	require.NoError(t, op.prepare(w), op.name)
	o, err := newOracle(w, book)
	require.NoError(t, err)
	list, err := w.list()
	require.NoError(t, err)
	for _, m := range list {
		if m.Run == op.restores {
			o.restored = m.ID
		}
	}
	require.NoError(t, o.check(w, false), "before the operation %s", op.name)
	return &stage{op: op, mem: mem.CrashClone(1), oracle: o}
}

// leaseEnds is a time after which a run that nobody continues has lost its
// lease.
const leaseEnds = 10 * time.Minute

// aftermath is the whole promise after a fault: fork makes a copy of the world
// in which nobody holds a lock.
func (s *stage) aftermath(w world, fork func() world) error {
	if err := s.oracle.check(w, s.op.prunes); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	other := fork()
	err := s.op.do(w)
	if s.op.newRun && err != nil && strings.Contains(err.Error(), "exists already, and not from this run") {
		// Two runs of one second have one ID in 65,536 cases, and so many are tried.
		err = s.op.do(w)
	}
	if err != nil {
		return fmt.Errorf("the same again: %w", err)
	}
	if err := s.settled(w); err != nil {
		return fmt.Errorf("after the same again: %w", err)
	}
	// Nobody comes back: another run, when the lease has ended.
	other = other.later(leaseEnds)
	if err := other.backup("other"); err != nil {
		return fmt.Errorf("another run: %w", err)
	}
	if err := errors.Join(s.oracle.check(other, true), other.wantState("other-1", repo.StateVerified), other.wantSwept()); err != nil {
		return fmt.Errorf("after another run: %w", err)
	}
	return nil
}

// settled: the operation is done, and a sweep leaves nothing but what is
// listed.
func (s *stage) settled(w world) error {
	err := errors.Join(s.oracle.check(w, s.op.prunes), s.op.done(w), w.wantSwept())
	if s.op.restores != "" {
		err = errors.Join(err, w.wantNoStage())
	}
	return err
}

// wantSwept sweeps and wants the repository clean.
func (w world) wantSwept() error {
	if err := w.sweep(); err != nil {
		return err
	}
	return w.wantClean()
}

// TestMatrix prints the table; see the package comment.
func TestMatrix(t *testing.T) {
	all := make([]content, versions)
	for i := range all {
		all[i] = makeContent(t, i+1)
	}
	book := newContentBook(t)
	var cells []*cell
	for _, op := range operations() {
		s := newStage(t, op, all, book)
		for _, f := range faults {
			cells = append(cells, s.failEach(t, f))
		}
		cells = append(cells, s.crashEach(t))
	}
	report(t, cells, leastPoints)
}

// failEach lets the fault strike at the n-th operation for every n.
func (s *stage) failEach(t *testing.T, f fault) *cell {
	c := &cell{operation: s.op.name, fault: f.name}
	for n := 1; ; n++ {
		w, mem := s.world()
		broken := f.strike(mem, n)
		err := s.op.do(w.on(broken))
		if broken.struck() == (vfstest.Op{}) {
			require.NoError(t, err, "%s without a fault", s.op.name)
			require.NoError(t, s.settled(w), "%s without a fault", s.op.name)
			return c
		}
		problem := f.judge(s.op, broken.struck(), err)
		if err == nil {
			c.passed++
			// What is done is durable.
			lost, _ := fork(w, mem.CrashClone(0))
			problem = errors.Join(problem, s.op.done(w), s.oracle.check(lost, s.op.prunes), s.op.done(lost))
		}
		if problem == nil {
			problem = s.aftermath(w, func() world { forked, _ := fork(w, mem.CrashClone(1)); return forked })
		}
		c.add(problem, "operation %d, %v, which made it end with [%v]", n, broken.struck(), err)
	}
}

func fork(w world, mem *vfstest.Mem) (world, *vfstest.Mem) { return w.on(mem), mem }

// seeds of what a crash keeps; 1 keeps everything, as a kill does.
const seeds = 5

// crashEach stops the machine before each change and after the last.
func (s *stage) crashEach(t *testing.T) *cell {
	c := &cell{operation: s.op.name, fault: "crash"}
	w, mem := s.world()
	at := 0
	crash := func(op vfstest.Op) {
		for seed := range int64(seeds) {
			left := mem.CrashClone(seed)
			crashed := w.on(left)
			c.add(s.aftermath(crashed, func() world { return w.on(left.CrashClone(1)) }), "point %d, before %v, seed %d", at, op, seed)
		}
	}
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Mutates() {
			at++
			crash(op)
		}
		return nil
	})
	require.NoError(t, s.op.do(w.on(fsys)))
	crash(vfstest.Op{})
	return c
}
