package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs/vfstest"
)

func testUpdate(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	m := mustBackup(t, s, "run-1", start, repo.StateCopied)
	require.NoError(t, r.Update(database, m.ID, func(now *repo.Manifest) error {
		now.State, now.Verification = repo.StateVerified, &repo.Verification{Level: "full"}
		return nil
	}))
	want, err := r.Get(database, repo.Latest)
	require.NoError(t, err)
	no := errors.New("no")
	require.ErrorIs(t, r.Update(database, m.ID, func(m *repo.Manifest) error { m.State = repo.StateFailed; return no }), no)
	for what, change := range map[string]func(*repo.Manifest){
		"files": func(m *repo.Manifest) { m.Files[0].SHA256 = m.Files[1].SHA256 },
		"run":   func(m *repo.Manifest) { m.Run = "run-2" },
		"ID":    func(m *repo.Manifest) { m.ID = repo.NewID(start, 1, "run-1") },
		"state": func(m *repo.Manifest) { m.State = "great" },
	} {
		require.Error(t, r.Update(database, m.ID, func(m *repo.Manifest) error { change(m); return nil }), what)
	}
	assert.Equal(t, []repo.Manifest{*want}, mustBeWhole(t, s), "as it was")
	never := func(*repo.Manifest) error { t.Error("called"); return nil }
	requireKind(t, failure.UnknownBackup, r.Update(database, repo.NewID(start, 1, "run-1"), never))
	requireKind(t, failure.UnknownBackup, r.Update("none", m.ID, never))
	mustBeClean(t, s)
}

// count adds one to a number in the manifest.
func count(m *repo.Manifest) error { m.Acceptance.Commits++; return nil }

