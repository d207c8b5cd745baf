package vfs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempMark is in the name of every temporary file of WriteAtomic.
const tempMark = ".tmp-"

// WriteAtomic makes name hold data, durably, or leaves what was there: a
// temporary file in the same directory is written, synced, closed and renamed,
// and the directory synced. The temporary file is removed on failure; only a
// crash leaves it behind, under a name that IsTemp recognises. An error of the
// last step, the directory's sync, leaves the new content in place, though
// perhaps not durable.
func WriteAtomic(fsys FS, name string, data []byte, perm fs.FileMode) error {
	var random [8]byte
	rand.Read(random[:]) // never fails
	dir, base := filepath.Split(name)
	temp := dir + "." + base + tempMark + hex.EncodeToString(random[:])
	if err := writeSynced(fsys, temp, data, perm); err != nil {
		return removeTemp(fsys, temp, err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		return removeTemp(fsys, temp, err)
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// IsTemp reports whether the base name is that of a temporary file of
// WriteAtomic, left behind by a crash or still being written.
func IsTemp(base string) bool {
	return strings.HasPrefix(base, ".") && strings.Contains(base, tempMark)
}

func writeSynced(fsys FS, name string, data []byte, perm fs.FileMode) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	n, err := f.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeTemp(fsys FS, temp string, err error) error {
	if rmErr := fsys.Remove(temp); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	return err
}
