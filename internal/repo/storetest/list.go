package storetest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

func testOpen(t *testing.T, o Options) {
	s := o.New(t)
	_, err := repo.Open(s.FS, filepath.Join(s.Dir, "none"))
	requireKind(t, failure.RepoMissing, err)
	require.NoError(t, put(s.FS, filepath.Join(s.Dir, "file"), "x"))
	_, err = repo.Open(s.FS, filepath.Join(s.Dir, "file"))
	requireKind(t, failure.RepoMissing, err)
	_, err = repo.Open(s.FS, filepath.Join(s.Dir, "file", "below"))
	requireKind(t, failure.RepoMissing, err)
	require.NoError(t, s.FS.Remove(filepath.Join(s.Dir, "file")))

	r := open(t, s)
	require.NoError(t, r.CheckWritable())
	entries, err := s.FS.ReadDir(s.Dir)
	require.NoError(t, err)
	for _, e := range entries {
		assert.NotContains(t, e.Name(), ".probe-")
	}
	names, err := r.Databases()
	require.NoError(t, err)
	assert.Empty(t, names)
	mustBackup(t, s, "run-1", start, repo.StateCopied)
	names, err = r.Databases()
	require.NoError(t, err)
	assert.Equal(t, []string{database}, names)
	if s.Processes {
		link := filepath.Join(s.Dir, "linked-repository")
		require.NoError(t, os.Symlink(s.Dir, link))
		r, err := repo.Open(s.FS, link)
		require.NoError(t, err, "the operator may link to a repository")
		list, err := r.List(database)
		require.NoError(t, err)
		assert.Len(t, list, 1)
	}
}

func testList(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	list, err := r.List(database)
	require.NoError(t, err)
	assert.Empty(t, list)
	_, err = r.Get(database, repo.Latest)
	requireKind(t, failure.UnknownDatabase, err)
	c := mustBackup(t, s, "run-3", start.Add(2*time.Hour), repo.StateCopied)
	_, err = r.Get(database, repo.Latest)
	requireKind(t, failure.UnknownBackup, err, "none is verified")
	a := mustBackup(t, s, "run-1", start, repo.StateVerified)
	b := mustBackup(t, s, "run-2", start.Add(time.Hour), repo.StateVerified)
	assert.Equal(t, []repo.Manifest{*a, *b, *c}, mustBeWhole(t, s), "oldest first")
	for id, want := range map[string]*repo.Manifest{repo.Latest: b, a.ID: a, b.ID: b, c.ID: c} {
		m, err := r.Get(database, id)
		require.NoError(t, err)
		assert.Equal(t, want, m, id)
	}
	for _, m := range []*repo.Manifest{a, b, c} {
		found, err := r.FindRun(database, m.Run)
		require.NoError(t, err)
		assert.Equal(t, m, found)
	}
	found, err := r.FindRun(database, "run-9")
	require.NoError(t, err)
	assert.Nil(t, found)

	_, err = r.NewestBefore(database, a.Finished.Add(-time.Nanosecond))
	requireKind(t, failure.UnknownBackup, err, "the copy had not ended")
	for at, want := range map[time.Time]*repo.Manifest{a.Finished: a, b.Finished.Add(-time.Second): a, b.Finished: b, c.Finished: b} {
		m, err := r.NewestBefore(database, at)
		require.NoError(t, err)
		assert.Equal(t, want, m, "%s", at)
	}
}

