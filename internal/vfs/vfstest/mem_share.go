package vfstest

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"canvasback/internal/vfs"
)

// NextData knows no holes.
func (f *memFile) NextData(off int64) (int64, error) {
	err := f.enter("seek", true)
	defer f.m.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case off < 0:
		return 0, pathError("seek", f.name, fs.ErrInvalid)
	case off >= int64(len(f.n.data)):
		return 0, io.EOF
	}
	return off, nil
}

// CloneFrom copies bytes. Like every change of content it is not durable
// before a sync, and a crash may tear it.
func (f *memFile) CloneFrom(src vfs.File) error {
	err := f.enter("clone", f.writes)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	data := []byte(nil)
	from, ok := vfs.Innermost(src).(*memFile)
	if ok && from.n == f.n {
		return fmt.Errorf("%w: %s is one file with itself", vfs.ErrNoClone, f.name)
	}
	if ok = ok && from.m == f.m && f.m.clones; ok {
		if err := from.readable("clone"); err != nil {
			return err
		}
		data = slices.Clone(from.n.data)
	}
	f.change(write{off: 0})
	if !ok {
		return fmt.Errorf("%w: %s", vfs.ErrNoClone, f.name)
	}
	if len(data) > 0 {
		f.change(write{data: data})
	}
	return nil
}

// CopyRangeFrom copies all that is asked for and there, between files of one
// Mem.
func (f *memFile) CopyRangeFrom(src vfs.File, srcOff, dstOff, n int64) (int64, error) {
	err := f.enter("copyrange", f.writes && !f.appends)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if srcOff < 0 || dstOff < 0 || n < 0 {
		return 0, pathError("copyrange", f.name, fs.ErrInvalid)
	}
	from, ok := vfs.Innermost(src).(*memFile)
	if !ok || from.m != f.m || from.n == f.n && srcOff < dstOff+n && dstOff < srcOff+n {
		return 0, fmt.Errorf("%w: %s", vfs.ErrNoCopyRange, f.name)
	}
	if err := from.readable("copyrange"); err != nil {
		return 0, err
	}
	if n = min(n, int64(len(from.n.data))-srcOff); n <= 0 {
		return 0, nil
	}
	f.change(write{off: dstOff, data: slices.Clone(from.n.data[srcOff : srcOff+n])})
	return n, nil
}

// readable checks, under the lock, the other file of an operation on two.
func (f *memFile) readable(op string) error {
	switch {
	case f.closed:
		return pathError(op, f.name, fs.ErrClosed)
	case !f.reads:
		return pathError(op, f.name, syscall.EBADF)
	case f.n.names != nil:
		return pathError(op, f.name, syscall.EISDIR)
	}
	return nil
}
