package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

var start = time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)

// content of the two files of the backup of a run.
func content(key string) map[string]string {
	return map[string]string{
		"shop.duckdb":     "database of " + key,
		"shop.duckdb.wal": "wal of " + key,
	}
}

func manifestOf(key string, started time.Time, state State) *Manifest {
	m := &Manifest{
		Schema: Schema, ID: NewID(started, 42, key), Database: "shop", State: state, Run: key,
		Started: started, Finished: started.Add(time.Minute), Tool: "canvasback test",
	}
	for _, name := range []string{"shop.duckdb", "shop.duckdb.wal"} {
		data := content(key)[name]
		sum := sha256.Sum256([]byte(data))
		m.Files = append(m.Files, File{Name: name, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	return m
}

func newMem(t testing.TB) *vfstest.Mem {
	t.Helper()
	mem := vfstest.NewMem()
	require.NoError(t, mem.Mkdir("/repo", 0o700))
	require.NoError(t, mem.SyncDir("/"))
	return mem
}

func open(t testing.TB, fsys vfs.FS) *Repo {
	t.Helper()
	r, err := Open(fsys, "/repo")
	require.NoError(t, err)
	return r
}

func put(fsys vfs.FS, name, text string) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(text)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func get(t testing.TB, fsys vfs.FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(data)
}

// backup stages, writes (unsynced, with things that must go) and commits.
func backup(r *Repo, key string, started time.Time, state State) (m *Manifest, err error) {
	s, err := r.Stage("shop", key)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for name, data := range content(key) {
		if err := put(r.fs, filepath.Join(s.Dir(), name), data); err != nil {
			return nil, err
		}
	}
	if err := put(r.fs, filepath.Join(s.Dir(), "progress.json"), "{}"); err != nil {
		return nil, err
	}
	if err := r.fs.MkdirAll(filepath.Join(s.Dir(), "scratch", "deep"), 0o700); err != nil {
		return nil, err
	}
	m = manifestOf(key, started, state)
	return m, s.Commit(m)
}

func mustBackup(t testing.TB, r *Repo, key string, started time.Time, state State) *Manifest {
	t.Helper()
	m, err := backup(r, key, started, state)
	require.NoError(t, err)
	return m
}

// checkWhole requires that every listed backup has exactly its files, with
// their sums, and returns the list.
func checkWhole(t testing.TB, fsys vfs.FS, context ...any) []Manifest {
	t.Helper()
	r := open(t, fsys)
	list, err := r.List("shop")
	require.NoError(t, err, context...)
	for _, m := range list {
		dir := r.BackupDir("shop", m.ID)
		var sums strings.Builder
		names := map[string]bool{manifestName: true, sumsName: true}
		for _, f := range m.Files {
			data := get(t, fsys, filepath.Join(dir, f.Name))
			sum := sha256.Sum256([]byte(data))
			require.Equal(t, f.SHA256, hex.EncodeToString(sum[:]), context...)
			sums.WriteString(f.SHA256 + "  " + f.Name + "\n")
			names[f.Name] = true
		}
		require.Equal(t, sums.String(), get(t, fsys, filepath.Join(dir, sumsName)), context...)
		entries, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			require.True(t, names[e.Name()] || e.Name() == lockName || vfs.IsTemp(e.Name()), "%s is left (%v)", e.Name(), context)
		}
	}
	return list
}

func requireKind(t testing.TB, kind *failure.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind.Name, failure.Of(err).Name, "%v", err)
}

func TestOpenRefuses(t *testing.T) {
	mem := newMem(t)
	_, err := Open(mem, "/none")
	requireKind(t, failure.RepoMissing, err)
	assert.ErrorContains(t, err, "/none")
	require.NoError(t, put(mem, "/file", "x"))
	_, err = Open(mem, "/file")
	requireKind(t, failure.RepoMissing, err)
	_, err = Open(mem, "/file/below")
	requireKind(t, failure.RepoMissing, err)
	_, err = Open(vfstest.FailNth(mem, 1, syscall.EACCES, vfstest.OpStat), "/repo")
	requireKind(t, failure.RepoNotWritable, err)
}

func TestCheckWritable(t *testing.T) {
	for n := 1; ; n++ {
		mem := newMem(t)
		bad := vfstest.FailNth(mem, n, syscall.ENOSPC)
		err := open(t, bad).CheckWritable()
		if !bad.Fired() {
			require.NoError(t, err)
			entries, err := mem.ReadDir("/repo")
			require.NoError(t, err)
			assert.Empty(t, entries, "the probe is removed")
			break
		}
		requireKind(t, failure.RepoFull, err)
	}
	mem := newMem(t)
	err := open(t, vfstest.FailNth(mem, 1, syscall.EROFS)).CheckWritable()
	requireKind(t, failure.RepoNotWritable, err)
	assert.ErrorContains(t, err, "/repo")
}

func TestCommitOnTheMachinesFileSystem(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(vfs.OS(), dir)
	require.NoError(t, err)
	m := mustBackup(t, r, "run-1", start, StateCopied)
	assert.Regexp(t, `^20261123T034600Z-i42-[0-9a-f]{4}$`, m.ID)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if path != dir {
			assert.Equal(t, want, info.Mode().Perm(), path)
		}
		return nil
	})
	require.NoError(t, err)
	entries, err := os.ReadDir(r.BackupDir("shop", m.ID))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"SHA256SUMS", "manifest.json", "shop.duckdb", "shop.duckdb.wal"}, names)
	dbs, err := r.Databases()
	require.NoError(t, err)
	assert.Equal(t, []string{"shop"}, dbs)
	require.NoError(t, r.Remove("shop", m.ID))
	staged, err := os.ReadDir(filepath.Join(dir, "shop", stagingName))
	require.NoError(t, err)
	assert.Empty(t, staged)
	_, err = r.Get("shop", m.ID)
	requireKind(t, failure.UnknownBackup, err)
}