// testTrust puts beside two good backups what a repository must not take for one.
func testTrust(t *testing.T, o Options) {
	s := o.New(t)
	r := open(t, s)
	a := mustBackup(t, s, "run-1", start, repo.StateVerified)
	b := mustBackup(t, s, "run-2", start.Add(time.Hour), repo.StateVerified)
	good, err := get(s.FS, filepath.Join(r.BackupDir(database, a.ID), manifestName))
	require.NoError(t, err)
	half := r.BackupDir(database, repo.NewID(start.Add(time.Minute), 1, "half"))
	require.NoError(t, s.FS.Mkdir(half, 0o700))
	require.NoError(t, put(s.FS, filepath.Join(half, "shop.duckdb"), "half"))
	require.NoError(t, s.FS.Mkdir(filepath.Join(s.Dir, database, "notes"), 0o700))
	require.NoError(t, put(s.FS, filepath.Join(s.Dir, database, "readme"), "x"))
	assert.Equal(t, []repo.Manifest{*a, *b}, mustBeWhole(t, s), "what has no manifest is no backup")

	id := repo.NewID(start.Add(2*time.Minute), 7, "faulty")
	dir := r.BackupDir(database, id)
	own := strings.ReplaceAll(good, a.ID, id)
	for what, text := range map[string]string{
		"empty":               "",
		"half":                own[:len(own)/2],
		"more behind it":      own + "}",
		"of another ID":       good,
		"of another database": strings.ReplaceAll(own, `"shop"`, `"till"`),
		"a later schema":      strings.Replace(own, `"schema": 1`, `"schema": 2`, 1),
		"unknown field":       strings.Replace(own, `"schema": 1`, `"schema": 1, "more": 1`, 1),
		"name of a path":      strings.ReplaceAll(own, `"shop.duckdb"`, `"../shop.duckdb"`),
		"its own name":        strings.ReplaceAll(own, `"shop.duckdb"`, `"manifest.json"`),
		"huge":                own + "\n",
	} {
		require.NotEqual(t, own, text, what)
		require.NoError(t, s.FS.MkdirAll(dir, 0o700))
		require.NoError(t, put(s.FS, filepath.Join(dir, manifestName), text))
		if what == "huge" {
			resize(t, s, filepath.Join(dir, manifestName), 65<<20) // with a hole, in so far as there is one
		}
		list, err := r.List(database)
		requireKind(t, failure.RepoCorrupt, err, what)
		require.ErrorContains(t, err, id, what)
		require.Equal(t, []repo.Manifest{*a, *b}, list, what)
		_, err = r.Get(database, id)
		requireKind(t, failure.RepoCorrupt, err, what)
		m, err := r.Get(database, repo.Latest)
		require.NoError(t, err, "%s: it is older", what)
		require.Equal(t, b, m)
		_, err = r.NewestBefore(database, b.Finished.Add(-time.Second))
		requireKind(t, failure.RepoCorrupt, err, what)
		_, err = r.FindRun(database, "faulty")
		requireKind(t, failure.RepoCorrupt, err, what)
		_, err = r.FindRun(database, "run-7")
		require.NoError(t, err, what)
		requireKind(t, failure.RepoCorrupt, r.Trash(database, id, "test", start, time.Hour), what)
		_, err = r.Sweep(database, time.Hour, time.Now())
		require.NoError(t, err, what)
		require.NoError(t, r.Remove(database, id), "%s: it can be removed", what)
	}
	testNames(t, r)
}

