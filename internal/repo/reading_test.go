package repo

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestReadingKeepsABackup(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	m := mustBackup(t, r, "run-1", start, StateVerified)
	a, err := r.Read("shop", Latest)
	require.NoError(t, err)
	assert.Equal(t, m, a.Manifest())
	assert.Equal(t, r.BackupDir("shop", m.ID), a.Dir())
	b, err := r.Read("shop", m.ID)
	require.NoError(t, err, "two can read")
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	requireKind(t, failure.Reading, r.Remove("shop", m.ID))
	requireKind(t, failure.Reading, r.Trash("shop", m.ID, "test", start, time.Hour))
	require.NoError(t, r.Update("shop", m.ID, func(m *Manifest) error { m.Tags = []string{"x"}; return nil }), "what is read can be judged")
	require.NoError(t, b.Close())
	require.NoError(t, r.Remove("shop", m.ID))
	_, err = r.Read("shop", m.ID)
	requireKind(t, failure.UnknownBackup, err)
	_, err = r.Read("shop", Latest)
	requireKind(t, failure.UnknownBackup, err)
	_, err = r.Read("none", Latest)
	requireKind(t, failure.UnknownDatabase, err)
}

// TestReadWhileItGoes removes the newest backup at every operation of Read:
// either Read has it, and the removal is refused, or Read gets the one before.
func TestReadWhileItGoes(t *testing.T) {
	outcomes := map[string]int{}
	for at := 1; ; at++ {
		mem := newMem(t)
		old := mustBackup(t, open(t, mem), "run-1", start, StateVerified)
		newest := mustBackup(t, open(t, mem), "run-2", start.Add(time.Hour), StateVerified)
		n, ran := 0, false
		var removed error
		fsys := vfstest.Intercept(mem, func(vfstest.Op) error {
			if n++; n == at {
				ran = true
				removed = open(t, mem).Remove("shop", newest.ID)
			}
			return nil
		})
		rd, err := (&Repo{fs: fsys, dir: "/repo"}).Read("shop", Latest)
		require.NoError(t, err, "at %d", at)
		want := newest
		if ran && removed == nil {
			want = old
			outcomes["removed"]++
		} else if ran {
			requireKind(t, failure.Reading, removed)
			outcomes["refused"]++
		}
		require.Equal(t, want.ID, rd.Manifest().ID, "at %d", at)
		for name, data := range content(want.Run) {
			require.Equal(t, data, get(t, mem, filepath.Join(rd.Dir(), name)))
		}
		require.NoError(t, rd.Close())
		if !ran {
			break
		}
	}
	assert.Positive(t, outcomes["removed"])
	assert.Positive(t, outcomes["refused"])
}

// noDirLocks is a file system that cannot lock directories.
type noDirLocks struct{ vfs.FS }

func (n noDirLocks) Confine(string) (vfs.FS, error) { return n, nil }

func (n noDirLocks) Open(name string) (vfs.File, error) {
	f, err := n.FS.Open(name)
	return unlockable{f}, err
}

type unlockable struct{ vfs.File }

func (unlockable) TryLock() (bool, error)       { return false, vfs.ErrNoLock }
func (unlockable) TryLockShared() (bool, error) { return false, vfs.ErrNoLock }

func TestDirectoriesThatCannotBeLocked(t *testing.T) {
	r := open(t, noDirLocks{newMem(t)})
	m := mustBackup(t, r, "run-1", start, StateVerified)
	rd, err := r.Read("shop", m.ID)
	require.NoError(t, err)
	require.NoError(t, r.Remove("shop", m.ID), "nobody is kept out")
	require.NoError(t, rd.Close())
}

func TestNewestBefore(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	_, err := r.NewestBefore("shop", start)
	requireKind(t, failure.UnknownDatabase, err)
	a := mustBackup(t, r, "run-1", start, StateVerified)
	b := mustBackup(t, r, "run-2", start.Add(time.Hour), StateVerified)
	c := mustBackup(t, r, "run-3", start.Add(2*time.Hour), StateCopied)
	for _, tt := range []struct {
		at   time.Time
		want *Manifest
	}{
		{a.Finished, a}, {b.Finished.Add(-1), a}, {b.Finished, b}, {c.Finished.Add(time.Hour), b},
	} {
		got, err := r.NewestBefore("shop", tt.at)
		require.NoError(t, err)
		assert.Equal(t, tt.want.ID, got.ID, "%v", tt.at)
	}
	_, err = r.NewestBefore("shop", a.Finished.Add(-1))
	requireKind(t, failure.UnknownBackup, err)
	assert.ErrorContains(t, err, "finished by 2026-11-23T03:46:59Z")

	require.NoError(t, put(mem, filepath.Join(r.BackupDir("shop", b.ID), manifestName), "x"))
	got, err := r.NewestBefore("shop", b.Started.Add(-1))
	require.NoError(t, err, "it began later, so it cannot be the one")
	assert.Equal(t, a.ID, got.ID)
	_, err = r.NewestBefore("shop", b.Finished)
	requireKind(t, failure.RepoCorrupt, err)
}
