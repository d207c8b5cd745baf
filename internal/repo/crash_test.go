package repo

import (
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs/vfstest"
)

// eachFailure runs act with the n-th operation failing, reads too, for n = 1,
// 2, ... until none fails.
func eachFailure(t *testing.T, prepare func(testing.TB, *vfstest.Mem), act func(*Repo) error, check func(testing.TB, *vfstest.Mem, error)) {
	t.Helper()
	all := []vfstest.Kind{
		vfstest.OpOpen, vfstest.OpCreate, vfstest.OpStat, vfstest.OpReadDir, vfstest.OpMkdir, vfstest.OpRename, vfstest.OpRemove, vfstest.OpSyncDir,
		vfstest.OpRead, vfstest.OpWrite, vfstest.OpTruncate, vfstest.OpSync, vfstest.OpPunch, vfstest.OpLock, vfstest.OpClose,
	}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for n := 1; ; n++ {
			mem := newMem(t)
			prepare(t, mem)
			bad := vfstest.FailNth(mem, n, errno, all...)
			r := &Repo{fs: bad, dir: "/repo"}
			err := act(r)
			check(t, mem, err)
			if t.Failed() {
				t.Fatalf("operation %d, %v, failing with %v: %v", n, bad.Op(), errno, err)
			}
			if !bad.Fired() {
				require.NoError(t, err)
				require.Greater(t, n, 5, "the sweep saw operations")
				break
			}
		}
	}
}

// eachCrash runs act once and stops the machine before every operation and
// after the last, with unsynced work kept or lost by several seeds.
func eachCrash(t *testing.T, prepare func(testing.TB, *vfstest.Mem), act func(*Repo) error, check func(testing.TB, *vfstest.Mem, bool)) {
	t.Helper()
	mem := newMem(t)
	prepare(t, mem)
	points := 0
	crash := func(op vfstest.Op, done bool) {
		for seed := range int64(12) {
			check(t, mem.CrashClone(seed), done)
			if t.Failed() {
				t.Fatalf("crash at point %d, before %v, seed %d", points, op, seed)
			}
		}
	}
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Mutates() {
			points++
			crash(op, false)
		}
		return nil
	})
	require.NoError(t, act(&Repo{fs: fsys, dir: "/repo"}))
	crash(vfstest.Op{}, true)
	require.Greater(t, points, 3, "the sweep saw operations")
}

func nothing(testing.TB, *vfstest.Mem) {}

func twoBackups(t testing.TB, mem *vfstest.Mem) {
	r := open(t, mem)
	mustBackup(t, r, "run-1", start, StateVerified)
	mustBackup(t, r, "run-2", start.Add(time.Hour), StateCopied)
}

// finish runs the backup again, as a retry does, and wants exactly one.
func finish(t testing.TB, mem *vfstest.Mem) {
	t.Helper()
	checkWhole(t, mem)
	_, err := backup(open(t, mem), "run-1", start.Add(time.Minute), StateCopied)
	require.NoError(t, err)
	require.Len(t, checkWhole(t, mem), 1)
	require.Len(t, checkWhole(t, mem.CrashClone(0)), 1, "durable on return")
}

func TestCommitUnderFailure(t *testing.T) {
	act := func(r *Repo) error { _, err := backup(r, "run-1", start, StateCopied); return err }
	eachFailure(t, nothing, act, func(t testing.TB, mem *vfstest.Mem, err error) {
		if err == nil {
			require.Len(t, checkWhole(t, mem.CrashClone(0)), 1, "no error, so it is durable")
		}
		finish(t, mem)
	})
}

func TestCommitUnderCrash(t *testing.T) {
	act := func(r *Repo) error { _, err := backup(r, "run-1", start, StateCopied); return err }
	eachCrash(t, nothing, act, func(t testing.TB, mem *vfstest.Mem, done bool) {
		if done {
			require.Len(t, checkWhole(t, mem), 1)
		}
		finish(t, mem)
	})
}

