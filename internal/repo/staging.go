package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Staging is the private directory of one run, held by a lock from Stage until
// Commit, Discard or Close. Names that begin with a dot are the repository's.
type Staging struct {
	repo          *Repo
	database, key string
	dir           string
	lock          vfs.File // nil: released
}

// Stage makes the staging directory of the run with the key, or opens the one
// that an earlier attempt left, and locks it: Busy if another attempt holds it.
func (r *Repo) Stage(database, key string) (*Staging, error) {
	if key == "" {
		return nil, errors.New("stage: the run's key is empty")
	}
	dbDir, err := r.ensureDatabaseDir(database)
	if err != nil {
		return nil, err
	}
	if err := r.ensureEdit(dbDir); err != nil {
		return nil, err
	}
	if err := ensureDir(r.fs, filepath.Join(dbDir, stagingName)); err != nil { // syncs the name of the lock too
		return nil, err
	}
	dir := filepath.Join(dbDir, stagingName, stagingDirName(key))
	for {
		if err := ensureDir(r.fs, dir); err != nil {
			return nil, err
		}
		lock, err := lockDir(r.fs, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its holder discarded or committed it in between
		}
		if err != nil {
			return nil, err
		}
		if lock == nil {
			return nil, failure.Errorf(failure.Busy, "another attempt is writing %s", dir)
		}
		return &Staging{repo: r, database: database, key: key, dir: dir, lock: lock}, nil
	}
}

// Unstage removes what an attempt of the run with the key has staged, if
// anything: Busy if another attempt holds it. Unlike Stage and Discard it makes
// nothing, and so works on a full disk.
func (r *Repo) Unstage(database, key string) error {
	dbDir, _, err := r.databaseDir(database)
	if err != nil {
		return err
	}
	dir := filepath.Join(dbDir, stagingName, stagingDirName(key))
	found, err := realDir(r.fs, dir)
	if err != nil || !found {
		return err
	}
	lock, err := lockDir(r.fs, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // its holder discarded or committed it in between
	case failure.Of(err) == failure.RepoFull && r.fs.Remove(dir) == nil:
		return nil // as the disk was too full for the lock, there was nothing else
	case err != nil:
		return err
	case lock == nil:
		return failure.Errorf(failure.Busy, "another attempt is writing %s", dir)
	}
	return errors.Join(r.discard(database, dir), lock.Close())
}

// lockDir locks the lock file in dir; nil if another holds it, fs.ErrNotExist
// if the directory is gone. A directory leaves its name before its lock is
// released.
func lockDir(fsys vfs.FS, dir string) (vfs.File, error) {
	lock, err := vfs.LockFile(fsys, filepath.Join(dir, lockName), filePerm)
	if err != nil {
		return nil, writeError(err, "lock %s", dir)
	}
	return lock, nil
}

// Dir is the staging directory. Files made in it should have mode 0600.
func (s *Staging) Dir() string { return s.dir }

// FS is the repository's: what is made through it in Dir has exactly its mode.
func (s *Staging) FS() vfs.FS { return s.repo.fs }

// Commit turns the staging directory into the backup m.ID. The files that m
// lists must be there with their sizes; everything else in the directory is
// removed. Commit syncs all, writes SHA256SUMS and the manifest, and renames
// the directory into place. After a failure the staging area is still held,
// and Commit can be called again, here or after a new Stage. If the run's
// backup exists already, the staging area is dropped and m becomes its
// manifest.
func (s *Staging) Commit(m *Manifest) error {
	if s.lock == nil {
		return fmt.Errorf("commit %s: the staging area was released", s.dir)
	}
	if m.Database != s.database || m.Run != s.key {
		return fmt.Errorf("commit %s: the manifest is of run %q of %s, the staging area of run %q of %s", s.dir, m.Run, m.Database, s.key, s.database)
	}
	manifest, err := Encode(m)
	if err != nil {
		return fmt.Errorf("commit %s: %w", s.dir, err)
	}
	existing, err := s.repo.FindRun(s.database, s.key)
	if err != nil {
		return err
	}
	if existing != nil {
		// Made by an attempt that may have died before syncing the rename.
		if err := syncDir(s.repo.fs, filepath.Join(s.repo.dir, s.database)); err != nil {
			return err
		}
		*m = *existing
		return s.Discard()
	}
	if err := s.seal(m, manifest); err != nil {
		return err
	}
	return s.publish(m.ID)
}

// seal makes the directory hold the listed files, the sums, the manifest and
// the lock, all durable, and nothing else.
func (s *Staging) seal(m *Manifest, manifest []byte) error {
	fsys := s.repo.fs
	keep := map[string]bool{sumsName: true, manifestName: true, lockName: true}
	for _, f := range m.Files {
		if err := syncFile(fsys, filepath.Join(s.dir, f.Name), f.Bytes); err != nil {
			return err
		}
		keep[f.Name] = true
	}
	entries, err := fsys.ReadDir(s.dir)
	if err != nil {
		return writeError(err, "list %s", s.dir)
	}
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		name := filepath.Join(s.dir, e.Name())
		if err := vfs.RemoveAll(fsys, name); err != nil {
			return writeError(err, "remove %s", name)
		}
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{sumsName, sumsOf(m)}, {manifestName, manifest}} {
		name := filepath.Join(s.dir, f.name)
		if err := vfs.WriteAtomic(fsys, name, f.data, filePerm); err != nil {
			return writeError(err, "write %s", name)
		}
	}
	return nil // WriteAtomic has synced the directory, after all else in it
}

// publish renames the sealed directory. The lock file moves along and goes
// after, so that no second attempt can lock the directory before the rename.
func (s *Staging) publish(id string) error {
	fsys := s.repo.fs
	dbDir := filepath.Join(s.repo.dir, s.database)
	final := filepath.Join(dbDir, id)
	switch _, err := fsys.Lstat(final); {
	case err == nil:
		return failure.Errorf(failure.RepoCorrupt, "%s exists already, and not from this run", final)
	case !errors.Is(err, fs.ErrNotExist):
		return writeError(err, "look at %s", final)
	}
	if err := fsys.Rename(s.dir, final); err != nil {
		return writeError(err, "commit %s as %s", s.dir, final)
	}
	// From here on the backup exists. An error of a sync is reported all the
	// same: the next Stage and Commit find the backup and sync again.
	err := errors.Join(syncDir(fsys, dbDir), syncDir(fsys, filepath.Join(dbDir, stagingName)))
	fsys.Remove(filepath.Join(final, lockName)) // one that stays is swept later
	return errors.Join(err, s.Close())
}

// syncFile checks that name is a regular file of the size and syncs it.
func syncFile(fsys vfs.FS, name string, size int64) error {
	info, err := fsys.Lstat(name)
	switch {
	case err != nil:
		return writeError(err, "commit %s", name)
	case !info.Mode.IsRegular():
		return fmt.Errorf("commit %s: not a regular file", name)
	case info.Size != size:
		return fmt.Errorf("commit %s: it has %d bytes, the manifest says %d", name, info.Size, size)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return writeError(err, "commit %s", name)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return writeError(err, "sync %s", name)
	}
	return nil
}

// Discard removes the staging directory and releases it.
func (s *Staging) Discard() error {
	if s.lock == nil {
		return nil
	}
	err := s.repo.discard(s.database, s.dir)
	return errors.Join(err, s.Close())
}

// Close releases the staging area and keeps its files for a later Stage of the
// same key. It does nothing after Commit or Discard.
func (s *Staging) Close() error {
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return lock.Close()
}
