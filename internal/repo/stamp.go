package repo

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"canvasback/internal/failure"
)

// Stamp tells whether a backup's manifest or notes may have changed: whatever
// writes one of them moves it.
type Stamp struct {
	ModTime time.Time // of the backup's directory
	Ino     uint64
}

// Stamps lists what may be backups of a database by their IDs, with one look at
// each directory and without reading a file: for whoever asks again and again
// and has read them before. None where the database has no directory.
func (r *Repo) Stamps(database string) (map[string]Stamp, error) {
	dir, found, err := r.databaseDir(database)
	if err != nil || !found {
		return nil, err
	}
	entries, err := r.fs.ReadDir(dir)
	if err != nil {
		return nil, writeError(err, "list the backups in %s", dir)
	}
	stamps := map[string]Stamp{}
	for _, e := range entries {
		if !ValidID(e.Name()) {
			continue
		}
		info, err := r.fs.Lstat(r.BackupDir(database, e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed just now
		case err != nil:
			return nil, writeError(err, "look at %s", r.BackupDir(database, e.Name()))
		default:
			stamps[e.Name()] = Stamp{info.ModTime, info.Ino}
		}
	}
	return stamps, nil
}

// Whole looks whether the files of a backup are there with the lengths that its
// manifest names, without reading any: BackupBad where one is not.
func (r *Repo) Whole(database, id string, files []File) error {
	for _, f := range files {
		name := filepath.Join(r.BackupDir(database, id), f.Name)
		info, err := r.fs.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return failure.Errorf(failure.BackupBad, "%s of backup %s is gone", name, id)
		case err != nil:
			return writeError(err, "look at %s", name)
		case !info.Mode.IsRegular() || info.Size != f.Bytes:
			return failure.Errorf(failure.BackupBad, "%s of backup %s is no file of %d bytes any more", name, id, f.Bytes)
		}
	}
	return nil
}
