package repo

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs/vfstest"
)

func TestCommitRefuses(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	s, err := r.Stage("shop", "run-1")
	require.NoError(t, err)
	m := manifestOf("run-1", start, StateCopied)
	require.ErrorContains(t, s.Commit(m), filepath.Join(s.Dir(), "shop.duckdb"), "file missing")
	for name, data := range content("run-1") {
		require.NoError(t, put(mem, filepath.Join(s.Dir(), name), data+"x"))
	}
	require.ErrorContains(t, s.Commit(m), "the manifest says", "wrong size")
	require.Error(t, s.Commit(manifestOf("run-2", start, StateCopied)), "another run's manifest")
	bad := *m
	bad.State = "great"
	require.ErrorContains(t, s.Commit(&bad), "state")
	assert.Empty(t, checkWhole(t, mem))

	for name, data := range content("run-1") {
		require.NoError(t, put(mem, filepath.Join(s.Dir(), name), data))
	}
	require.NoError(t, mem.Mkdir(r.BackupDir("shop", m.ID), 0o700))
	requireKind(t, failure.RepoCorrupt, s.Commit(m))
	require.NoError(t, mem.Remove(r.BackupDir("shop", m.ID)))
	require.NoError(t, s.Commit(m), "still held after every refusal")
	assert.Len(t, checkWhole(t, mem), 1)
}

func TestUpdate(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	m := mustBackup(t, r, "run-1", start, StateCopied)
	require.NoError(t, r.Update("shop", m.ID, func(now *Manifest) error {
		assert.Equal(t, m, now)
		now.State = StateVerified
		now.Verification = &Verification{Level: "full", Tables: []Table{{Name: "main.orders", Rows: 3, Fingerprint: "ab"}}}
		m = now
		return nil
	}))
	got, err := r.Get("shop", Latest)
	require.NoError(t, err)
	assert.Equal(t, m, got)

	no := errors.New("no")
	for want, change := range map[string]func(*Manifest){
		"files cannot change": func(m *Manifest) { m.Files = m.Files[:1] },
		"run and files":       func(m *Manifest) { m.Files[0].SHA256 = m.Files[1].SHA256 },
		"cannot change":       func(m *Manifest) { m.Run = "run-2" },
		"its name":            func(m *Manifest) { m.ID = NewID(start, 42, "run-2") },
		"tag":                 func(m *Manifest) { m.Tags = []string{"a b"} },
	} {
		require.ErrorContains(t, r.Update("shop", m.ID, func(m *Manifest) error { change(m); return nil }), want)
	}
	require.ErrorIs(t, r.Update("shop", m.ID, func(m *Manifest) error { m.State = StateFailed; return no }), no)
	again, err := r.Get("shop", m.ID)
	require.NoError(t, err)
	assert.Equal(t, got, again, "as it was")
	never := func(*Manifest) error { t.Error("called"); return nil }
	requireKind(t, failure.UnknownBackup, r.Update("shop", NewID(start, 42, "run-2"), never))
	requireKind(t, failure.UnknownBackup, r.Update("shop", "../shop", never))
	requireKind(t, failure.UnknownBackup, r.Update("none", m.ID, never))
}

func TestSweep(t *testing.T) {
	mem := newMem(t)
	clock := start
	mem.SetNow(func() time.Time { return clock })
	r := open(t, mem)
	live := mustBackup(t, r, "run-1", start, StateVerified)
	held, err := r.Stage("shop", "held")
	require.NoError(t, err)
	dead, err := r.Stage("shop", "dead")
	require.NoError(t, err)
	require.NoError(t, put(mem, filepath.Join(dead.Dir(), "shop.duckdb"), "half"))
	require.NoError(t, dead.Close())
	half := r.BackupDir("shop", NewID(start, 1, "half"))
	require.NoError(t, mem.Mkdir(half, 0o700))
	require.NoError(t, put(mem, filepath.Join(half, "shop.duckdb"), "half"))
	temp := filepath.Join(r.BackupDir("shop", live.ID), ".manifest.json.tmp-00ff")
	require.NoError(t, put(mem, temp, "half"))
	require.NoError(t, put(mem, "/repo/shop/notes.txt", "not ours"))
	gone := "/repo/shop/.staging/.gone-x"
	require.NoError(t, mem.Mkdir(gone, 0o700))

	clock = start.Add(2 * time.Hour)
	young, err := r.Stage("shop", "young")
	require.NoError(t, err)
	require.NoError(t, young.Close())

	removed, err := r.Sweep("shop", 3*time.Hour, clock)
	require.NoError(t, err)
	assert.Equal(t, []string{gone}, removed, "what was removed on purpose needs no age")
	removed, err = r.Sweep("shop", time.Hour, clock)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{dead.Dir(), half, temp}, removed)
	removed, err = r.Sweep("shop", time.Hour, clock)
	require.NoError(t, err)
	assert.Empty(t, removed)
	for _, path := range []string{held.Dir(), young.Dir(), "/repo/shop/notes.txt"} {
		_, err := mem.Stat(path)
		assert.NoError(t, err, path)
	}
	assert.Equal(t, []Manifest{*live}, checkWhole(t, mem))
	require.NoError(t, held.Discard())
	removed, err = r.Sweep("none", time.Hour, clock)
	require.NoError(t, err)
	assert.Empty(t, removed)
}

