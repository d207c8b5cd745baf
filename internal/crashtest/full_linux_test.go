package crashtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/mounttest"
	"canvasback/internal/vfs/vfstest"
)

// small is a small file system of its own with a repository or a target, and
// a file that fills it.
type small struct {
	t     *testing.T
	point string
	size  int64 // of a backup: database and WAL
}

func (s *small) ballast() string { return filepath.Join(s.point, "ballast") }

func (s *small) free() int64 {
	var st unix.Statfs_t
	require.NoError(s.t, unix.Statfs(s.point, &st))
	return int64(st.Bfree) * st.Bsize
}

// fill leaves about so many bytes free; 0: not one block.
func (s *small) fill(leave int64) {
	f, err := os.OpenFile(s.ballast(), os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(s.t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(s.t, err)
	if n := s.free() - leave; n > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, info.Size(), n); err == nil || leave > 0 {
			return
		}
	}
	// What is free is not all to be had in one piece.
	_, err = f.Seek(0, 2)
	require.NoError(s.t, err)
	for piece := 1 << 20; piece >= 512; {
		if _, err := f.Write(make([]byte, piece)); err != nil {
			piece /= 2
		}
	}
	_ = f.Sync() // of a full disk
}

// empty makes room. File systems give it back a little after the removal.
func (s *small) empty() {
	info, err := os.Stat(s.ballast())
	require.NoError(s.t, err)
	before := s.free()
	require.NoError(s.t, os.Remove(s.ballast()))
	require.Eventually(s.t, func() bool {
		dir, err := os.Open(s.point)
		require.NoError(s.t, err)
		defer dir.Close()
		require.NoError(s.t, unix.Syncfs(int(dir.Fd())))
		return s.free()-before > info.Size()*9/10
	}, time.Minute, time.Millisecond, "the space of the removed file")
}

// fillAt returns fsys with the disk run full right before the n-th operation
// that needs space.
func (s *small) fillAt(fsys vfs.FS, n int) vfs.FS {
	return onSpace(fsys, func(at int, _ vfstest.Op) {
		if at == n {
			s.fill(0)
		}
	})
}

// onSpace tells of each operation that needs space, counted from 1.
func onSpace(fsys vfs.FS, tell func(n int, op vfstest.Op)) vfs.FS {
	var mu sync.Mutex
	n := 0
	return vfstest.Intercept(fsys, func(op vfstest.Op) error {
		if takesSpace(fsys, op) {
			mu.Lock()
			defer mu.Unlock()
			n++
			tell(n, op)
		}
		return nil
	})
}

// points runs do and picks the operations at which the disk is to run full:
// of those on one file, one after the other, the first two and the last.
func points(fsys vfs.FS, do func(vfs.FS) error) ([]int, error) {
	var names []string
	err := do(onSpace(fsys, func(_ int, op vfstest.Op) { names = append(names, string(op.Kind)+op.Name) }))
	var at []int
	for i, name := range names {
		if i < 2 || i == len(names)-1 || names[i-1] != name || names[i-2] != name || names[i+1] != name {
			at = append(at, i+1)
		}
	}
	return at, err
}

// newFull makes a world whose live database, of several MB, has a WAL that
// only a writer can replay, so that every verification makes a scratch copy.
func newFull(t *testing.T, fsType string) (*small, world) {
	t.Helper()
	point := mounttest.Mount(t, fsType, 96<<20)
	live := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.CreateKilled(t, live,
		"CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(100000)", "CHECKPOINT",
		"INSERT INTO t SELECT range, 'in the WAL' FROM range(50000)", "CREATE INDEX ti ON t(i)")
	w := world{fs: vfs.OS(), root: point, level: "full", keep: 100, sourceFile: live}
	for _, dir := range []string{"repo", "target"} {
		require.NoError(t, os.Mkdir(filepath.Join(point, dir), 0o700))
	}
	require.NoError(t, w.put(w.target(), oldTarget))
	s := &small{t: t, point: point}
	for i := range keepLast {
		require.NoError(t, w.backup(fmt.Sprintf("first%d", i)))
	}
	list, err := w.list()
	require.NoError(t, err)
	for _, f := range list[0].Files {
		s.size += f.Bytes
	}
	return s, w
}

// tally counts what a full disk met, by where it was.
type tally struct {
	points, passed int
	where          map[string]int
}

func (c *tally) add(err error) {
	c.points++
	if err == nil {
		c.passed++
		return
	}
	text := err.Error()
	for _, known := range []struct{ place, mark string }{
		{"scratch", "scratch"}, {"scratch", ".staging/verify-"}, {"commit", "manifest.json"}, {"commit", "SHA256SUMS"},
		{"aside", ".before-"}, {"not checked", "was not checked"}, {"copy", "the copy"}, {"copy", ".restore"}, {"copy", "bytes free"}, {"lease", "/.run"},
	} {
		if strings.Contains(text, known.mark) {
			c.where[known.place]++
			return
		}
	}
	c.where["elsewhere"]++
}

