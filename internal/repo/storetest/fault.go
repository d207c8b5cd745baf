package storetest

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// change is one step that either happens or does not.
type change struct {
	name    string
	prepare func(t testing.TB, s Store) // beside two backups
	act     func(fsys vfs.FS, r *repo.Repo) error
	done    func(t testing.TB, s Store) bool // the new state, else the old one; anything else fails
}

var (
	first  = repo.NewID(start, 42, "run-1")
	second = repo.NewID(start.Add(time.Hour), 42, "run-2")
	third  = repo.NewID(start.Add(2*time.Hour), 42, "run-3")
)

// listed is a change's done where the list tells.
func listed(before, after []string) func(testing.TB, Store) bool {
	return func(t testing.TB, s Store) bool {
		list := ids(mustBeWhole(t, s))
		done := strings.Join(list, " ") == strings.Join(after, " ")
		if !done {
			require.Equal(t, before, list)
		}
		return done
	}
}

func nothing(testing.TB, Store) {}

func trashIt(_ vfs.FS, r *repo.Repo) error {
	return r.Trash(database, first, "test", time.Now(), time.Hour)
}

var changes = []change{
	{"commit", nothing, func(fsys vfs.FS, r *repo.Repo) error {
		_, err := backup(fsys, r, "run-3", start.Add(2*time.Hour), repo.StateCopied)
		return err
	}, listed([]string{first, second}, []string{first, second, third})},
	{"update", nothing, func(_ vfs.FS, r *repo.Repo) error {
		return r.Update(database, first, func(m *repo.Manifest) error {
			m.State, m.Verification = repo.StateStructure, &repo.Verification{Level: "full"}
			return nil
		})
	}, func(t testing.TB, s Store) bool {
		m := mustBeWhole(t, s)[0]
		done := m.State == repo.StateStructure
		require.Equal(t, done, m.Verification != nil, "half of an update")
		return done
	}},
	{"pin", nothing, func(_ vfs.FS, r *repo.Repo) error {
		return r.SetPin(database, first, &repo.Pin{Owner: "ann", Reason: "test", At: start})
	}, func(t testing.TB, s Store) bool {
		notes, err := open(t, s).Notes(database, first)
		require.NoError(t, err)
		return notes.Pin != nil
	}},
	{"trash", nothing, trashIt, func(t testing.TB, s Store) bool {
		done := listed([]string{first, second}, []string{second})(t, s)
		trashed, err := open(t, s).Trashed(database)
		require.NoError(t, err)
		require.Equal(t, done, len(trashed) == 1)
		return done
	}},
	{"untrash", func(t testing.TB, s Store) { require.NoError(t, trashIt(s.FS, open(t, s))) }, func(_ vfs.FS, r *repo.Repo) error {
		return r.Untrash(database, first)
	}, listed([]string{second}, []string{first, second})},
	{"remove", nothing, func(_ vfs.FS, r *repo.Repo) error {
		return r.Remove(database, first)
	}, listed([]string{first, second}, []string{second})},
	{"sweep", remains, func(_ vfs.FS, r *repo.Repo) error {
		_, err := sweepLate(r)
		return err
	}, swept},
}

// remains leaves one of everything that a sweep removes.
func remains(t testing.TB, s Store) {
	r := open(t, s)
	st, err := r.Stage(database, "run-4")
	require.NoError(t, err)
	require.NoError(t, put(s.FS, filepath.Join(st.Dir(), "shop.duckdb"), "half"))
	require.NoError(t, st.Close())
	half := r.BackupDir(database, repo.NewID(start, 1, "half"))
	require.NoError(t, s.FS.Mkdir(half, 0o700))
	require.NoError(t, put(s.FS, filepath.Join(half, "shop.duckdb"), "half"))
	require.NoError(t, s.FS.SyncDir(filepath.Join(s.Dir, database)))
	_, err = backup(s.FS, r, "run-5", start.Add(5*time.Hour), repo.StateCopied)
	require.NoError(t, err)
	require.NoError(t, r.Trash(database, repo.NewID(start.Add(5*time.Hour), 42, "run-5"), "test", time.Now(), time.Hour))
}

func swept(t testing.TB, s Store) bool {
	require.Equal(t, []string{first, second}, ids(mustBeWhole(t, s)))
	for _, dir := range []string{".staging", ".trash"} {
		inside, err := s.FS.ReadDir(filepath.Join(s.Dir, database, dir))
		require.NoError(t, err)
		if len(inside) > 0 {
			return false
		}
	}
	return true
}

