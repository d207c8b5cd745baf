package vfs

import (
	"errors"
	"io/fs"
	"os"
)

// LockFile opens the lock file name, making it where it is missing, and locks
// it; nil without an error if another open file holds the lock. The name still
// leads to the locked file when LockFile returns: a holder that removes or
// renames the file before it lets go never shares the name with a second one.
// fs.ErrNotExist: the directory is gone.
func LockFile(fsys FS, name string, perm fs.FileMode) (File, error) {
	for {
		f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, perm)
		if err != nil {
			return nil, err
		}
		got, err := f.TryLock()
		if err != nil || !got {
			return nil, errors.Join(err, f.Close())
		}
		same, err := NamesFile(fsys, name, f)
		if err == nil && same {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
}

// NamesFile reports whether name leads to the open file, or directory.
func NamesFile(fsys FS, name string, f File) (bool, error) {
	held, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := fsys.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && now.Ino == held.Ino && now.Dev == held.Dev, err
}
