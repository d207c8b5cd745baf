package repo

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs/vfstest"
)

func TestTrash(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	a := mustBackup(t, r, "run-1", start, StateVerified)
	b := mustBackup(t, r, "run-2", start.Add(time.Hour), StateVerified)
	list, err := r.Trashed("shop")
	require.NoError(t, err)
	assert.Empty(t, list)
	now := start.Add(24 * time.Hour)
	require.NoError(t, r.SetPin("shop", b.ID, &Pin{Owner: "ann", At: start}))
	require.NoError(t, r.Trash("shop", b.ID, "too many", now, time.Hour))
	require.NoError(t, r.Trash("shop", a.ID, "too old", now, 2*time.Hour))
	assert.Empty(t, checkWhole(t, mem.CrashClone(0)), "gone, durably")
	list, err = r.Trashed("shop")
	require.NoError(t, err)
	assert.Equal(t, []Trashed{
		{*a, now, now.Add(2 * time.Hour), "too old"}, {*b, now, now.Add(time.Hour), "too many"},
	}, list)

	require.NoError(t, r.Untrash("shop", b.ID))
	n, err := r.Notes("shop", b.ID)
	require.NoError(t, err)
	assert.Equal(t, "ann", n.Pin.Owner, "as it was")
	require.NoError(t, r.SetPin("shop", b.ID, nil))
	assert.Equal(t, []Manifest{*b}, checkWhole(t, mem.CrashClone(0)), "back, durably, and nothing left in it")
	requireKind(t, failure.UnknownBackup, r.Untrash("shop", b.ID))
	requireKind(t, failure.UnknownBackup, r.Untrash("shop", "../shop"))
	requireKind(t, failure.UnknownBackup, r.Untrash("none", a.ID))

	removed, err := r.Sweep("shop", time.Hour, now.Add(2*time.Hour-1))
	require.NoError(t, err)
	assert.Empty(t, removed, "its time has not passed")
	removed, err = r.Sweep("shop", time.Hour, now.Add(2*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, []string{"/repo/shop/.trash/" + a.ID}, removed)
	left, err := mem.ReadDir("/repo/shop/.trash")
	require.NoError(t, err)
	assert.Empty(t, left)

	require.NoError(t, r.Trash("shop", b.ID, "at once", now, 0))
	list, err = r.Trashed("shop")
	require.NoError(t, err)
	assert.Empty(t, list, "no grace, no trash")
}

func TestTrashRefuses(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	m := mustBackup(t, r, "run-1", start, StateVerified)
	trash := func() error { return r.Trash("shop", m.ID, "test", start, time.Hour) }
	require.NoError(t, trash())
	again := mustBackup(t, r, "run-1", start, StateCopied)
	require.Equal(t, m.ID, again.ID)
	requireKind(t, failure.RepoCorrupt, r.Untrash("shop", m.ID))
	requireKind(t, failure.RepoCorrupt, trash())
	assert.Len(t, checkWhole(t, mem), 1, "the listed one stays")
	list, err := r.Trashed("shop")
	require.NoError(t, err)
	assert.Equal(t, StateVerified, list[0].Manifest.State, "and that in the trash")

	name := filepath.Join("/repo/shop/.trash", m.ID, removedName)
	for _, text := range []string{"x", `{"schema":1,"until":7}`} {
		require.NoError(t, put(mem, name, text))
		_, err = r.Sweep("shop", 0, start.Add(1000*time.Hour))
		requireKind(t, failure.RepoCorrupt, err)
		_, err = r.Trashed("shop")
		requireKind(t, failure.RepoCorrupt, err)
		assert.ErrorContains(t, err, name)
	}
	require.NoError(t, mem.Remove(name))
	_, err = r.Sweep("shop", 0, start.Add(1000*time.Hour))
	requireKind(t, failure.RepoCorrupt, err)
	_, err = mem.Stat(filepath.Dir(name))
	require.NoError(t, err, "nothing is freed of which nobody knows since when it lies there")
}

// whereIs says where the backup of run-1 is, whole.
func whereIs(t testing.TB, mem *vfstest.Mem) (listed, trashed bool) {
	r := open(t, mem)
	all, err := r.List("shop")
	require.NoError(t, err)
	gone, err := r.Trashed("shop")
	require.NoError(t, err)
	require.Len(t, all, 2-len(gone), "in one of the two places, and the other backup listed")
	require.Equal(t, "run-2", all[len(all)-1].Run)
	if len(gone) == 1 {
		require.Equal(t, "run-1", gone[0].Manifest.Run)
		for name, data := range content("run-1") {
			require.Equal(t, data, get(t, mem, filepath.Join("/repo/shop/.trash", gone[0].Manifest.ID, name)))
		}
	}
	return len(all) == 2, len(gone) == 1
}

func TestTrashUnderFailureAndCrash(t *testing.T) {
	id := NewID(start, 42, "run-1")
	trash := func(r *Repo) error { return r.Trash("shop", id, "test", start, time.Hour) }
	check := func(t testing.TB, mem *vfstest.Mem, done bool) {
		listed, trashed := whereIs(t, mem)
		require.True(t, trashed || listed && !done)
		if listed {
			_, err := open(t, mem).Sweep("shop", time.Hour, time.Now().Add(2*time.Hour))
			require.NoError(t, err)
			require.Len(t, checkWhole(t, mem), 2, "and swept of what Trash left in it")
			require.NoError(t, trash(open(t, mem)))
		}
	}
	eachFailure(t, twoBackups, trash, func(t testing.TB, mem *vfstest.Mem, err error) {
		if err == nil {
			check(t, mem.CrashClone(0), true)
		}
		check(t, mem, err == nil)
	})
	eachCrash(t, twoBackups, trash, check)
}

func inTrash(t testing.TB, mem *vfstest.Mem) {
	twoBackups(t, mem)
	require.NoError(t, open(t, mem).Trash("shop", NewID(start, 42, "run-1"), "test", start, time.Hour))
}

func TestUntrashUnderFailureAndCrash(t *testing.T) {
	untrash := func(r *Repo) error { return r.Untrash("shop", NewID(start, 42, "run-1")) }
	check := func(t testing.TB, mem *vfstest.Mem, done bool) {
		listed, trashed := whereIs(t, mem)
		require.True(t, listed || trashed && !done)
		if trashed {
			require.NoError(t, untrash(open(t, mem)))
		}
		_, err := open(t, mem).Sweep("shop", time.Hour, time.Now().Add(2*time.Hour))
		require.NoError(t, err)
		require.Len(t, checkWhole(t, mem), 2, "what is left of the trash is swept")
	}
	eachFailure(t, inTrash, untrash, func(t testing.TB, mem *vfstest.Mem, err error) {
		if err == nil {
			check(t, mem.CrashClone(0), true)
		}
		check(t, mem, err == nil)
	})
	eachCrash(t, inTrash, untrash, check)
}

// TestSweepOfTheTrashUnderFailureAndCrash: in the trash or gone, never half.
func TestSweepOfTheTrashUnderFailureAndCrash(t *testing.T) {
	check := func(t testing.TB, mem *vfstest.Mem, done bool) {
		gone, err := open(t, mem).Trashed("shop")
		require.NoError(t, err, "none that is half freed")
		require.False(t, done && len(gone) > 0)
		require.Len(t, checkWhole(t, mem), 1)
		require.NoError(t, sweepAll(open(t, mem)))
		for _, dir := range []string{trashName, stagingName} {
			left, err := mem.ReadDir(filepath.Join("/repo/shop", dir))
			require.NoError(t, err)
			require.Empty(t, left, dir)
		}
	}
	eachFailure(t, inTrash, sweepAll, func(t testing.TB, mem *vfstest.Mem, err error) { check(t, mem, err == nil) })
	eachCrash(t, inTrash, sweepAll, check)
}

// What a removal is decided on cannot change before the backup is gone.
func TestTrashIf(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Hour} {
		mem := newMem(t)
		r := open(t, mem)
		m := mustBackup(t, r, "run-1", start, StateVerified)
		errPinned := errors.New("it is pinned")
		err := r.TrashIf("shop", m.ID, "test", start, grace, func() error { return errPinned })
		require.ErrorIs(t, err, errPinned)
		_, err = r.Get("shop", m.ID)
		require.NoError(t, err, "it stays")

		pinned := make(chan error, 1)
		err = r.TrashIf("shop", m.ID, "test", start, grace, func() error {
			go func() { pinned <- r.SetPin("shop", m.ID, &Pin{Owner: "ann", Reason: "audit", At: start}) }()
			select {
			case err := <-pinned:
				return fmt.Errorf("a pin was set under the removal: %v", err)
			case <-time.After(50 * time.Millisecond):
				return nil
			}
		})
		require.NoError(t, err)
		assert.Equal(t, failure.UnknownBackup, failure.Of(<-pinned), "who pins too late is told")
	}
}
