package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// RemoveAll removes name and what is below it, and follows no links. What is
// gone already is no error; another remover may be at work. It stops at the
// first failure.
func RemoveAll(fsys FS, name string) error {
	info, err := fsys.Lstat(name)
	if err == nil && info.Mode.IsDir() {
		var entries []fs.DirEntry
		if entries, err = fsys.ReadDir(name); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			if err := RemoveAll(fsys, filepath.Join(name, e.Name())); err != nil {
				return err
			}
		}
	}
	if err == nil {
		err = fsys.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
