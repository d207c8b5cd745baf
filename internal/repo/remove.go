package repo

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Remove removes a backup: one rename takes it, manifest and all, out of the
// list, durably; then its data is freed, manifest first. An error after the
// rename leaves data that Sweep removes. Reading if somebody reads it;
// UnknownBackup if there is no such directory; one without a manifest is removed
// as well.
func (r *Repo) Remove(database, id string) error {
	_, found, err := r.backupPlace(database, id)
	if err == nil && !found {
		err = r.errNoBackup(database, id)
	}
	if err != nil {
		return err
	}
	return r.remove(database, id, nil)
}

// backupPlace checks the names and says whether a directory is at the backup's
// place, with a manifest or not.
func (r *Repo) backupPlace(database, id string) (dir string, found bool, err error) {
	dbDir, _, err := r.databaseDir(database)
	if err != nil {
		return "", false, err
	}
	if !ValidID(id) {
		return "", false, failure.Errorf(failure.UnknownBackup, "%q is not the ID of a backup of %s", id, database)
	}
	dir = filepath.Join(dbDir, id)
	found, err = realDir(r.fs, dir)
	return dir, found, err
}

func (r *Repo) errNoBackup(database, id string) error {
	return failure.Errorf(failure.UnknownBackup, "repository %s has no backup %s of %s", r.dir, id, database)
}

// remove takes a backup's directory away, whole or without a manifest, unless
// somebody reads it or still, which may be nil, fails.
func (r *Repo) remove(database, id string, still func() error) error {
	var gone string
	var lock vfs.File
	err := r.editing(database, func() (err error) {
		if still != nil {
			if err := still(); err != nil {
				return err
			}
		}
		if lock, err = r.lockOut(database, id); err != nil {
			return err
		}
		gone, err = r.setAside(database, filepath.Join(r.dir, database, id))
		return err
	})
	if err == nil {
		err = r.freeGone(gone)
	}
	if lock != nil {
		err = errors.Join(err, lock.Close())
	}
	return err
}

// lockOut locks the directory of a backup against readers: Reading if there is
// one, UnknownBackup if the backup is gone.
func (r *Repo) lockOut(database, id string) (vfs.File, error) {
	dir := filepath.Join(r.dir, database, id)
	lock, got, err := r.lockBackup(dir, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failure.Errorf(failure.UnknownBackup, "repository %s has no backup %s of %s", r.dir, id, database)
	case err != nil:
		return nil, err
	case !got:
		return nil, failure.Errorf(failure.Reading, "backup %s of %s is being read (lock on %s)", id, database, dir)
	}
	return lock, nil
}

// discard moves the directory out of its name, so that nobody finds half of
// it, and then removes it.
func (r *Repo) discard(database, dir string) error {
	gone, err := r.setAside(database, dir)
	if err != nil {
		return err
	}
	return r.freeGone(gone)
}

// setAside moves the directory, durably, to a name that only Sweep looks at,
// and returns the name.
func (r *Repo) setAside(database, dir string) (gone string, err error) {
	staging := filepath.Join(r.dir, database, stagingName)
	if err := ensureDir(r.fs, staging); err != nil {
		return "", err
	}
	gone = filepath.Join(staging, gonePrefix+filepath.Base(dir)+"-"+randomHex())
	if err := r.fs.Rename(dir, gone); err != nil {
		return "", writeError(err, "remove %s", dir)
	}
	// Durable before anything in it goes, or a crash could bring back the name
	// with half its files.
	return gone, errors.Join(syncDir(r.fs, filepath.Dir(dir)), syncDir(r.fs, staging))
}

func (r *Repo) freeGone(gone string) error {
	if err := removeTree(r.fs, gone); err != nil {
		return err
	}
	return syncDir(r.fs, filepath.Dir(gone))
}

// removeTree removes a directory or file, a manifest before the rest. What has
// the manifest's name and is a directory is none.
func removeTree(fsys vfs.FS, path string) error {
	err := removeIfThere(fsys, filepath.Join(path, manifestName))
	if err != nil && !errors.Is(err, syscall.ENOTDIR) && !isDirectory(err) {
		return err
	}
	if err := vfs.RemoveAll(fsys, path); err != nil {
		return writeError(err, "remove %s", path)
	}
	return nil
}

func removeIfThere(fsys vfs.FS, path string) error {
	err := fsys.Remove(path)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case isDirectory(err):
		return failure.Errorf(failure.RepoCorrupt, "remove %s: it is a directory: %w", path, err)
	}
	return writeError(err, "remove %s", path)
}

