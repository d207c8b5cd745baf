package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// OS is the file system of this machine.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Open(name string) (File, error) { return openFile(name, os.O_RDONLY, 0) }

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return openFile(name, flag, perm)
}

func openFile(name string, flag int, perm fs.FileMode) (File, error) {
	// A pipe would wait for its other end; a regular file does not mind.
	f, err := os.OpenFile(name, flag|unix.O_NONBLOCK, perm)
	if err != nil {
		return nil, err // never a nil *osFile in a File
	}
	return &osFile{File: f, name: name}, nil
}

func (osFS) Stat(name string) (Info, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (osFS) Lstat(name string) (Info, error) {
	fi, err := os.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (osFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (osFS) Mkdir(name string, perm fs.FileMode) error    { return os.Mkdir(name, perm) }
func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFS) Rename(oldName, newName string) error         { return os.Rename(oldName, newName) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }

// SyncDir passes over file systems that have nothing to sync for a directory
// and say so (EINVAL on some network and FUSE mounts).
func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return syncClose(d)
}

func syncClose(d *os.File) error {
	err := d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

func (osFS) FreeBytes(name string) (int64, error) {
	n, err := freeBytes(name)
	if err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return n, nil
}

func (osFS) Kind(name string) (FSKind, error) {
	kind, err := kindOf(name)
	if err != nil {
		return FSKind{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return kind, nil
}

// osFile adds to os.File what os does not offer. The file descriptor is only
// ever borrowed inside control, so that a concurrent Close cannot hand its
// number to another file under a running call.
type osFile struct {
	*os.File
	name   string // as it was asked for
	locked atomic.Bool
}

func (f *osFile) Name() string { return f.name }

// Close gives up the lock before it closes. A child process that is just being
// started has a second descriptor of the open file until its program runs, and
// the lock would live on in that.
func (f *osFile) Close() error {
	if f.locked.Swap(false) {
		err := f.control("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
		return errors.Join(err, f.File.Close())
	}
	return f.File.Close()
}

func (f *osFile) Stat() (Info, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (f *osFile) TryLock() (bool, error)       { return f.flock(unix.LOCK_EX) }
func (f *osFile) TryLockShared() (bool, error) { return f.flock(unix.LOCK_SH) }

func (f *osFile) flock(how int) (bool, error) {
	err := f.control("flock", func(fd int) error { return unix.Flock(fd, how|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err == nil {
		f.locked.Store(true)
		return true, nil
	}
	if f.isDir() {
		for _, errno := range []unix.Errno{unix.EBADF, unix.EINVAL, unix.EISDIR, unix.ENOLCK, unix.ENOSYS, unix.ENOTSUP} {
			if errors.Is(err, errno) {
				return false, fmt.Errorf("%w: %w", ErrNoLock, err)
			}
		}
	}
	return false, err
}

func (f *osFile) isDir() bool {
	fi, err := f.File.Stat()
	return err == nil && fi.IsDir()
}

func (f *osFile) LockOwner() (pid int, held bool, err error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK} // start 0, length 0: the whole file
	err = f.control("fcntl", func(fd int) error {
		return unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &lock)
	})
	if err != nil || lock.Type == unix.F_UNLCK {
		return 0, false, err
	}
	return max(int(lock.Pid), 0), true, nil // -1: an open file description lock
}

func (f *osFile) PunchHole(off, n int64) error {
	if off < 0 || n < 0 {
		return &fs.PathError{Op: "punch", Path: f.Name(), Err: fs.ErrInvalid}
	}
	if n == 0 {
		return nil
	}
	err := f.control("fallocate", func(fd int) error { return punchHole(fd, off, n) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return f.writeZeros(off, n)
	}
	return err
}

// writeZeros is PunchHole where the file system has no holes. Like a hole, it
// never makes the file longer.
func (f *osFile) writeZeros(off, n int64) error {
	fi, err := f.File.Stat()
	if err != nil {
		return err
	}
	end := min(off+n, fi.Size())
	zeros := make([]byte, 64<<10)
	for off < end {
		k := min(int64(len(zeros)), end-off)
		if _, err := f.WriteAt(zeros[:k], off); err != nil {
			return err
		}
		off += k
	}
	return nil
}

// control runs call with the descriptor, again when a signal interrupts it.
func (f *osFile) control(op string, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = raw.Control(func(fd uintptr) {
		for {
			if callErr = call(int(fd)); callErr != unix.EINTR {
				return
			}
		}
	})
	if err == nil && callErr != nil {
		err = &fs.PathError{Op: op, Path: f.Name(), Err: callErr}
	}
	return err
}
