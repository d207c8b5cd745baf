package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"canvasback/internal/vfs"
)

// Update changes the manifest of an existing backup in one atomic and durable
// step: change gets the manifest as it is now, and nobody else can change it
// until Update returns, so change must be short. The ID, the database, the run
// and the files cannot change. An error of change is returned as it is, and
// nothing is written then. UnknownBackup, or Busy after ten seconds of waiting
// for another process.
func (r *Repo) Update(database, id string, change func(*Manifest) error) error {
	return r.editBackup(database, id, func(dir string) error {
		m, err := r.Get(database, id)
		if err != nil {
			return err
		}
		old := *m
		old.Files = append([]File(nil), m.Files...)
		if err := change(m); err != nil {
			return err
		}
		if old.ID != m.ID || old.Database != m.Database || old.Run != m.Run || !sameFiles(old.Files, m.Files) {
			return fmt.Errorf("update the manifest of backup %s of %s: its name, run and files cannot change", id, database)
		}
		data, err := Encode(m)
		if err != nil {
			return err
		}
		name := filepath.Join(dir, manifestName)
		if err := vfs.WriteAtomic(r.fs, name, data, filePerm); err != nil {
			return writeError(err, "write %s", name)
		}
		// The commit's rename too: a verified backup is a durable one.
		return syncDir(r.fs, filepath.Dir(dir))
	})
}

// editBackup runs edit on the directory of a committed backup, alone.
func (r *Repo) editBackup(database, id string, edit func(dir string) error) error {
	if err := r.mustHave(database, id); err != nil {
		return err
	}
	return r.editing(database, func() error {
		if err := r.mustHave(database, id); err != nil {
			return err
		}
		return edit(r.BackupDir(database, id))
	})
}

// mustHave is UnknownBackup unless the backup is in the list, its manifest
// sound or not.
func (r *Repo) mustHave(database, id string) error {
	dir, found, err := r.backupPlace(database, id)
	if err != nil {
		return err
	}
	if found {
		_, err = r.fs.Lstat(filepath.Join(dir, manifestName))
		if found = err == nil; errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	switch {
	case err != nil:
		return writeError(err, "look at %s", dir)
	case !found:
		return r.errNoBackup(database, id)
	}
	return nil
}

func sameFiles(a, b []File) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
