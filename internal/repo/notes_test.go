package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestNotes(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	m := mustBackup(t, r, "run-1", start, StateVerified)
	n, err := r.Notes("shop", m.ID)
	require.NoError(t, err)
	assert.Equal(t, Notes{}, n)

	until := start.Add(time.Hour)
	pin := &Pin{Owner: "ann", Reason: "audit", At: start, Until: &until}
	check := Check{At: start, Passed: true, Bytes: 7, Seconds: 1.5}
	require.NoError(t, r.SetPin("shop", m.ID, pin))
	require.NoError(t, r.SetCheck("shop", m.ID, check))
	var drills []Drill
	for i := range keptDrills + 3 {
		d := Drill{At: start.Add(time.Duration(i) * time.Hour), Run: fmt.Sprint("drill-", i), Passed: i%2 == 0, Rows: int64(i)}
		require.NoError(t, r.AddDrill("shop", m.ID, d))
		drills = append(drills, d)
	}
	n, err = open(t, mem.CrashClone(0)).Notes("shop", m.ID)
	require.NoError(t, err)
	assert.Equal(t, Notes{Pin: pin, Drills: drills[3:], Check: &check}, n, "durable, the newest 20 drills")
	require.NoError(t, r.SetPin("shop", m.ID, nil))
	require.NoError(t, r.SetPin("shop", m.ID, nil), "off twice")
	n, err = open(t, mem.CrashClone(0)).Notes("shop", m.ID)
	require.NoError(t, err)
	assert.Nil(t, n.Pin)

	other := NewID(start, 1, "none")
	_, err = r.Notes("shop", other)
	requireKind(t, failure.UnknownBackup, err)
	requireKind(t, failure.UnknownBackup, r.SetPin("shop", other, pin))
	requireKind(t, failure.UnknownBackup, r.AddDrill("shop", "..", Drill{}))
	requireKind(t, failure.UnknownBackup, r.SetCheck("none", m.ID, check))
}

func TestFaultyNotes(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "not JSON": "x", "other schema": `{"schema":2,"pin":{}}`, "no schema": `{"pin":{}}`,
		"unknown field": `{"schema":1,"novelty":1}`, "nothing in it": `{"schema":1}`, "trailing data": `{"schema":1,"pin":{"owner":"","reason":"","at":"2026-11-23T00:00:00Z"}} x`,
	} {
		t.Run(name, func(t *testing.T) {
			mem := newMem(t)
			r := open(t, mem)
			m := mustBackup(t, r, "run-1", start, StateVerified)
			check := Check{At: start, Passed: true}
			require.NoError(t, r.SetCheck("shop", m.ID, check))
			path := filepath.Join(r.BackupDir("shop", m.ID), pinName)
			require.NoError(t, put(mem, path, text))
			n, err := r.Notes("shop", m.ID)
			requireKind(t, failure.RepoCorrupt, err)
			assert.ErrorContains(t, err, path)
			require.NotNil(t, n.Pin, "what cannot be read is a pin")
			assert.Nil(t, n.Pin.Until)
			assert.Contains(t, n.Pin.Reason, "cannot be read")
			assert.Equal(t, &check, n.Check, "the others are there")

			require.NoError(t, put(mem, filepath.Join(r.BackupDir("shop", m.ID), drillsName), "x"))
			requireKind(t, failure.RepoCorrupt, r.AddDrill("shop", m.ID, Drill{Run: "new"}))
			assert.Equal(t, "x", get(t, mem, filepath.Join(r.BackupDir("shop", m.ID), drillsName)), "nothing is lost")
			require.NoError(t, r.SetPin("shop", m.ID, nil), "a pin can be taken off all the same")
		})
	}
	mem := newMem(t)
	m := mustBackup(t, open(t, mem), "run-1", start, StateVerified)
	require.NoError(t, open(t, mem).SetPin("shop", m.ID, &Pin{Owner: "ann", At: start}))
	n, err := open(t, vfstest.FailNth(mem, 1, syscall.EIO, vfstest.OpRead)).Notes("shop", m.ID)
	require.ErrorIs(t, err, syscall.EIO)
	require.NotNil(t, n.Pin, "a disk that fails unpins nothing")
}