// TestCommitAgainInTheSameStaging: after a failure the caller may also call
// Commit once more on what it holds.
func TestCommitAgainInTheSameStaging(t *testing.T) {
	for n := 1; ; n++ {
		mem := newMem(t)
		s, err := open(t, mem).Stage("shop", "run-1")
		require.NoError(t, err)
		for name, data := range content("run-1") {
			require.NoError(t, put(mem, filepath.Join(s.Dir(), name), data))
		}
		bad := vfstest.FailNth(mem, n, syscall.EIO)
		s.repo = &Repo{fs: bad, dir: "/repo"}
		err = s.Commit(manifestOf("run-1", start, StateCopied))
		if err != nil && s.lock != nil {
			require.NoError(t, s.Commit(manifestOf("run-1", start, StateCopied)), "after %v", bad.Op())
		}
		require.Len(t, checkWhole(t, mem), 1, "after %v", bad.Op())
		require.NoError(t, s.Close())
		if !bad.Fired() {
			require.NoError(t, err)
			return
		}
	}
}

func update(r *Repo) error {
	return r.Update("shop", NewID(start.Add(time.Hour), 42, "run-2"), func(m *Manifest) error {
		m.State, m.Verification = StateVerified, &Verification{Level: "full"}
		return nil
	})
}

func checkUpdated(t testing.TB, mem *vfstest.Mem, done bool) {
	list := checkWhole(t, mem)
	require.Len(t, list, 2)
	old := list[1].State == StateCopied && list[1].Verification == nil
	replaced := list[1].State == StateVerified && list[1].Verification != nil
	require.True(t, replaced || old && !done, "old or new, not between")
	require.NoError(t, update(open(t, mem)))
	require.Equal(t, StateVerified, checkWhole(t, mem)[1].State)
}

func TestUpdateUnderFailure(t *testing.T) {
	eachFailure(t, twoBackups, update, func(t testing.TB, mem *vfstest.Mem, err error) {
		checkUpdated(t, mem, err == nil)
	})
}

func TestUpdateUnderCrash(t *testing.T) {
	eachCrash(t, twoBackups, update, checkUpdated)
}

func remove(r *Repo) error {
	return r.Remove("shop", NewID(start, 42, "run-1"))
}

func checkRemoved(t testing.TB, mem *vfstest.Mem, done bool) {
	list := checkWhole(t, mem)
	require.NotEmpty(t, list)
	require.Equal(t, "run-2", list[len(list)-1].Run, "the other one stays")
	require.False(t, done && len(list) == 2, "removed durably")
	if len(list) == 2 {
		require.NoError(t, remove(open(t, mem)))
	}
	_, err := open(t, mem).Sweep("shop", time.Hour, time.Now().Add(2*time.Hour))
	require.NoError(t, err)
	require.Len(t, checkWhole(t, mem), 1)
	for _, path := range []string{"/repo/shop/.staging"} {
		entries, err := mem.ReadDir(path)
		require.NoError(t, err)
		require.Empty(t, entries, "a sweep frees what an interrupted removal left")
	}
}

func TestRemoveUnderFailure(t *testing.T) {
	eachFailure(t, twoBackups, remove, func(t testing.TB, mem *vfstest.Mem, err error) {
		checkRemoved(t, mem, err == nil)
	})
}

func TestRemoveUnderCrash(t *testing.T) {
	eachCrash(t, twoBackups, remove, checkRemoved)
}

// remains leaves one of everything that a sweep removes beside two backups.
func remains(t testing.TB, mem *vfstest.Mem) {
	twoBackups(t, mem)
	r := open(t, mem)
	s, err := r.Stage("shop", "run-3")
	require.NoError(t, err)
	require.NoError(t, put(mem, filepath.Join(s.Dir(), "shop.duckdb"), "half"))
	require.NoError(t, s.Close())
	half := r.BackupDir("shop", NewID(start, 1, "half"))
	require.NoError(t, mem.Mkdir(half, 0o700))
	require.NoError(t, put(mem, filepath.Join(half, "shop.duckdb"), "half"))
	require.NoError(t, mem.SyncDir("/repo/shop"))
}

func sweepAll(r *Repo) error {
	_, err := r.Sweep("shop", time.Hour, time.Now().Add(2*time.Hour))
	return err
}

