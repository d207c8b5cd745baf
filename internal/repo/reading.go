package repo

import (
	"errors"
	"io/fs"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Reading keeps a backup from being removed while it is read. Any number of
// readers can have the same backup. It belongs to one goroutine.
type Reading struct {
	manifest *Manifest
	dir      string
	lock     vfs.File // nil: released
}

// Read takes the backup with the ID, or the newest verified one for Latest, for
// reading: until Close, Remove and Trash refuse it (Reading), in this process
// and in every other. It writes nothing, so it works on a repository that is
// mounted read-only. The errors are those of Get.
//
// The shared flock is on the backup's directory. Where the file system cannot
// lock directories (some network mounts) nothing keeps the backup in place, and
// a reader finds its files gone.
func (r *Repo) Read(database, id string) (*Reading, error) {
	var rd *Reading
	got, err := awaited(func() (bool, error) {
		m, err := r.Get(database, id)
		if err != nil {
			return false, err
		}
		rd, err = r.read(m)
		return rd != nil, err
	})
	if err == nil && !got {
		err = failure.Errorf(failure.Reading, "backup %s of %s is being removed", id, database)
	}
	return rd, err
}

// read locks one backup; nil without an error if it is going, or gone.
func (r *Repo) read(m *Manifest) (*Reading, error) {
	dir := r.BackupDir(m.Database, m.ID)
	lock, got, err := r.lockBackup(dir, false)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !got {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Under the lock, as it may have been verified in between.
	m, err = r.load(m.Database, m.ID)
	if err != nil {
		err = errors.Join(err, lock.Close())
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // another removes the data where locks do not work
		}
		return nil, err
	}
	return &Reading{manifest: m, dir: dir, lock: lock}, nil
}

// Manifest is the backup's, as it was when Read returned.
func (rd *Reading) Manifest() *Manifest { return rd.manifest }

// Dir is the backup's directory.
func (rd *Reading) Dir() string { return rd.dir }

// Close lets the backup go. It does nothing when called again.
func (rd *Reading) Close() error {
	if rd.lock == nil {
		return nil
	}
	lock := rd.lock
	rd.lock = nil
	return lock.Close()
}