// TestNobodysNoteIsLost: writers of the notes and of the manifest, at once.
func TestNobodysNoteIsLost(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	m := mustBackup(t, r, "run-1", start, StateVerified)
	var wg sync.WaitGroup
	for i := range keptDrills {
		wg.Go(func() { assert.NoError(t, r.AddDrill("shop", m.ID, Drill{Run: fmt.Sprint("d", i)})) })
		wg.Go(func() {
			assert.NoError(t, r.Update("shop", m.ID, func(m *Manifest) error { m.Acceptance.Commits++; return nil }))
		})
	}
	wg.Wait()
	n, err := r.Notes("shop", m.ID)
	require.NoError(t, err)
	assert.Len(t, n.Drills, keptDrills)
	m, err = r.Get("shop", m.ID)
	require.NoError(t, err)
	assert.EqualValues(t, keptDrills, m.Acceptance.Commits)
}

// TestNoteUnderFailureAndCrash: the old note or the new one, the others and the
// backup untouched.
func TestNoteUnderFailureAndCrash(t *testing.T) {
	id := NewID(start, 42, "run-1")
	check := Check{At: start, Passed: true}
	prepare := func(t testing.TB, mem *vfstest.Mem) {
		mustBackup(t, open(t, mem), "run-1", start, StateVerified)
		require.NoError(t, open(t, mem).SetPin("shop", id, &Pin{Owner: "old", At: start}))
		require.NoError(t, open(t, mem).AddDrill("shop", id, Drill{Run: "old"}))
		require.NoError(t, open(t, mem).SetCheck("shop", id, check))
	}
	for name, tt := range map[string]struct {
		act  func(*Repo) error
		done func(Notes) bool
		old  func(Notes) bool
	}{
		"pin": {func(r *Repo) error { return r.SetPin("shop", id, &Pin{Owner: "new", At: start}) },
			func(n Notes) bool { return n.Pin.Owner == "new" && len(n.Drills) == 1 },
			func(n Notes) bool { return n.Pin.Owner == "old" && len(n.Drills) == 1 }},
		"unpin": {func(r *Repo) error { return r.SetPin("shop", id, nil) },
			func(n Notes) bool { return n.Pin == nil && len(n.Drills) == 1 },
			func(n Notes) bool { return n.Pin != nil && len(n.Drills) == 1 }},
		"drill": {func(r *Repo) error { return r.AddDrill("shop", id, Drill{Run: "new"}) },
			func(n Notes) bool { return len(n.Drills) == 2 && n.Pin.Owner == "old" },
			func(n Notes) bool { return len(n.Drills) == 1 && n.Pin.Owner == "old" }},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := func(t testing.TB, mem *vfstest.Mem, done bool) {
				r := open(t, mem)
				_, err := r.Get("shop", Latest)
				require.NoError(t, err)
				n, err := r.Notes("shop", id)
				require.NoError(t, err)
				require.Equal(t, &check, n.Check)
				require.True(t, tt.done(n) || !done && tt.old(n), "%+v", n)
				require.NoError(t, tt.act(r), "again")
			}
			eachFailure(t, prepare, tt.act, func(t testing.TB, mem *vfstest.Mem, err error) {
				if err == nil {
					verdict(t, mem.CrashClone(0), true)
				}
				verdict(t, mem, err == nil)
			})
			eachCrash(t, prepare, tt.act, verdict)
		})
	}
}

func TestStampsMoveWithWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(vfs.OS(), dir)
	require.NoError(t, err)
	stamps, err := r.Stamps("shop")
	require.NoError(t, err)
	assert.Empty(t, stamps, "no such directory")
	m := mustBackup(t, r, "run1", start, StateCopied)
	mustBackup(t, r, "run2", start.Add(time.Hour), StateVerified)
	old := time.Now().Add(-time.Hour)
	changes := map[string]func() error{
		"the state": func() error {
			return r.Update("shop", m.ID, func(m *Manifest) error { m.State = StateVerified; return nil })
		},
		"a drill": func() error { return r.AddDrill("shop", m.ID, Drill{At: start, Run: "d"}) },
		"a pin":   func() error { return r.SetPin("shop", m.ID, &Pin{Owner: "o", Reason: "r", At: start}) },
		"a check": func() error { return r.SetCheck("shop", m.ID, Check{At: start}) },
	}
	for name, change := range changes {
		require.NoError(t, os.Chtimes(r.BackupDir("shop", m.ID), old, old))
		before, err := r.Stamps("shop")
		require.NoError(t, err)
		require.Len(t, before, 2)
		require.NoError(t, change())
		after, err := r.Stamps("shop")
		require.NoError(t, err)
		assert.NotEqual(t, before[m.ID], after[m.ID], name)
	}
	_, err = r.Stamps("../shop")
	assert.Equal(t, failure.UnknownDatabase, failure.Of(err))
}
