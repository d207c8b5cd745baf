package storetest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

func testPhases(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	st, err := r.Stage(database, "run-1")
	require.NoError(t, err)
	m := manifestOf("run-1", start, repo.StateCopied)
	require.ErrorContains(t, st.Commit(m), "shop.duckdb", "a file is missing")
	require.NoError(t, fill(s.FS, st.Dir(), "run-1"))
	assert.Empty(t, mustBeWhole(t, s), "not committed")
	require.Error(t, st.Commit(manifestOf("run-2", start, repo.StateCopied)), "another run's manifest")
	require.NoError(t, put(s.FS, filepath.Join(st.Dir(), "shop.duckdb"), "short"))
	require.ErrorContains(t, st.Commit(m), "the manifest says")
	assert.Empty(t, mustBeWhole(t, s))
	require.NoError(t, fill(s.FS, st.Dir(), "run-1"))
	final := r.BackupDir(database, m.ID)
	require.NoError(t, s.FS.Mkdir(final, 0o700))
	requireKind(t, failure.RepoCorrupt, st.Commit(m), "the name is taken")
	require.NoError(t, s.FS.Remove(final))
	require.NoError(t, st.Commit(m), "held after every refusal")
	require.Error(t, st.Commit(m), "released")
	assert.Equal(t, []repo.Manifest{*m}, mustBeWhole(t, s))
	entries, err := s.FS.ReadDir(final)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := s.FS.Lstat(filepath.Join(final, e.Name()))
		require.NoError(t, err)
		assert.Equal(t, "-rw-------", info.Mode.String(), e.Name())
	}
	assert.Equal(t, []string{sumsName, manifestName, "shop.duckdb", "shop.duckdb.wal"}, names)

	again := mustBackup(t, s, "run-1", start.Add(time.Hour), repo.StateCopied)
	assert.Equal(t, m, again, "the manifest becomes that of the run's backup")
	assert.Len(t, mustBeWhole(t, s), 1)
	mustBeClean(t, s)
}

func testResume(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	st, err := r.Stage(database, "run-1")
	require.NoError(t, err)
	_, err = r.Stage(database, "run-1")
	requireKind(t, failure.Busy, err)
	requireKind(t, failure.Busy, r.Unstage(database, "run-1"))
	other, err := r.Stage(database, "run-2")
	require.NoError(t, err, "another run has its own")
	require.NoError(t, other.Discard())
	name := filepath.Join(st.Dir(), "shop.duckdb")
	require.NoError(t, put(s.FS, name, "half"))
	require.NoError(t, st.Close())
	require.NoError(t, st.Close(), "twice is harmless")
	st, err = r.Stage(database, "run-1")
	require.NoError(t, err)
	text, err := get(s.FS, name)
	require.NoError(t, err)
	assert.Equal(t, "half", text, "kept for a resume")
	require.NoError(t, st.Discard())
	_, err = s.FS.Lstat(st.Dir())
	require.Error(t, err, "discarded")
	st, err = r.Stage(database, "run-1")
	require.NoError(t, err)
	require.NoError(t, put(s.FS, name, "half"))
	require.NoError(t, st.Close())
	require.NoError(t, r.Unstage(database, "run-1"))
	_, err = s.FS.Lstat(st.Dir())
	require.Error(t, err, "unstaged")
	require.NoError(t, r.Unstage(database, "run-1"), "nothing is there")
	mustBeClean(t, s)
}

func testSweep(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	m := mustBackup(t, s, "run-1", start, repo.StateVerified)
	held, err := r.Stage(database, "held")
	require.NoError(t, err)
	stale, err := r.Stage(database, "stale")
	require.NoError(t, err)
	require.NoError(t, fill(s.FS, held.Dir(), "held"))
	require.NoError(t, fill(s.FS, stale.Dir(), "stale"))
	require.NoError(t, stale.Close())
	half := r.BackupDir(database, repo.NewID(start, 1, "half"))
	require.NoError(t, s.FS.Mkdir(half, 0o700))
	temp := filepath.Join(r.BackupDir(database, m.ID), ".manifest.json.tmp-0123456789abcdef")
	require.NoError(t, put(s.FS, temp, "{"))
	probe := filepath.Join(s.Dir, ".probe-0123456789abcdef")
	require.NoError(t, put(s.FS, probe, "x"))

	removed, err := r.Sweep(database, time.Hour, time.Now())
	require.NoError(t, err)
	require.Empty(t, removed, "all is recent")
	removed, err = sweepLate(r)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{stale.Dir(), half, temp, probe}, removed)
	require.NoError(t, held.Commit(manifestOf("held", start.Add(time.Hour), repo.StateCopied)), "it was held")
	assert.Len(t, mustBeWhole(t, s), 2)
	mustBeClean(t, s)
}

func testLease(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	now := start
	a, err := r.Acquire(database, "run-1", now)
	require.NoError(t, err)
	for _, run := range []string{"run-1", "run-2"} {
		_, err = r.Acquire(database, run, now.Add(time.Hour))
		requireKind(t, failure.Busy, err, run)
		assert.ErrorContains(t, err, "run-1")
	}
	other, err := r.Acquire("till", "run-2", now)
	require.NoError(t, err, "another database is free")
	require.NoError(t, other.End())
	require.NoError(t, a.Close(now.Add(time.Minute)))
	require.NoError(t, a.Close(now.Add(time.Hour)), "twice is harmless")
	_, err = r.Acquire(database, "run-2", now.Add(time.Minute-1))
	requireKind(t, failure.Busy, err, "the record has not ended")
	a, err = r.Acquire(database, "run-1", now.Add(time.Second))
	require.NoError(t, err, "the run goes on")
	require.NoError(t, a.Close(now.Add(time.Minute)))
	b, err := r.Acquire(database, "run-2", now.Add(time.Minute))
	require.NoError(t, err, "the record has ended")
	_, err = r.Acquire(database, "run-1", now)
	requireKind(t, failure.Busy, err)
	require.NoError(t, b.End())
	a, err = r.Acquire(database, "run-1", now)
	require.NoError(t, err, "given up")
	require.NoError(t, a.End())
}