func testNames(t *testing.T, r *repo.Repo) {
	id := repo.NewID(start, 42, "run-1")
	for _, name := range []string{"", ".", "..", "../shop", "a/b", "A", ".staging", strings.Repeat("a", 65), "a\n"} {
		assert.Empty(t, r.BackupDir(name, id))
		_, err := r.Stage(name, "k")
		requireKind(t, failure.UnknownDatabase, err, name)
		_, err = r.Acquire(name, "k", start)
		requireKind(t, failure.UnknownDatabase, err, name)
		_, err = r.List(name)
		requireKind(t, failure.UnknownDatabase, err, name)
		_, err = r.Trashed(name)
		requireKind(t, failure.UnknownDatabase, err, name)
		_, err = r.Sweep(name, 0, start)
		requireKind(t, failure.UnknownDatabase, err, name)
		requireKind(t, failure.UnknownDatabase, r.Remove(name, id), name)
		requireKind(t, failure.UnknownDatabase, r.Untrash(name, id), name)
	}
	for _, id := range []string{"", ".", "..", "../shop", ".staging", id + "/..", id + "\n", "20261323T034600Z-i42-1f3a"} {
		_, err := r.Get(database, id)
		requireKind(t, failure.UnknownBackup, err, id)
		_, err = r.Read(database, id)
		requireKind(t, failure.UnknownBackup, err, id)
		requireKind(t, failure.UnknownBackup, r.Remove(database, id), id)
		requireKind(t, failure.UnknownBackup, r.Trash(database, id, "", start, time.Hour), id)
		requireKind(t, failure.UnknownBackup, r.Untrash(database, id), id)
		requireKind(t, failure.UnknownBackup, r.SetPin(database, id, nil), id)
		requireKind(t, failure.UnknownBackup, r.Update(database, id, func(*repo.Manifest) error { return nil }), id)
	}
	for _, key := range []string{"..", "../../x", "a/b", ".gone-x", "run\n1", strings.Repeat("k", 300)} {
		s, err := r.Stage(database, key)
		require.NoError(t, err, key)
		assert.Equal(t, filepath.Join(r.Dir(), database, ".staging"), filepath.Dir(s.Dir()), key)
		require.NoError(t, s.Discard())
	}
}

func testLinks(t *testing.T, o Options) {
	s := o.New(t)
	if !s.Processes {
		return // it has neither
	}
	r := open(t, s)
	a := mustBackup(t, s, "run-1", start, repo.StateVerified)
	other := repo.NewID(start.Add(-time.Hour), 1, "run-2")
	dir := r.BackupDir(database, other)
	link := func(at string) error { return os.Symlink(r.BackupDir(database, a.ID), at) }
	pipe := func(at string) error { return syscall.Mkfifo(at, 0o600) }
	file := filepath.Join(r.BackupDir(database, a.ID), manifestName)
	for what, make := range map[string]func() error{
		"a link for a backup": func() error { return link(dir) },
		"a pipe for a backup": func() error { return pipe(dir) },
		"a link for a manifest": func() error {
			require.NoError(t, os.Mkdir(dir, 0o700))
			return os.Symlink(file, filepath.Join(dir, manifestName))
		},
		"a pipe for a manifest": func() error {
			require.NoError(t, os.Mkdir(dir, 0o700))
			return pipe(filepath.Join(dir, manifestName))
		},
	} {
		require.NoError(t, make(), what)
		list, err := r.List(database)
		requireKind(t, failure.RepoCorrupt, err, what)
		require.Equal(t, []string{a.ID}, ids(list), what)
		_, err = r.Get(database, other)
		requireKind(t, failure.RepoCorrupt, err, what)
		_, err = r.Read(database, other)
		requireKind(t, failure.RepoCorrupt, err, what)
		requireKind(t, failure.RepoCorrupt, r.Trash(database, other, "", start, time.Hour), what)
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			requireKind(t, failure.RepoCorrupt, r.Remove(database, other), what)
		}
		require.NoError(t, os.RemoveAll(dir))
	}
	elsewhere := t.TempDir()
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(s.Dir, "linked")))
	_, err := r.Stage("linked", "run-1")
	requireKind(t, failure.RepoCorrupt, err)
	_, err = r.Acquire("linked", "run-1", start)
	requireKind(t, failure.RepoCorrupt, err)
	_, err = r.Sweep("linked", 0, start)
	requireKind(t, failure.RepoCorrupt, err)
	names, err := r.Databases()
	requireKind(t, failure.RepoCorrupt, err)
	assert.Equal(t, []string{database}, names)
	inside, err := os.ReadDir(elsewhere)
	require.NoError(t, err)
	assert.Empty(t, inside, "nothing was written through the link")

	require.NoError(t, pipe(filepath.Join(s.Dir, database, ".run")))
	_, err = r.Acquire(database, "run-1", start)
	requireKind(t, failure.RepoCorrupt, err, "a pipe for the record, which nobody writes to")
}

func resize(t testing.TB, s Store, name string, size int64) {
	t.Helper()
	f, err := s.FS.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())
}