func checkSwept(t testing.TB, mem *vfstest.Mem, done bool) {
	require.Len(t, checkWhole(t, mem), 2)
	require.NoError(t, sweepAll(open(t, mem)))
	require.Len(t, checkWhole(t, mem), 2)
	left, err := mem.ReadDir("/repo/shop/.staging")
	require.NoError(t, err)
	require.Empty(t, left)
	entries, err := mem.ReadDir("/repo/shop")
	require.NoError(t, err)
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == editName }) // a lock file stays
	require.Len(t, entries, 3, "two backups and the staging area")
	_, err = backup(open(t, mem), "run-3", start.Add(2*time.Hour), StateCopied)
	require.NoError(t, err, "the next run succeeds")
	assert.Len(t, checkWhole(t, mem), 3)
}

func TestSweepUnderFailure(t *testing.T) {
	eachFailure(t, remains, sweepAll, func(t testing.TB, mem *vfstest.Mem, err error) {
		checkSwept(t, mem, err == nil)
	})
}

func TestSweepUnderCrash(t *testing.T) {
	eachCrash(t, remains, sweepAll, checkSwept)
}

// TestTwoProcessesCommitOneRun: a second attempt that gets in between any two
// operations of the first is refused or agrees; there is one backup at the end.
func TestTwoProcessesCommitOneRun(t *testing.T) {
	for at := 1; ; at++ {
		mem := newMem(t)
		n, inside, ran := 0, false, false
		fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
			if n++; n == at && !inside {
				inside, ran = true, true
				backup(open(t, mem), "run-1", start.Add(time.Minute), StateCopied) // refused as busy, or done: the list decides
				inside = false
			}
			return nil
		})
		_, err := backup(&Repo{fs: fsys, dir: "/repo"}, "run-1", start, StateCopied)
		require.NoError(t, err, "at %d", at)
		require.Len(t, checkWhole(t, mem), 1, "at %d", at)
		if !ran {
			return
		}
	}
}

// TestUpdateMakesAnUnsyncedCommitDurable: a commit renames its directory, and
// the sync of the rename fails; a retry finds the backup and verifies it.
func TestUpdateMakesAnUnsyncedCommitDurable(t *testing.T) {
	mem := newMem(t)
	renamed := false
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		renamed = renamed || op.Kind == vfstest.OpRename && filepath.Base(filepath.Dir(op.Name)) == stagingName
		if renamed && op.Kind == vfstest.OpSyncDir {
			return syscall.EIO
		}
		return nil
	})
	_, err := backup(&Repo{fs: fsys, dir: "/repo"}, "run-1", start, StateCopied)
	require.ErrorIs(t, err, syscall.EIO)
	require.Empty(t, checkWhole(t, mem.CrashClone(0)), "not durable yet")
	m, err := open(t, mem).FindRun("shop", "run-1")
	require.NoError(t, err)
	require.NotNil(t, m)
	verified := func(m *Manifest) error { m.State = StateVerified; return nil }
	require.NoError(t, open(t, mem).Update("shop", m.ID, verified))
	require.Len(t, checkWhole(t, mem.CrashClone(0)), 1)
}

// TestNothingIsGoneForAFailingDisk: what cannot be looked at is there, as far
// as anybody knows.
func TestNothingIsGoneForAFailingDisk(t *testing.T) {
	id := NewID(start, 42, "run-1")
	for name, act := range map[string]func(*Repo) error{
		"remove": func(r *Repo) error { return r.Remove("shop", id) },
		"trash":  func(r *Repo) error { return r.Trash("shop", id, "test", start, time.Hour) },
		"read": func(r *Repo) error {
			rd, err := r.Read("shop", id)
			if err == nil {
				err = rd.Close()
			}
			return err
		},
		"pin": func(r *Repo) error { return r.SetPin("shop", id, &Pin{Owner: "ann", Reason: "test", At: start}) },
	} {
		for n := 1; ; n++ {
			mem := newMem(t)
			twoBackups(t, mem)
			bad := vfstest.FailNth(mem, n, syscall.EIO, vfstest.OpStat)
			err := act(&Repo{fs: bad, dir: "/repo"})
			if !bad.Fired() {
				require.NoError(t, err, name)
				require.Greater(t, n, 2, name)
				break
			}
			require.ErrorIs(t, err, syscall.EIO, "%s, look %d", name, n)
			require.NotEqual(t, failure.UnknownBackup, failure.Of(err), "%s, look %d: %v", name, n, err)
		}
	}
}
