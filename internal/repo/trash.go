package repo

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Trashed is a backup that was removed and can still be had back.
type Trashed struct {
	Manifest Manifest
	At       time.Time // when it was removed
	Until    time.Time // Sweep frees it after
	Reason   string
}

// removal is the content of removed.json.
type removal struct {
	Schema int       `json:"schema"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// Trash is Remove with a grace period: the backup leaves the list at once and
// durably, whole and by one rename, and its data is freed by the first Sweep
// after now and the grace. A grace of 0 is Remove. Reading if somebody reads
// it, UnknownBackup; RepoCorrupt for a manifest that cannot be read, which only
// Remove removes.
func (r *Repo) Trash(database, id, reason string, now time.Time, grace time.Duration) error {
	return r.TrashIf(database, id, reason, now, grace, nil)
}

// TrashIf is Trash, unless still fails, whose error it returns. While still is
// asked and the backup goes, nobody changes a manifest, a pin or another note of
// the database, so what still has read holds; it must not change any itself.
func (r *Repo) TrashIf(database, id, reason string, now time.Time, grace time.Duration, still func() error) error {
	if grace <= 0 {
		if err := r.mustHave(database, id); err != nil {
			return err
		}
		return r.remove(database, id, still)
	}
	return r.editBackup(database, id, func(dir string) error {
		if still != nil {
			if err := still(); err != nil {
				return err
			}
		}
		if _, err := r.load(database, id); err != nil {
			return err
		}
		lock, err := r.lockOut(database, id)
		if err != nil {
			return err
		}
		now := now.UTC()
		return errors.Join(r.moveToTrash(dir, removal{Schema, now, now.Add(grace), reason}), lock.Close())
	})
}

func (r *Repo) moveToTrash(dir string, why removal) error {
	trash := filepath.Join(filepath.Dir(dir), trashName)
	to := filepath.Join(trash, filepath.Base(dir))
	if err := ensureDir(r.fs, trash); err != nil {
		return err
	}
	if err := r.mustBeFree(to); err != nil {
		return err
	}
	if err := r.writeNote(dir, removedName, why); err != nil {
		return err
	}
	return r.move(dir, to)
}

// mustBeFree is RepoCorrupt where something has the name.
func (r *Repo) mustBeFree(path string) error {
	switch _, err := r.fs.Lstat(path); {
	case err == nil:
		return failure.Errorf(failure.RepoCorrupt, "%s exists already", path)
	case !errors.Is(err, fs.ErrNotExist):
		return writeError(err, "look at %s", path)
	}
	return nil
}

// move renames a directory, durably.
func (r *Repo) move(from, to string) error {
	if err := r.fs.Rename(from, to); err != nil {
		return writeError(err, "move %s to %s", from, to)
	}
	return errors.Join(syncDir(r.fs, filepath.Dir(to)), syncDir(r.fs, filepath.Dir(from)))
}

// Trashed lists what Trash removed and no Sweep has freed, in the order of
// List. What cannot be read is reported in a joined error (RepoCorrupt, naming
// the file), with the rest still returned.
func (r *Repo) Trashed(database string) ([]Trashed, error) {
	dbDir, found, err := r.databaseDir(database)
	if err != nil || !found {
		return nil, err
	}
	ids, err := r.trashedIDs(filepath.Join(dbDir, trashName))
	if err != nil {
		return nil, err
	}
	var list []Trashed
	var faults []error
	for _, id := range ids {
		t, err := r.trashed(database, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // freed, or back in the list, just now
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b Trashed) int {
		return cmp.Or(a.Manifest.Started.Compare(b.Manifest.Started), cmp.Compare(a.Manifest.ID, b.Manifest.ID))
	})
	return list, errors.Join(faults...)
}

func (r *Repo) trashedIDs(trash string) ([]string, error) {
	found, err := realDir(r.fs, trash)
	if err != nil || !found {
		return nil, err
	}
	entries, err := r.fs.ReadDir(trash)
	if err != nil {
		return nil, writeError(err, "list %s", trash)
	}
	var ids []string
	for _, e := range entries {
		if ValidID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

func (r *Repo) trashed(database, id string) (*Trashed, error) {
	dir := filepath.Join(r.dir, database, trashName, id)
	m, err := r.loadFrom(dir, database, id)
	if err != nil {
		return nil, err
	}
	why, err := r.removal(dir)
	if err != nil {
		return nil, err
	}
	return &Trashed{Manifest: *m, At: why.At, Until: why.Until, Reason: why.Reason}, nil
}

// removal reads why and until when the directory is in the trash; fs.ErrNotExist
// if the directory is not there, as when it was taken out just now.
func (r *Repo) removal(dir string) (removal, error) {
	var why removal
	found, err := r.readNote(dir, removedName, &why)
	if err != nil || found {
		return why, err
	}
	there, err := realDir(r.fs, dir)
	if err == nil {
		err = absent(dir, there)
	}
	if err != nil {
		return why, err
	}
	// Once more: it may have been taken out and thrown away anew in between.
	found, err = r.readNote(dir, removedName, &why)
	if err == nil && !found {
		err = failure.Errorf(failure.RepoCorrupt, "%s has no %s, which says until when it is kept", dir, removedName)
	}
	return why, err
}

// Untrash takes a backup out of the trash into the list again. UnknownBackup if
// it is not there; RepoCorrupt if the name is taken.
func (r *Repo) Untrash(database, id string) error {
	dbDir, found, err := r.databaseDir(database)
	if err != nil {
		return err
	}
	if !found || !ValidID(id) {
		return errNotInTrash(database, id)
	}
	return r.editing(database, func() error {
		from, to := filepath.Join(dbDir, trashName, id), filepath.Join(dbDir, id)
		found, err := realDir(r.fs, from)
		if err != nil {
			return err
		}
		if !found {
			return errNotInTrash(database, id)
		}
		if err := r.mustBeFree(to); err != nil {
			return fmt.Errorf("take backup %s of %s out of the trash: %w", id, database, err)
		}
		if err := r.move(from, to); err != nil {
			return err
		}
		// In the list its removal means nothing; one that stays is swept later.
		if err := removeIfThere(r.fs, filepath.Join(to, removedName)); err != nil {
			return err
		}
		return syncDir(r.fs, to)
	})
}

func errNotInTrash(database, id string) error {
	return failure.Errorf(failure.UnknownBackup, "the trash has no backup %s of %s", id, database)
}

// trash frees what has been in the trash for long enough.
func (s *sweep) trash(dir string, now time.Time) {
	ids, err := s.repo.trashedIDs(dir)
	s.fail(err)
	for _, id := range ids {
		path := filepath.Join(dir, id)
		why, err := s.repo.removal(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // freed, or back in the list, just now
		}
		if err != nil {
			s.fail(err)
			continue
		}
		if !now.Before(why.Until) {
			s.free(path, now)
		}
	}
}

func (s *sweep) free(path string, now time.Time) {
	var gone string
	var lock vfs.File
	err := s.repo.editing(s.database, func() error {
		var got bool
		var err error
		lock, got, err = s.repo.lockBackup(path, true)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !got {
			return nil // back in the list, or another frees it
		}
		if err != nil {
			return err
		}
		// Again under the lock: it may have been taken out and thrown away anew.
		why, err := s.repo.removal(path)
		if err != nil || now.Before(why.Until) {
			return err
		}
		gone, err = s.repo.setAside(s.database, path)
		return err
	})
	if lock != nil {
		defer func() { s.fail(lock.Close()) }()
	}
	if err != nil {
		s.fail(err)
		return
	}
	if gone != "" {
		s.done(path, s.repo.freeGone(gone))
	}
}
