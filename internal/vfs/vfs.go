// Package vfs is the seam between Canvasback and the file system: everything
// that reads the live database or writes the repository goes through FS, so
// that tests can fail the n-th operation, crash between two syncs, or step a
// simulated writer between two reads.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// FS is the part of a file system that Canvasback uses. Errors are those of
// package os: wrapped *fs.PathError, matching fs.ErrNotExist and the rest.
// Implementations are safe for concurrent use.
type FS interface {
	// Open opens name for reading only. It does not wait, even for the other end
	// of a pipe.
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
	// Kind tells the kind of file system that holds name.
	Kind(name string) (FSKind, error)
	// Confine is this file system for one who does not trust what is below the
	// directory dir: others may have put links, pipes and devices there. dir
	// itself, and the way to it, may be a link: it is resolved once, now. Names
	// below dir lead nowhere else, whoever changes them meanwhile. No symbolic link
	// is followed, not even to a place below dir (ErrLink, and the error's path is
	// the link's); only files and directories are opened (ErrSpecial), and an open
	// never waits; a new file or directory has exactly the mode that was asked for,
	// whatever the umask. A rename does not lead out of dir (EXDEV). All other names
	// are as before. fs.ErrNotExist: there is no dir.
	Confine(dir string) (FS, error)
}

// FSKind is a kind of file system.
type FSKind struct {
	// Name as mount(8) has it, ext2 to ext4 all as "ext4"; the number in
	// hexadecimal ("0x1badface") where it is not in the table.
	Name string
	// Network: a program on another kernel may write the files, or the files
	// may be those of a server that is not asked at every read. Then a reader
	// does not see a writer's bytes in the order they were written, and record
	// locks may be unseen. True of FUSE too, of which nothing is known; false
	// for a number that is not in the table, which is most likely a local disk.
	Network bool
}

// ErrNoClone: the file system, or this pair of files, cannot share blocks.
// Whether it can is told only by trying.
var ErrNoClone = errors.New("the file system cannot clone")

// ErrNoCopyRange: the kernel cannot copy between these two files by itself.
var ErrNoCopyRange = errors.New("the kernel cannot copy between the files")

// ErrNoLock: the file system cannot lock a directory, as is so of some network
// mounts, which lock only what is open for writing.
var ErrNoLock = errors.New("the file system cannot lock a directory")

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
	// NextData is the offset of the first byte at or behind off that is not in
	// a hole; off itself where the file system does not know its holes. io.EOF:
	// nothing but a hole, or nothing at all, lies behind off. It may move the
	// offset of Read and Write for the time of the call, so it must not run
	// beside them; beside ReadAt and WriteAt it may.
	NextData(off int64) (int64, error)
	// CloneFrom makes the whole content of this file that of src, sharing its
	// blocks, as one step in the eyes of a writer that uses write(2). What this
	// file held is gone first, whatever comes of it, unless both are one file.
	// ErrNoClone, for errors.Is: it cannot be done here, and bytes must be
	// copied instead; any other error is the disk's.
	CloneFrom(src File) error
	// CopyRangeFrom copies n bytes at srcOff of src to dstOff of this file
	// inside the kernel, which shares blocks where it can. It is not one step:
	// a writer may be seen half way. Fewer bytes than n may be copied, for any
	// reason, without an error; 0 bytes for n above 0 means that src ends at
	// srcOff or before. ErrNoCopyRange, for errors.Is: it cannot be done here.
	CopyRangeFrom(src File, srcOff, dstOff, n int64) (int64, error)
	// TryLock takes an exclusive flock without waiting; false means that
	// another open file holds it. Closing the file releases it. It is advisory
	// and used on Canvasback's own files only, never on a database.
	//
	// A directory can be locked too, by one that is open for reading: that needs
	// no file in it, goes along when it is renamed, and works where nothing can
	// be written. ErrNoLock, for errors.Is: this file system cannot do that.
	TryLock() (bool, error)
	// TryLockShared takes a shared flock without waiting, of which several open
	// files can have one at a time; false means that another open file holds an
	// exclusive one. The rest is as for TryLock.
	TryLockShared() (bool, error)
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
	Links      uint64 // names that the file has
}

// Innermost is the file that f stands for. A File made around another one,
// as the ones of tests are, says what it is made around by a method
//
//	Unwrap() File
//
// so that CloneFrom and CopyRangeFrom find the file of the kernel in it.
func Innermost(f File) File {
	for {
		outer, ok := f.(interface{ Unwrap() File })
		if !ok {
			return f
		}
		f = outer.Unwrap()
	}
}
