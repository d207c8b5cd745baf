package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Locks that are held for a moment only are asked for again until then.
const (
	lockWait = 10 * time.Second
	lockPoll = 5 * time.Millisecond
)

// awaited calls try until it is true, fails or has been waited for long enough;
// false means the last.
func awaited(try func() (bool, error)) (bool, error) {
	for end := time.Now().Add(lockWait); ; time.Sleep(lockPoll) {
		ok, err := try()
		if ok || err != nil || time.Now().After(end) {
			return ok, err
		}
	}
}

// editing runs edit while this process alone changes the committed backups of
// the database: their manifests and notes, and which names are in the list.
// The lock is on <database>/.edit, is held for short writes only, and is waited
// for; Busy if that takes longer than any such write.
func (r *Repo) editing(database string, edit func() error) (err error) {
	dir := filepath.Join(r.dir, database)
	name := filepath.Join(dir, editName)
	var lock vfs.File
	got, err := awaited(func() (bool, error) {
		var err error
		lock, err = vfs.LockFile(r.fs, name, filePerm)
		return lock != nil, err
	})
	if err != nil {
		return writeError(err, "lock %s", name)
	}
	if !got {
		return failure.Errorf(failure.Busy, "another process has been changing the backups of %s for %v (lock %s)", database, lockWait, name)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return edit()
}

// ensureEdit makes the lock file of editing before there is anything to edit:
// on a disk that is full by then it could not be made, and no backup removed.
func (r *Repo) ensureEdit(dbDir string) error {
	name := filepath.Join(dbDir, editName)
	f, err := r.fs.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return writeError(err, "make %s", name)
	}
	return nil
}

// lockBackup locks the directory of a backup itself: shared for those who read
// it, exclusive for those who take it out of its name. got is false where
// another process has a lock that excludes this one. fs.ErrNotExist: the
// directory is not, or no longer, at that name. Where the file system cannot
// lock a directory nobody is excluded.
func (r *Repo) lockBackup(dir string, exclusive bool) (lock vfs.File, got bool, err error) {
	found, err := realDir(r.fs, dir)
	if err == nil {
		err = absent(dir, found)
	}
	if err != nil {
		return nil, false, err
	}
	lock, err = r.fs.Open(dir)
	if err != nil {
		return nil, false, writeError(err, "lock %s", dir)
	}
	if exclusive {
		got, err = lock.TryLock()
	} else {
		got, err = lock.TryLockShared()
	}
	if errors.Is(err, vfs.ErrNoLock) {
		got, err = true, nil
	}
	if err != nil || !got {
		err = errors.Join(err, lock.Close())
		if err != nil {
			err = writeError(err, "lock %s", dir)
		}
		return nil, false, err
	}
	same, err := vfs.NamesFile(r.fs, dir, lock)
	if err == nil && same {
		return lock, true, nil
	}
	if err != nil {
		err = writeError(err, "lock %s", dir)
	} else {
		err = absent(dir, false)
	}
	return nil, false, errors.Join(err, lock.Close())
}

func absent(path string, found bool) error {
	if found {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}
