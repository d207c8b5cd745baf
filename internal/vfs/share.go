package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// noClone are the errors by which FICLONE says that it cannot, rather than
// that something broke: ioctl_ficlone(2). ENOTTY and ENOSYS come from file
// systems that know no ioctl and from system call filters, EBADF from kernels
// before 4.8 for a file system without clones. EINVAL is the answer for two
// files on Btrfs of which one is not copied on write. A caller whose own fault
// is behind one of them meets it again when it copies bytes instead.
var noClone = []error{
	unix.EOPNOTSUPP, unix.ENOTSUP, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.ENOSYS, unix.EPERM, unix.EBADF,
}

// noCopyRange are the same for copy_file_range(2). EXDEV: two kinds of file
// systems; EINVAL: not a regular file; ENOSYS and EPERM: a system call filter.
var noCopyRange = []error{
	unix.EOPNOTSUPP, unix.ENOTSUP, unix.EXDEV, unix.EINVAL, unix.ENOSYS, unix.EPERM,
}

// noSeekData are the answers of a file system that does not know its holes.
var noSeekData = []error{unix.EINVAL, unix.EOPNOTSUPP, unix.ENOTSUP, unix.ENOTTY, unix.ENOSYS}

func isOneOf(err error, list []error) bool {
	return err != nil && slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}

func (f *osFile) CloneFrom(src File) error {
	from, ok := Innermost(src).(*osFile)
	if !ok {
		return fmt.Errorf("%w: %s is not a file of this machine", ErrNoClone, src.Name())
	}
	switch same, err := sameFile(f, from); {
	case err != nil:
		return err
	case same: // by another name, perhaps; nothing may be cut off
		return fmt.Errorf("%w: %s and %s are one file", ErrNoClone, src.Name(), f.Name())
	}
	if err := f.Truncate(0); err != nil { // a clone of a shorter file would leave the rest
		return err
	}
	err := f.control("ficlone", func(fd int) error {
		return from.withFD(func(srcFD int) error { return clone(fd, srcFD) })
	})
	if isOneOf(err, noClone) {
		return fmt.Errorf("%w: %w", ErrNoClone, err)
	}
	return err
}

func sameFile(a, b *osFile) (bool, error) {
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	return x.Dev == y.Dev && x.Ino == y.Ino, err
}

func (f *osFile) CopyRangeFrom(src File, srcOff, dstOff, n int64) (int64, error) {
	if srcOff < 0 || dstOff < 0 || n < 0 {
		return 0, &fs.PathError{Op: "copy_file_range", Path: f.Name(), Err: fs.ErrInvalid}
	}
	from, ok := Innermost(src).(*osFile)
	if !ok {
		return 0, fmt.Errorf("%w: %s is not a file of this machine", ErrNoCopyRange, src.Name())
	}
	if n == 0 {
		return 0, nil
	}
	var done int64
	err := f.control("copy_file_range", func(fd int) error {
		return from.withFD(func(srcFD int) (err error) {
			done, err = copyRange(fd, srcFD, srcOff, dstOff, n)
			return err
		})
	})
	if isOneOf(err, noCopyRange) {
		return 0, fmt.Errorf("%w: %w", ErrNoCopyRange, err)
	}
	return done, err
}

func (f *osFile) NextData(off int64) (int64, error) {
	if off < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.Name(), Err: fs.ErrInvalid}
	}
	var at int64
	err := f.control("seek", func(fd int) (err error) {
		at, err = nextData(fd, off)
		return err
	})
	switch {
	case errors.Is(err, unix.ENXIO):
		return 0, io.EOF
	case isOneOf(err, noSeekData):
		fi, err := f.File.Stat()
		if err == nil && off >= fi.Size() {
			err = io.EOF
		}
		if err != nil {
			return 0, err
		}
		return off, nil
	}
	return at, err
}

// withFD runs call with the descriptor, which no Close can take away meanwhile.
func (f *osFile) withFD(call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = call(int(fd)) }); err != nil {
		return err
	}
	return callErr
}