// isDirectory reports whether it was not a file that could not be removed.
func isDirectory(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// Sweep removes what interrupted runs left and returns the paths: staging
// directories that nobody holds and that are older than olderThan, backup
// directories without a manifest of that age, temporary files of that age in
// backups, probes of that age, data of removed backups, whatever its age, and
// what is in the trash and has no more grace. It goes on after a failure and
// joins the errors.
func (r *Repo) Sweep(database string, olderThan time.Duration, now time.Time) ([]string, error) {
	dbDir, found, err := r.databaseDir(database)
	if err != nil || !found {
		return nil, err
	}
	s := &sweep{repo: r, database: database, before: now.Add(-olderThan)}
	s.staging(filepath.Join(dbDir, stagingName))
	s.backups(dbDir)
	s.trash(filepath.Join(dbDir, trashName), now)
	s.probes()
	return s.removed, errors.Join(s.errs...)
}

type sweep struct {
	repo     *Repo
	database string
	before   time.Time
	removed  []string
	errs     []error
}

func (s *sweep) done(path string, err error) {
	if err != nil {
		s.errs = append(s.errs, err)
		return
	}
	s.removed = append(s.removed, path)
}

func (s *sweep) staging(dir string) {
	found, err := realDir(s.repo.fs, dir)
	if err != nil || !found {
		s.fail(err)
		return
	}
	entries, err := s.repo.fs.ReadDir(dir)
	if err != nil {
		s.fail(writeError(err, "list %s", dir))
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), gonePrefix):
			s.done(path, removeTree(s.repo.fs, path))
		default:
			s.abandoned(path)
		}
	}
	if len(s.removed) > 0 {
		s.fail(syncDir(s.repo.fs, dir))
	}
}

func (s *sweep) fail(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// abandoned removes a staging directory that is old and that nobody holds.
func (s *sweep) abandoned(path string) {
	old, err := s.old(path)
	if err != nil || !old {
		s.fail(err)
		return
	}
	lock, err := lockDir(s.repo.fs, path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && lock == nil {
		return // somebody's, after all
	}
	if err != nil {
		s.fail(err)
		return
	}
	err = s.repo.discard(s.database, path)
	s.done(path, errors.Join(err, lock.Close()))
}

func (s *sweep) backups(dbDir string) {
	entries, err := s.repo.fs.ReadDir(dbDir)
	if err != nil {
		s.fail(writeError(err, "list %s", dbDir))
		return
	}
	for _, e := range entries {
		path := filepath.Join(dbDir, e.Name())
		if !e.IsDir() || !ValidID(e.Name()) {
			s.leftover(path)
			continue
		}
		_, err := s.repo.fs.Lstat(filepath.Join(path, manifestName))
		switch {
		case err == nil:
			s.leftovers(path)
		case errors.Is(err, fs.ErrNotExist):
			old, err := s.old(path)
			if err != nil || !old {
				s.fail(err)
				continue
			}
			err = s.repo.remove(s.database, e.Name(), nil)
			if kind := failure.Of(err); kind != failure.UnknownBackup && kind != failure.Reading {
				s.done(path, err) // else gone already, or somebody's after all
			}
		default:
			s.fail(writeError(err, "look at %s", path))
		}
	}
}

// leftovers removes what a crash of Commit or Update left beside the files
// of a whole backup.
func (s *sweep) leftovers(dir string) {
	entries, err := s.repo.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return // removed just now
	}
	if err != nil {
		s.fail(writeError(err, "list %s", dir))
		return
	}
	for _, e := range entries {
		s.leftover(filepath.Join(dir, e.Name()))
	}
}

// leftover removes one file if it is old, and temporary or the lock file that
// a backup has from its staging.
func (s *sweep) leftover(path string) {
	base := filepath.Base(path)
	fromStaging := base == lockName && ValidID(filepath.Base(filepath.Dir(path)))
	// Of a Trash that did not come to its rename, or an Untrash after it.
	fromTrash := base == removedName && ValidID(filepath.Base(filepath.Dir(path)))
	if fromTrash {
		s.fail(s.repo.editing(s.database, func() error { s.oldFile(path); return nil }))
	} else if fromStaging || vfs.IsTemp(base) {
		s.oldFile(path)
	}
}

// probes removes what interrupted probes of the repository left.
func (s *sweep) probes() {
	entries, err := s.repo.fs.ReadDir(s.repo.dir)
	if err != nil {
		s.fail(writeError(err, "list %s", s.repo.dir))
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), probePrefix) {
			s.oldFile(filepath.Join(s.repo.dir, e.Name()))
		}
	}
}

// oldFile removes a regular file that was not modified since the limit.
func (s *sweep) oldFile(path string) {
	info, err := s.repo.fs.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.fail(writeError(err, "look at %s", path))
	case info.Mode.IsRegular() && info.ModTime.Before(s.before):
		s.done(path, removeIfThere(s.repo.fs, path))
	}
}

// old reports whether neither the directory nor anything directly in it was
// modified since the limit. What goes meanwhile is somebody's, and so not old.
func (s *sweep) old(dir string) (bool, error) {
	old, err := s.oldEntry(dir)
	if err != nil || !old {
		return false, err
	}
	entries, err := s.repo.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, writeError(err, "list %s", dir)
	}
	for _, e := range entries {
		old, err := s.oldEntry(filepath.Join(dir, e.Name()))
		if err != nil || !old {
			return false, err
		}
	}
	return true, nil
}

func (s *sweep) oldEntry(path string) (bool, error) {
	info, err := s.repo.fs.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, writeError(err, "look at %s", path)
	}
	return info.ModTime.Before(s.before), nil
}