// testFaults fails every operation that writes, of every change, once each.
// Afterwards the old or the new state is there, and the next try succeeds.
func testFaults(t *testing.T, o Options) {
	faults := 0
	for _, c := range changes {
		for n := 1; ; n++ {
			fired := false
			for i, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EACCES} {
				if !o.EveryError && n%3 != i {
					continue
				}
				bad, s := faultStore(t, o, c, n, errno)
				err := c.act(bad, open(t, Store{FS: bad, Dir: s.Dir}))
				context := []any{"%s with operation %d, %v, failing with %v: %v", c.name, n, bad.Op(), errno, err}
				checkChange(t, c, s, err == nil, context...)
				if fired = bad.Fired(); fired {
					faults++
				} else {
					require.NoError(t, err, context...)
				}
			}
			if !fired {
				require.Greater(t, n, 4, "%s: operations failed", c.name)
				break
			}
		}
		crashes(t, o, c)
	}
	t.Logf("%d faults", faults)
}

func faultStore(t testing.TB, o Options, c change, n int, errno syscall.Errno) (*vfstest.Failing, Store) {
	s := o.New(t)
	mustBackup(t, s, "run-1", start, repo.StateVerified)
	mustBackup(t, s, "run-2", start.Add(time.Hour), repo.StateVerified)
	c.prepare(t, s)
	return vfstest.FailNth(s.FS, n, errno), s
}

// checkChange wants the old or the new state, the new one if it was promised,
// and that trying again gives the new one.
func checkChange(t testing.TB, c change, s Store, promised bool, context ...any) {
	t.Helper()
	done := c.done(t, s)
	require.True(t, done || !promised, context...)
	err := c.act(s.FS, open(t, s))
	if !done || failure.Of(err) != failure.UnknownBackup {
		require.NoError(t, err, context...) // what is done already may be unknown by now
	}
	require.True(t, c.done(t, s), context...)
	mustBeClean(t, s, context...)
}

// crashes stops the machine ahead of every operation of a change that writes,
// and behind the last.
func crashes(t testing.TB, o Options, c change) {
	_, s := faultStore(t, o, c, 0, syscall.EIO)
	if s.Crash == nil {
		return
	}
	crash := func(op vfstest.Op, promised bool) {
		for seed := range int64(4) {
			after := Store{FS: s.Crash(seed), Dir: s.Dir}
			checkChange(t, c, after, promised, "%s, crash ahead of %v, seed %d", c.name, op, seed)
		}
	}
	fsys := vfstest.Intercept(s.FS, func(op vfstest.Op) error {
		if op.Mutates() {
			crash(op, false)
		}
		return nil
	})
	require.NoError(t, c.act(fsys, open(t, Store{FS: fsys, Dir: s.Dir})), c.name)
	crash(vfstest.Op{}, true)
}

// testFull fills the file system: what is there stays whole, a run fails as
// full, a removal makes room, and the next run succeeds.
func testFull(t *testing.T, o Options) {
	s := o.New(t)
	if !s.Small {
		return // it never is full
	}
	r := open(t, s)
	mustBackup(t, s, "run-1", start, repo.StateVerified)
	mustBackup(t, s, "run-2", start.Add(time.Hour), repo.StateVerified)
	ballast := filepath.Join(s.Dir, "ballast")
	for size := 4 << 20; size > 0; size /= 2 {
		for n := 0; n < 4096; n++ {
			if err := grow(s.FS, ballast, size); err != nil {
				require.ErrorIs(t, err, syscall.ENOSPC)
				break
			}
		}
	}
	requireKind(t, failure.RepoFull, r.CheckWritable())
	before := ids(mustBeWhole(t, s))
	for n := range 3 {
		_, err := backup(s.FS, r, "run-3", start.Add(2*time.Hour), repo.StateCopied)
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC, "attempt %d", n)
			require.Equal(t, before, ids(mustBeWhole(t, s)))
		}
	}
	if err := r.Update(database, first, count); err != nil {
		requireKind(t, failure.RepoFull, err)
	}
	mustBeWhole(t, s)
	require.NoError(t, r.Remove(database, second), "a removal needs no room")
	require.NoError(t, s.FS.Remove(ballast))
	mustBackup(t, s, "run-3", start.Add(2*time.Hour), repo.StateCopied)
	require.Equal(t, []string{first, third}, ids(mustBeWhole(t, s)))
	mustBeClean(t, s)
}