func TestLease(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	acquire := func(run string, at time.Time) *Lease {
		l, err := r.Acquire("shop", run, at)
		require.NoError(t, err)
		return l
	}
	refused := func(run string, at time.Time, by string) {
		t.Helper()
		_, err := r.Acquire("shop", run, at)
		requireKind(t, failure.Busy, err)
		assert.ErrorContains(t, err, by)
	}
	a := acquire("run-a", start)
	refused("run-b", start.Add(100*time.Hour), "run-a")
	refused("run-a", start, "run-a")
	require.NoError(t, a.Close(start.Add(time.Hour)))
	require.NoError(t, a.Close(start.Add(5*time.Hour)), "a second close changes nothing")

	refused("run-b", start.Add(time.Minute), "run-a")
	a = acquire("run-a", start.Add(time.Minute))
	require.NoError(t, a.Close(start.Add(time.Hour)))
	b := acquire("run-b", start.Add(time.Hour))
	refused("run-a", start.Add(time.Hour), "run-b")
	require.NoError(t, b.End())
	require.NoError(t, b.End())
	a = acquire("run-a", start)

	crashed := mem.CrashClone(1)
	l, err := open(t, crashed).Acquire("shop", "run-c", start.Add(time.Second))
	require.NoError(t, err, "a dead process holds nothing that its run did not ask for")
	require.NoError(t, l.End())
	require.NoError(t, a.End())

	require.NoError(t, put(mem, "/repo/shop/.run", "garbage"))
	_, err = r.Acquire("shop", "run-a", start)
	requireKind(t, failure.RepoCorrupt, err)
	require.NoError(t, mem.Remove("/repo/shop/.run"))
	require.NoError(t, acquire("run-a", start).End(), "the lock was let go")
	assert.Empty(t, checkWhole(t, mem))
}

func TestLeaseOutlivesItsProcess(t *testing.T) {
	mem := newMem(t)
	a, err := open(t, mem).Acquire("shop", "run-a", start)
	require.NoError(t, err)
	require.NoError(t, a.Close(start.Add(time.Hour)))
	_, err = open(t, mem.CrashClone(0)).Acquire("shop", "run-b", start.Add(time.Minute))
	requireKind(t, failure.Busy, err)

	a, err = open(t, mem).Acquire("shop", "run-a", start.Add(time.Minute))
	require.NoError(t, err)
	_, err = open(t, mem.CrashClone(0)).Acquire("shop", "run-b", start.Add(2*time.Minute))
	requireKind(t, failure.Busy, err)
	require.NoError(t, a.End())
}

func TestLeaseUnderFailure(t *testing.T) {
	eachFailure(t, func(t testing.TB, mem *vfstest.Mem) {}, func(r *Repo) error {
		l, err := r.Acquire("shop", "run-a", start)
		if err != nil {
			return err
		}
		if err := l.Close(start.Add(time.Hour)); err != nil {
			return err
		}
		if l, err = r.Acquire("shop", "run-a", start); err != nil {
			return err
		}
		return l.End()
	}, func(t testing.TB, mem *vfstest.Mem, _ error) {
		l, err := open(t, mem).Acquire("shop", "run-a", start)
		require.NoError(t, err, "no lock stays held")
		require.NoError(t, l.End())
	})
}

func TestUnstage(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	require.NoError(t, r.Unstage("shop", "run-1"), "nothing is staged")
	s, err := r.Stage("shop", "run-1")
	require.NoError(t, err)
	require.NoError(t, put(mem, filepath.Join(s.Dir(), "shop.duckdb"), "half"))
	require.Equal(t, failure.Busy, failure.Of(r.Unstage("shop", "run-1")))
	require.NoError(t, s.Close())

	full := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if _, err := mem.Lstat(op.Name); err != nil && (op.Kind == vfstest.OpMkdir || op.Kind == vfstest.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	})
	require.NoError(t, open(t, full).Unstage("shop", "run-1"))
	require.NoError(t, mem.Mkdir(s.Dir(), 0o700)) // and then there was no room for its lock
	require.NoError(t, open(t, full).Unstage("shop", "run-1"))
	entries, err := mem.ReadDir(filepath.Dir(s.Dir()))
	require.NoError(t, err)
	require.Empty(t, entries)
}