func TestNamesThatCouldEscapeAreRefused(t *testing.T) {
	r := open(t, newMem(t))
	for _, name := range []string{"", ".", "..", "../x", "a/b", "A", ".staging", strings.Repeat("a", 65), "a\n"} {
		assert.False(t, ValidName(name), "%q", name)
		assert.Empty(t, r.BackupDir(name, NewID(start, 1, "k")))
		_, err := r.Stage(name, "k")
		requireKind(t, failure.UnknownDatabase, err)
		_, err = r.Acquire(name, "k", start)
		requireKind(t, failure.UnknownDatabase, err)
		_, err = r.Get(name, Latest)
		requireKind(t, failure.UnknownDatabase, err)
		requireKind(t, failure.UnknownDatabase, r.Remove(name, NewID(start, 1, "k")))
	}
	mustBackup(t, r, "run-1", start, StateCopied)
	for _, id := range []string{"", "..", "../shop", ".staging", "20261123T034600Z-i42-1f3a/..", "20261323T034600Z-i42-1f3a", "20261123T034600Z-i99999999999999999999-1f3a"} {
		assert.False(t, ValidID(id), "%q", id)
		assert.Empty(t, r.BackupDir("shop", id))
		_, err := r.Get("shop", id)
		requireKind(t, failure.UnknownBackup, err)
		requireKind(t, failure.UnknownBackup, r.Remove("shop", id))
	}
	for _, key := range []string{"..", "../../x", "a/b", ".gone-x", "wf/run\n1", strings.Repeat("k", 300)} {
		s, err := r.Stage("shop", key)
		require.NoError(t, err, "%q", key)
		assert.Equal(t, "/repo/shop/.staging", filepath.Dir(s.Dir()), "%q", key)
		require.NoError(t, s.Discard())
	}
}