func testConcurrentUpdates(t *testing.T, o Options) {
	const workers, each = 4, 10
	s := yielding(o.New(t))
	r := open(t, s)
	m := mustBackup(t, s, "run-1", start, repo.StateCopied)
	n := workers
	var children []*child
	if s.Processes {
		n += 3
		for range 3 {
			children = append(children, startChild(t, request{Dir: s.Dir, Job: "update", ID: m.ID, Times: each}))
		}
	}
	together(t, workers, func(int) error {
		for range each {
			if err := r.Update(database, m.ID, count); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range children {
		c.wait(t)
	}
	list := mustBeWhole(t, s)
	require.Len(t, list, 1)
	assert.Equal(t, int64(n*each), list[0].Acceptance.Commits, "no update is lost")
	mustBeClean(t, s)
}

// yielding lets others run ahead of every operation, which those of a file
// system in memory are too quick for.
func yielding(s Store) Store {
	s.FS = vfstest.Intercept(s.FS, func(vfstest.Op) error { runtime.Gosched(); return nil })
	return s
}

// together runs work n times at once.
func together(t testing.TB, n int, work func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = work(i) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

func testNotes(t *testing.T, o Options) {
	const each = 8
	s := yielding(o.New(t))
	r := open(t, s)
	m := mustBackup(t, s, "run-1", start, repo.StateCopied)
	pin := &repo.Pin{Owner: "ann", Reason: "audit", At: start}
	together(t, 5, func(i int) error {
		for n := range each {
			at := start.Add(time.Duration(n) * time.Second)
			var err error
			switch i {
			case 0:
				err = r.SetPin(database, m.ID, pin)
			case 1, 2:
				err = r.AddDrill(database, m.ID, repo.Drill{At: at, Run: fmt.Sprintf("drill-%d-%d", i, n), Level: "full", Passed: true})
			case 3:
				err = r.SetCheck(database, m.ID, repo.Check{At: at, Passed: true, Bytes: int64(n)})
			case 4:
				err = r.Update(database, m.ID, count)
			}
			if err != nil {
				return err
			}
			if _, err := r.Notes(database, m.ID); err != nil {
				return err
			}
		}
		return nil
	})
	notes, err := r.Notes(database, m.ID)
	require.NoError(t, err)
	assert.Equal(t, pin, notes.Pin)
	assert.Len(t, notes.Drills, 2*each, "no drill is lost")
	require.NotNil(t, notes.Check)
	assert.Equal(t, int64(each-1), notes.Check.Bytes)
	assert.Equal(t, int64(each), mustBeWhole(t, s)[0].Acceptance.Commits)
	require.NoError(t, r.SetPin(database, m.ID, nil))
	for n := range 20 {
		require.NoError(t, r.AddDrill(database, m.ID, repo.Drill{At: start, Run: fmt.Sprintf("last-%d", n), Level: "full"}))
	}
	notes, err = r.Notes(database, m.ID)
	require.NoError(t, err)
	assert.Nil(t, notes.Pin)
	require.Len(t, notes.Drills, 20, "the newest")
	assert.Equal(t, "last-0", notes.Drills[0].Run)
	mustBeClean(t, s)
}

func testReading(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	m := mustBackup(t, s, "run-1", start, repo.StateVerified)
	a, err := r.Read(database, m.ID)
	require.NoError(t, err)
	b, err := r.Read(database, repo.Latest)
	require.NoError(t, err, "any number of readers")
	assert.Equal(t, m, b.Manifest())
	for _, rd := range []*repo.Reading{a, b} {
		requireKind(t, failure.Reading, r.Remove(database, m.ID))
		requireKind(t, failure.Reading, r.Trash(database, m.ID, "", start, time.Hour))
		_, err = sweepLate(r)
		require.NoError(t, err)
		require.NoError(t, r.SetPin(database, m.ID, nil), "notes are no removal")
		require.NoError(t, whole(s.FS, rd.Dir(), rd.Manifest()))
		require.NoError(t, rd.Close())
		require.NoError(t, rd.Close(), "twice is harmless")
	}
	require.NoError(t, r.Trash(database, m.ID, "", time.Now(), time.Hour))
	_, err = r.Read(database, m.ID)
	requireKind(t, failure.UnknownBackup, err)
	require.NoError(t, r.Untrash(database, m.ID))
	require.NoError(t, r.Remove(database, m.ID))
	assert.Empty(t, mustBeWhole(t, s))
	mustBeClean(t, s)
}

func testTrash(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	a := mustBackup(t, s, "run-1", start, repo.StateVerified)
	b := mustBackup(t, s, "run-2", start.Add(time.Hour), repo.StateVerified)
	c := mustBackup(t, s, "run-3", start.Add(2*time.Hour), repo.StateVerified)
	now := time.Now().UTC()
	require.NoError(t, r.AddDrill(database, a.ID, repo.Drill{At: start, Run: "drill-1", Level: "full"}))
	require.NoError(t, r.Trash(database, b.ID, "too many", now, 2*time.Hour))
	require.NoError(t, r.Trash(database, a.ID, "too old", now, time.Hour))
	require.NoError(t, r.Trash(database, c.ID, "", now, 0), "without a grace it is gone")
	assert.Empty(t, mustBeWhole(t, s))
	requireKind(t, failure.UnknownBackup, r.Trash(database, a.ID, "again", now, time.Hour))
	trashed, err := r.Trashed(database)
	require.NoError(t, err)
	assert.Equal(t, []repo.Trashed{
		{Manifest: *a, At: now, Until: now.Add(time.Hour), Reason: "too old"},
		{Manifest: *b, At: now, Until: now.Add(2 * time.Hour), Reason: "too many"},
	}, trashed)
	requireKind(t, failure.UnknownBackup, r.Untrash(database, c.ID))
	_, err = r.Sweep(database, time.Hour, now.Add(time.Hour-1))
	require.NoError(t, err)
	require.NoError(t, r.Untrash(database, a.ID), "the grace is not over")
	assert.Equal(t, []string{a.ID}, ids(mustBeWhole(t, s)))
	notes, err := r.Notes(database, a.ID)
	require.NoError(t, err)
	assert.Len(t, notes.Drills, 1, "its notes came along")
	require.NoError(t, r.Trash(database, a.ID, "after all", now, 3*time.Hour))
	removed, err := r.Sweep(database, 1000*time.Hour, now.Add(2*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, []string{filepathTrash(s, b.ID)}, removed, "freed at its end, the new grace of the other is kept")
	removed, err = r.Sweep(database, 1000*time.Hour, now.Add(3*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, []string{filepathTrash(s, a.ID)}, removed)
	mustBeClean(t, s)
}
