// Package storetest holds one suite of checks that a file system must pass for
// a repository to be kept on it: the whole contract of repo.Repo, with several
// users at once, killed processes and a disk that fails. A test binary that
// runs it on a file system of other processes has a TestMain that calls
// RunIfChild first.
package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// Store is an empty directory for a repository.
type Store struct {
	FS  vfs.FS
	Dir string // exists
	// Crash is the file system as it may be after a crash now, one outcome for
	// each seed; nil: cannot be asked.
	Crash func(seed int64) vfs.FS
	// Processes: it is of this machine's file systems, so that other processes
	// see it, and links and pipes can be made in it.
	Processes bool
	// Small: it has few enough bytes that a test can fill it.
	Small bool
}

// Options say what Run is to check.
type Options struct {
	New func(t testing.TB) Store // one that no other test uses
	// EveryError fails every operation with every error; without it the errors
	// take turns, which is enough where each operation costs time.
	EveryError bool
}

// Run checks the stores that o.New makes.
func Run(t *testing.T, o Options) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, Options)
	}{
		{"open", testOpen},
		{"two phases", testPhases},
		{"resume", testResume},
		{"list", testList},
		{"trusts manifests only", testTrust},
		{"links and pipes", testLinks},
		{"update", testUpdate},
		{"concurrent updates", testConcurrentUpdates},
		{"notes beside one another", testNotes},
		{"read against removal", testReading},
		{"trash", testTrash},
		{"sweep", testSweep},
		{"lease", testLease},
		{"killed holders", testKilled},
		{"faults", testFaults},
		{"mix", testMix},
		{"full", testFull},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, o) })
	}
}

const database = "shop"

var start = time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)

// names of what a backup's directory holds besides what its manifest lists.
const (
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"
)

func open(t testing.TB, s Store) *repo.Repo {
	t.Helper()
	r, err := repo.Open(s.FS, s.Dir)
	require.NoError(t, err)
	return r
}

// content of the two files of the backup of a run.
func content(key string) map[string]string {
	return map[string]string{"shop.duckdb": "database of " + key, "shop.duckdb.wal": "wal of " + key}
}

func manifestOf(key string, started time.Time, state repo.State) *repo.Manifest {
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, 42, key), Database: database, State: state, Run: key,
		Started: started, Finished: started.Add(time.Minute), Tool: "canvasback test",
	}
	for _, name := range []string{"shop.duckdb", "shop.duckdb.wal"} {
		data := content(key)[name]
		sum := sha256.Sum256([]byte(data))
		m.Files = append(m.Files, repo.File{Name: name, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	return m
}

func put(fsys vfs.FS, name, text string) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Close())
}

func get(fsys vfs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(f)
	return string(data), errors.Join(err, f.Close())
}

// fill writes what a run has copied, and things that a commit must drop.
func fill(fsys vfs.FS, dir, key string) error {
	for name, data := range content(key) {
		if err := put(fsys, filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return errors.Join(put(fsys, filepath.Join(dir, "progress.json"), "{}"), fsys.MkdirAll(filepath.Join(dir, "scratch", "deep"), 0o700))
}

func backup(fsys vfs.FS, r *repo.Repo, key string, started time.Time, state repo.State) (m *repo.Manifest, err error) {
	s, err := r.Stage(database, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := fill(fsys, s.Dir(), key); err != nil {
		return nil, err
	}
	m = manifestOf(key, started, state)
	return m, s.Commit(m)
}

func mustBackup(t testing.TB, s Store, key string, started time.Time, state repo.State) *repo.Manifest {
	t.Helper()
	m, err := backup(s.FS, open(t, s), key, started, state)
	require.NoError(t, err)
	return m
}

// whole says what is wrong with the bytes of a backup in dir, which must be
// its files and nothing that a sweep would not remove.
func whole(fsys vfs.FS, dir string, m *repo.Manifest) error {
	sums := ""
	for _, f := range m.Files {
		data, err := get(fsys, filepath.Join(dir, f.Name))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256([]byte(data)); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(data)) != f.Bytes {
			return fmt.Errorf("%s of %s is not what its manifest says", f.Name, m.ID)
		}
		sums += f.SHA256 + "  " + f.Name + "\n"
	}
	got, err := get(fsys, filepath.Join(dir, sumsName))
	if err == nil && got != sums {
		err = fmt.Errorf("%s of %s is %q", sumsName, m.ID, got)
	}
	return err
}

// mustBeWhole requires that everything listed is whole, nothing else is in the
// directory, and returns the list.
func mustBeWhole(t testing.TB, s Store, context ...any) []repo.Manifest {
	t.Helper()
	r := open(t, s)
	list, err := r.List(database)
	require.NoError(t, err, context...)
	for _, m := range list {
		require.NoError(t, whole(s.FS, r.BackupDir(database, m.ID), &m), context...)
	}
	return list
}

func ids(list []repo.Manifest) []string {
	ids := []string{}
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func requireKind(t testing.TB, kind *failure.Kind, err error, context ...any) {
	t.Helper()
	require.Error(t, err, context...)
	require.Equal(t, kind.Name, failure.Of(err).Name, "%v %v", err, context)
}

// sweepLate sweeps when everything in the store is old.
func sweepLate(r *repo.Repo) ([]string, error) {
	return r.Sweep(database, time.Hour, time.Now().Add(1000*time.Hour))
}

// mustBeClean requires that a sweep leaves nothing beside the listed backups.
func mustBeClean(t testing.TB, s Store, context ...any) {
	t.Helper()
	r := open(t, s)
	_, err := sweepLate(r)
	require.NoError(t, err, context...)
	strays, err := r.Strays(database)
	require.NoError(t, err, context...)
	require.Empty(t, strays, context...)
	listed := map[string]bool{}
	for _, m := range mustBeWhole(t, s, context...) {
		listed[m.ID] = true
	}
	entries, err := s.FS.ReadDir(filepath.Join(s.Dir, database))
	require.NoError(t, err, context...)
	for _, e := range entries {
		path := filepath.Join(s.Dir, database, e.Name())
		if e.Name() == ".staging" || e.Name() == ".trash" {
			inside, err := s.FS.ReadDir(path)
			require.NoError(t, err, context...)
			require.Empty(t, inside, "%s %v", path, context)
			continue
		}
		if !listed[e.Name()] {
			require.Contains(t, []string{".lock", ".edit", ".run"}, e.Name(), context...)
		}
	}
	for id := range listed {
		inside, err := s.FS.ReadDir(r.BackupDir(database, id))
		require.NoError(t, err, context...)
		for _, e := range inside {
			require.Contains(t, []string{"shop.duckdb", "shop.duckdb.wal", manifestName, sumsName, "pin.json", "drills.json", "check.json"}, e.Name(), "%s %v", id, context)
		}
	}
}

// grow adds bytes to a file, durably.
func grow(fsys vfs.FS, name string, n int) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, n))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
