// Package vfs is the seam between Canvasback and the file system: everything
// that reads the live database or writes the repository goes through FS, so
// that tests can fail the n-th operation, crash between two syncs, or step a
// simulated writer between two reads.
package vfs

import (
	"io"
	"io/fs"
	"time"
)

// FS is the part of a file system that Canvasback uses. Errors are those of
// package os: wrapped *fs.PathError, matching fs.ErrNotExist and the rest.
// Implementations are safe for concurrent use.
type FS interface {
	// Open opens name for reading only.
	Open(name string) (File, error)
	// OpenFile opens with the flags and permissions of os.OpenFile.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Stat follows symbolic links, Lstat does not.
	Stat(name string) (Info, error)
	Lstat(name string) (Info, error)
	// ReadDir lists a directory sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	Rename(oldName, newName string) error
	Remove(name string) error
	// SyncDir makes the entries of the directory name durable.
	SyncDir(name string) error
	// FreeBytes is what an unprivileged user can still write below name.
	FreeBytes(name string) (int64, error)
}

// File is an open file. Offsets and sizes are in bytes.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer
	Name() string
	Stat() (Info, error)
	Truncate(size int64) error
	Sync() error
	// PunchHole makes [off, off+n) read as zeros, freeing the space where the
	// file system can.
	PunchHole(off, n int64) error
	// TryLock takes an exclusive flock without waiting; false means that
	// another open file holds it. Closing the file releases it. It is advisory
	// and used on Canvasback's own files only, never on a database.
	TryLock() (bool, error)
	// LockOwner asks who holds a POSIX record lock on the file that conflicts
	// with a write lock, taking none. A pid of 0 with held true means that the
	// holder is outside this PID namespace.
	LockOwner() (pid int, held bool, err error)
}

// Info is what stat tells. ModTime moves with content, ChangeTime also with
// metadata; Dev and Ino identify the file as long as it is open.
type Info struct {
	Size       int64
	Mode       fs.FileMode
	ModTime    time.Time
	ChangeTime time.Time
	Dev, Ino   uint64
}
