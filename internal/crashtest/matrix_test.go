package crashtest

import (
	"errors"
	"fmt"
	"slices"
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
var leastPoints = map[string]int{"copy": 20, "commit": 15, "verify": 10, "prune": 10, "sweep": 20, "trash": 20, "untrash": 20, "pin": 20, "check": 20, "restore": 20, "backup": 60}

// leastFull is that of a full disk. A sweep takes no space.
var leastFull = map[string]int{"copy": 20, "commit": 5, "verify": 5, "prune": 3, "sweep": 0, "trash": 4, "untrash": 0, "pin": 8, "check": 8, "restore": 10, "backup": 30}

// stage is a world ready for one operation.
type stage struct {
	op     operation
	oracle *oracle
	fresh  func() ground
	// others: after every so many points another run is taken, too.
	others int
}

// ground is a world of its own for one point.
type ground struct {
	world
	fork func() world // a copy in which nobody holds a lock
	lose func() world // a copy without what was not synced; nil: there is none to be had
}

// inMemory makes ground of a file system in memory.
func inMemory(w world, mem *vfstest.Mem) ground {
	on := func(seed int64) func() world { return func() world { return w.on(mem.CrashClone(seed)) } }
	return ground{world: w.on(mem), fork: on(1), lose: on(0)}
}

// newStage prepares the operation in a world.
func newStage(t *testing.T, w world, op operation, book *contentBook) *stage {
	t.Helper()
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
	return &stage{op: op, oracle: o, others: 1}
}

// leaseEnds is a time after which a run that nobody continues has lost its
// lease.
const leaseEnds = 10 * time.Minute

// aftermath is the whole promise after a fault, with another run if there is a
// copy of the world for one.
func (s *stage) aftermath(w world, other *world) error {
	if err := s.oracle.check(w, s.op.prunes); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	err := s.op.do(w)
	if s.op.newRun && sameID(err) {
		err = s.op.do(w)
	}
	if err != nil {
		return fmt.Errorf("the same again: %w", err)
	}
	if err := s.settled(w); err != nil {
		return fmt.Errorf("after the same again: %w", err)
	}
	if other == nil {
		return nil
	}
	// Nobody comes back: another run, when the lease has ended.
	late, run := other.later(leaseEnds), "other"
	err = late.backup(run)
	if s.op.newRun && sameID(err) {
		late, run = late.later(leaseEnds), "still another"
		err = late.backup(run)
	}
	if err != nil {
		return fmt.Errorf("another run: %w", err)
	}
	if err := errors.Join(s.oracle.check(late, true), late.wantState(run+"-1", repo.StateVerified), late.wantSwept()); err != nil {
		return fmt.Errorf("after another run: %w", err)
	}
	return nil
}

// sameID tells of two runs of one second whose backups have one ID: that is one
// case in 65,536, and so many are tried.
func sameID(err error) bool {
	return err != nil && strings.Contains(err.Error(), "exists already, and not from this run")
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

// allContents are the versions of the database, oldest first.
func allContents(t *testing.T) []content {
	all := make([]content, versions)
	for i := range all {
		all[i] = makeContent(t, i+1)
	}
	return all
}

// TestMatrix prints the table; see the package comment.
func TestMatrix(t *testing.T) {
	all := allContents(t)
	ops := operations()
	cells := make([][]*cell, len(ops))
	t.Run("of", func(t *testing.T) {
		for i, op := range ops {
			t.Run(op.name, func(t *testing.T) {
				t.Parallel()
				template := vfstest.NewMem()
				w := makeWorld(t, template, "/w", "bytes", all)
				s := newStage(t, w, op, newContentBook(t))
				s.fresh = func() ground { return inMemory(w, template.CrashClone(1)) }
				for _, f := range faults {
					cells[i] = append(cells[i], s.failEach(t, f))
				}
				cells[i] = append(cells[i], s.crashEach(t))
			})
		}
	})
	report(t, slices.Concat(cells...), leastPoints)
}

// failEach lets the fault strike at the n-th operation for every n.
func (s *stage) failEach(t *testing.T, f fault) *cell {
	c := &cell{operation: s.op.name, fault: f.name}
	for n := 1; ; n++ {
		g := s.fresh()
		broken := f.strike(g.fs, n)
		err := s.op.do(g.on(broken))
		if broken.struck() == (vfstest.Op{}) {
			require.NoError(t, err, "%s without a fault", s.op.name)
			require.NoError(t, s.settled(g.world), "%s without a fault", s.op.name)
			return c
		}
		c.add(s.struck(c, f, g, n, broken.struck(), err), "operation %d, %v, which made it end with [%v]", n, broken.struck(), err)
	}
}

// struck looks at what a fault in the n-th operation has led to.
func (s *stage) struck(c *cell, f fault, g ground, n int, at vfstest.Op, err error) error {
	if err := f.judge(s.op, at, err); err != nil {
		return err
	}
	if err == nil {
		c.passed++
		if err := s.op.done(g.world); err != nil {
			return err
		}
		if g.lose != nil { // what is done is durable
			lost := g.lose()
			if err := errors.Join(s.oracle.check(lost, s.op.prunes), s.op.done(lost)); err != nil {
				return fmt.Errorf("done, and then lost by a crash: %w", err)
			}
		}
	}
	if n%s.others != 0 {
		return s.aftermath(g.world, nil)
	}
	other := g.fork()
	return s.aftermath(g.world, &other)
}

// seeds of what a crash at the n-th point keeps: all is lost, all is kept (as by
// a kill), and others of its own, so that not every point loses the same.
func seeds(n int) []int64 {
	s := []int64{0, 1}
	for i := range int64(4) {
		s = append(s, 2+4*int64(n)+i)
	}
	return s
}

// crashEach stops the machine before each change and after the last.
func (s *stage) crashEach(t *testing.T) *cell {
	c := &cell{operation: s.op.name, fault: "crash"}
	g := s.fresh()
	mem := g.fs.(*vfstest.Mem)
	at := 0
	crash := func(op vfstest.Op) {
		for _, seed := range seeds(at) {
			left := inMemory(g.world, mem.CrashClone(seed))
			other := left.fork()
			c.add(s.aftermath(left.world, &other), "point %d, before %v, seed %d", at, op, seed)
		}
	}
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Mutates() {
			at++
			crash(op)
		}
		return nil
	})
	require.NoError(t, s.op.do(g.on(fsys)))
	crash(vfstest.Op{})
	return c
}