// TestFullRepository runs a backup on a file system that is, or becomes, full:
// with so many bytes left at its start, and filled up right before each
// operation that needs space. Then a prune has to make room on the full disk,
// and the next backup has to succeed once there is some.
func TestFullRepository(t *testing.T) {
	for _, fsType := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fsType, func(t *testing.T) {
			t.Parallel()
			s, w := newFull(t, fsType)
			book := newContentBook(t)
			c := &tally{where: map[string]int{}}
			steps := 16
			if fsType != "ext4" {
				steps = 6
			}
			for i := range steps {
				s.fill(2 * s.size * int64(i) / int64(steps-1))
				s.onFull(w, w, book, c, fmt.Sprintf("left%d", i))
			}
			at, err := points(w.fs, func(fsys vfs.FS) error { return w.on(fsys).backup("trace") })
			require.NoError(t, err)
			for i, n := range at {
				if fsType == "ext4" || i%6 == 0 {
					s.onFull(w, w.on(s.fillAt(w.fs, n)), book, c, fmt.Sprintf("at%d", n))
				}
			}
			c.print(t, "backups on a full "+fsType)
			assert.GreaterOrEqual(t, c.points, 12)
			assert.Positive(t, c.where["copy"])
			assert.Positive(t, c.where["commit"])
			assert.Positive(t, c.where["scratch"])
		})
	}
}

func (c *tally) print(t *testing.T, what string) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "points\tdone all the same\tfailed in\n%d\t%d\t%v\n", c.points, c.passed, c.where)
	_ = w.Flush() // a strings.Builder takes everything
	t.Logf("%s:\n%s", what, &text)
}

// onFull takes a backup through the world on, whose disk is or becomes full,
// and then makes room.
func (s *small) onFull(w, on world, book *contentBook, c *tally, run string) {
	t := s.t
	t.Helper()
	o, err := newOracle(w, book)
	require.NoError(t, err)
	o.plain = true
	err = on.backup(run)
	c.add(err)
	if err != nil {
		require.Contains(t, []string{failure.RepoFull.Name, failure.Engine.Name}, failure.Of(err).Name, "%s: %v", run, err)
	}
	require.NoError(t, o.check(w, false), "%s, which ended with %v", run, err)
	s.fill(0)
	if err != nil {
		require.NoError(t, w.abandon(run), "%s: what a workflow does when it fails", run)
	}
	s.fill(0)
	e := start(t, t.TempDir(), 0, "prune", "--confirm", "--repository", w.repository(), "--database", "shop", "--keep-last", "2")
	require.Zero(t, e.status, "%s: a prune on a full disk: %s", run, e.out)
	list, err := w.list()
	require.NoError(t, err)
	verified := 0
	for _, m := range list {
		if m.State == repo.StateVerified {
			verified++
		}
	}
	require.Equal(t, 2, verified, "%s: verified backups after the prune", run)
	s.empty()
	other := w.later(leaseEnds)
	require.NoError(t, other.backup(run+"-next"), "%s: the next run", run)
	require.NoError(t, errors.Join(w.wantState(run+"-next-1", repo.StateVerified), w.wantSwept()), run)
}

// TestFullTarget restores to a file system that becomes full right before each
// operation that needs space, and from a full one on.
func TestFullTarget(t *testing.T) {
	for _, fsType := range []string{"ext4", "xfs"} {
		t.Run(fsType, func(t *testing.T) {
			t.Parallel()
			_, w := newFull(t, "ext4")
			s := &small{t: t, point: mounttest.Mount(t, fsType, 96<<20)}
			w.targetFile = filepath.Join(s.point, "app.duckdb")
			book := newContentBook(t)
			c := &tally{where: map[string]int{}}
			for i := range 8 {
				require.NoError(t, w.put(w.target(), oldTarget))
				s.fill(int64(i) * 2 << 20)
				s.restoreOnFull(w, w, book, c, fmt.Sprintf("%d MB left", 2*i))
			}
			require.NoError(t, w.put(w.target(), oldTarget))
			at, err := points(w.fs, func(fsys vfs.FS) error { return w.on(fsys).restore(repo.Latest, true, scanWithEngine) })
			require.NoError(t, err)
			s.clear(w)
			for _, n := range at {
				require.NoError(t, w.put(w.target(), oldTarget))
				s.restoreOnFull(w, w.on(s.fillAt(w.fs, n)), book, c, fmt.Sprintf("full at operation %d", n))
			}
			c.print(t, "restores to a full "+fsType)
			assert.GreaterOrEqual(t, c.points, 20)
			assert.Positive(t, c.points-c.passed)
		})
	}
}

func (s *small) restoreOnFull(w, on world, book *contentBook, c *tally, what string) {
	t := s.t
	t.Helper()
	o, err := newOracle(w, book)
	require.NoError(t, err)
	o.plain = true
	r, err := repo.Open(w.fs, w.repository())
	require.NoError(t, err)
	latest, err := r.Get("shop", repo.Latest)
	require.NoError(t, err)
	o.restored = latest.ID
	err = on.restore(repo.Latest, true, scanWithEngine)
	c.add(err)
	if err != nil {
		require.Contains(t, []string{failure.TargetBad.Name, failure.Engine.Name}, failure.Of(err).Name, "%s: %v", what, err)
	}
	require.NoError(t, o.check(w, false), "%s, which ended with %v", what, err)
	s.empty()
	require.NoError(t, w.restore(repo.Latest, true, scanWithEngine), "%s: the restore by itself", what)
	at, err := w.get(w.target())
	require.NoError(t, err)
	require.True(t, at == o.content[latest.ID], what)
	require.NoError(t, errors.Join(o.check(w, false), w.wantNoStage()), what)
	s.clear(w)
}

// clear removes what is at the target and aside.
func (s *small) clear(w world) {
	names, err := filepath.Glob(w.target() + "*")
	require.NoError(s.t, err)
	for _, name := range names {
		require.NoError(s.t, os.Remove(name))
	}
}