func TestIDs(t *testing.T) {
	id := NewID(start.In(time.FixedZone("", 3600)), 42, "run-1")
	started, iteration, err := ParseID(id)
	require.NoError(t, err)
	assert.Equal(t, start, started)
	assert.Equal(t, uint64(42), iteration)
	assert.Equal(t, id, NewID(start, 42, "run-1"))
	assert.NotEqual(t, id, NewID(start, 42, "run-2"))
	assert.True(t, ValidID("20261123T034600Z-i18446744073709551615-1f3a"))
}

func TestDamagedManifest(t *testing.T) {
	mem := newMem(t)
	r := open(t, mem)
	a := mustBackup(t, r, "run-1", start, StateVerified)
	b := mustBackup(t, r, "run-2", start.Add(time.Hour), StateVerified)
	damage := func(m *Manifest) string {
		name := filepath.Join(r.BackupDir("shop", m.ID), manifestName)
		require.NoError(t, put(mem, name, get(t, mem, name)+"}"))
		return name
	}
	name := damage(a)
	list, err := r.List("shop")
	requireKind(t, failure.RepoCorrupt, err)
	assert.ErrorContains(t, err, name)
	assert.Equal(t, []Manifest{*b}, list, "the good one is still listed")
	m, err := r.Get("shop", Latest)
	require.NoError(t, err, "the damaged one is older")
	assert.Equal(t, b, m)
	m, err = r.FindRun("shop", "run-7")
	require.NoError(t, err, "the damaged one is of another run")
	assert.Nil(t, m)
	_, err = r.FindRun("shop", "run-1")
	requireKind(t, failure.RepoCorrupt, err)

	damage(b)
	_, err = r.Get("shop", Latest)
	requireKind(t, failure.RepoCorrupt, err)
	removed, err := r.Sweep("shop", 0, time.Now().Add(time.Hour))
	require.NoError(t, err)
	assert.Empty(t, removed, "a damaged manifest is no missing one")

	other := NewID(start, 1, "run-5")
	require.NoError(t, mem.Rename(r.BackupDir("shop", b.ID), r.BackupDir("shop", other)))
	require.NoError(t, put(mem, filepath.Join(r.BackupDir("shop", other), manifestName), string(must(Encode(b)))))
	_, err = r.Get("shop", other)
	requireKind(t, failure.RepoCorrupt, err)
	assert.ErrorContains(t, err, b.ID, "a manifest in another backup's directory")
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

func TestReadErrorIsNoVerdict(t *testing.T) {
	mem := newMem(t)
	mustBackup(t, open(t, mem), "run-1", start, StateVerified)
	_, err := open(t, vfstest.FailNth(mem, 1, syscall.EIO, vfstest.OpRead)).List("shop")
	require.ErrorIs(t, err, syscall.EIO)
	requireKind(t, failure.Unexpected, err)
	_, err = open(t, vfstest.FailNth(mem, 1, syscall.EIO, vfstest.OpRead)).FindRun("shop", "run-2")
	require.ErrorIs(t, err, syscall.EIO, "the run's backup may be the unreadable one")
}

// TestLeaseOnAFullDisk: another run's record has ended, and there is no room
// for a new one. The lease is had all the same, and is no other run's.
func TestLeaseOnAFullDisk(t *testing.T) {
	mem := newMem(t)
	l, err := open(t, mem).Acquire("shop", "run-1", start)
	require.NoError(t, err)
	require.NoError(t, l.Close(start.Add(time.Minute)))

	later := start.Add(time.Hour)
	full := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	l, err = open(t, full).Acquire("shop", "run-2", later)
	require.NoError(t, err)
	_, err = open(t, mem).Acquire("shop", "run-3", later)
	require.Equal(t, failure.Busy, failure.Of(err))
	_, err = open(t, mem).Acquire("shop", "run-1", later)
	require.Equal(t, failure.Busy, failure.Of(err), "its time is over")
	require.NoError(t, l.End())
	_, err = open(t, mem).Acquire("shop", "run-3", later)
	require.NoError(t, err)
}
