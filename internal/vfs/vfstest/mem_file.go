package vfstest

import (
	"io"
	"io/fs"
	"slices"
	"syscall"

	"canvasback/internal/vfs"
)

// memFile is an open file of Mem; m.mu guards it.
type memFile struct {
	m       *Mem
	n       *node
	name    string
	off     int64
	reads   bool
	writes  bool
	appends bool
	closed  bool
}

func (f *memFile) Name() string { return f.name }

// enter takes the lock, which the caller drops, and checks that the operation
// is one that the file was opened for.
func (f *memFile) enter(op string, allowed bool) error {
	f.m.mu.Lock()
	switch {
	case f.closed:
		return pathError(op, f.name, fs.ErrClosed)
	case !allowed:
		return pathError(op, f.name, syscall.EBADF)
	case f.n.names != nil && op != "stat" && op != "sync" && op != "flock":
		return pathError(op, f.name, syscall.EISDIR)
	}
	return nil
}

func (f *memFile) Read(p []byte) (int, error) {
	err := f.enter("read", f.reads)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if f.off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[f.off:])
	f.off += int64(n)
	return n, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.enter("read", f.reads)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	if off >= int64(len(f.n.data)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	err := f.enter("write", f.writes)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if f.appends {
		f.off = int64(len(f.n.data))
	}
	if len(p) > 0 {
		f.change(write{off: f.off, data: slices.Clone(p)})
		f.off += int64(len(p))
	}
	return len(p), nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.enter("write", f.writes && !f.appends)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("write", f.name, syscall.EINVAL)
	}
	if len(p) > 0 {
		f.change(write{off: off, data: slices.Clone(p)})
	}
	return len(p), nil
}

func (f *memFile) Truncate(size int64) error {
	err := f.enter("truncate", f.writes)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	if size < 0 {
		return pathError("truncate", f.name, syscall.EINVAL)
	}
	f.change(write{off: size})
	return nil
}

func (f *memFile) PunchHole(off, n int64) error {
	err := f.enter("punch", f.writes)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	if off < 0 || n < 0 {
		return pathError("punch", f.name, syscall.EINVAL)
	}
	if n = min(n, int64(len(f.n.data))-off); n > 0 {
		f.change(write{off: off, data: make([]byte, n)})
	}
	return nil
}

// change applies a write now and remembers that it is not durable.
func (f *memFile) change(w write) {
	f.n.data = w.apply(f.n.data)
	f.n.unsynced = append(f.n.unsynced, w)
	f.n.mtime = f.m.now()
	f.n.ctime = f.n.mtime
}

func (f *memFile) Sync() error {
	err := f.enter("sync", true)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	if f.n.names != nil {
		f.m.syncDir(f.n)
		return nil
	}
	f.n.syncData = slices.Clone(f.n.data)
	f.n.unsynced = nil
	return nil
}

func (f *memFile) Stat() (vfs.Info, error) {
	err := f.enter("stat", true)
	defer f.m.mu.Unlock()
	if err != nil {
		return vfs.Info{}, err
	}
	return f.n.info(), nil
}

func (f *memFile) TryLock() (bool, error) {
	err := f.enter("flock", true)
	defer f.m.mu.Unlock()
	if err != nil {
		return false, err
	}
	for holder := range f.n.locks {
		if holder != f {
			return false, nil
		}
	}
	f.n.lock(f, true)
	return true, nil
}

func (f *memFile) TryLockShared() (bool, error) {
	err := f.enter("flock", true)
	defer f.m.mu.Unlock()
	if err != nil {
		return false, err
	}
	for holder, exclusive := range f.n.locks {
		if holder != f && exclusive {
			return false, nil
		}
	}
	f.n.lock(f, false)
	return true, nil
}

func (n *node) lock(f *memFile, exclusive bool) {
	if n.locks == nil {
		n.locks = map[*memFile]bool{}
	}
	n.locks[f] = exclusive
}

func (f *memFile) LockOwner() (pid int, held bool, err error) {
	err = f.enter("fcntl", true)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, false, err
	}
	return f.n.ownerPID, f.n.ownerHolds, nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	delete(f.n.locks, f)
	return nil
}
