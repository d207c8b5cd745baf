package vfstest

import (
	"io/fs"
	"os"
	"slices"
	"sync"

	"canvasback/internal/vfs"
)

// Kind of an operation.
type Kind string

// The operations that Intercept sees. OpOpen is an open for reading only,
// OpCreate every other one; OpStat is also the question for the kind of file
// system, OpSeek that for the next data. OpClone and OpCopyRange have the name
// of the file that is written.
const (
	OpOpen      Kind = "open"
	OpCreate    Kind = "create"
	OpStat      Kind = "stat"
	OpReadDir   Kind = "readdir"
	OpMkdir     Kind = "mkdir"
	OpRename    Kind = "rename"
	OpRemove    Kind = "remove"
	OpSyncDir   Kind = "syncdir"
	OpFreeBytes Kind = "freebytes"
	OpRead      Kind = "read"
	OpSeek      Kind = "seek"
	OpWrite     Kind = "write"
	OpTruncate  Kind = "truncate"
	OpSync      Kind = "sync"
	OpPunch     Kind = "punch"
	OpClone     Kind = "clone"
	OpCopyRange Kind = "copyrange"
	OpLock      Kind = "lock"
	OpLockOwner Kind = "lockowner"
	OpClose     Kind = "close"
)

// Op is one operation about to happen, on the file or directory Name.
type Op struct {
	Kind Kind
	Name string
}

// Mutates reports whether the operation can change what is stored, or fail
// such a change late, as a close does.
func (o Op) Mutates() bool {
	switch o.Kind {
	case OpOpen, OpStat, OpReadDir, OpFreeBytes, OpRead, OpSeek, OpLock, OpLockOwner:
		return false
	}
	return true
}

// Intercept returns fsys with before called ahead of every operation. Where
// before returns an error the operation fails with it, as the disk would have
// it: a write and a copy of a range have written their first half, a close has
// closed, anything else has done nothing. before may use fsys itself, and is called by as many
// goroutines at once as use the result.
func Intercept(fsys vfs.FS, before func(Op) error) vfs.FS {
	return &interceptFS{fsys, before}
}

// Failing is a file system that fails once.
type Failing struct {
	vfs.FS
	mu    sync.Mutex
	left  int
	fired Op
}

// FailNth fails the n-th operation, from 1, of the given kinds with err; of
// all that Op.Mutates if no kinds are given. Every other one succeeds.
func FailNth(fsys vfs.FS, n int, err error, kinds ...Kind) *Failing {
	f := &Failing{left: n}
	f.FS = Intercept(fsys, func(op Op) error {
		if len(kinds) == 0 && !op.Mutates() || len(kinds) > 0 && !slices.Contains(kinds, op.Kind) {
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.left--; f.left != 0 {
			return nil
		}
		f.fired = op
		return pathError(string(op.Kind), op.Name, err)
	})
	return f
}

// Fired reports whether the n-th operation came.
func (f *Failing) Fired() bool { return f.Op() != Op{} }

// Op is the operation that failed, zero if none has.
func (f *Failing) Op() Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

type interceptFS struct {
	fs     vfs.FS
	before func(Op) error
}

func (i *interceptFS) Open(name string) (vfs.File, error) { return i.OpenFile(name, os.O_RDONLY, 0) }

func (i *interceptFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	kind := OpOpen
	if flag != os.O_RDONLY {
		kind = OpCreate
	}
	if err := i.before(Op{kind, name}); err != nil {
		return nil, err
	}
	f, err := i.fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &interceptFile{f, i.before}, nil
}

func (i *interceptFS) Stat(name string) (vfs.Info, error) {
	if err := i.before(Op{OpStat, name}); err != nil {
		return vfs.Info{}, err
	}
	return i.fs.Stat(name)
}

func (i *interceptFS) Lstat(name string) (vfs.Info, error) {
	if err := i.before(Op{OpStat, name}); err != nil {
		return vfs.Info{}, err
	}
	return i.fs.Lstat(name)
}

func (i *interceptFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := i.before(Op{OpReadDir, name}); err != nil {
		return nil, err
	}
	return i.fs.ReadDir(name)
}

func (i *interceptFS) Mkdir(name string, perm fs.FileMode) error {
	if err := i.before(Op{OpMkdir, name}); err != nil {
		return err
	}
	return i.fs.Mkdir(name, perm)
}

func (i *interceptFS) MkdirAll(name string, perm fs.FileMode) error {
	if err := i.before(Op{OpMkdir, name}); err != nil {
		return err
	}
	return i.fs.MkdirAll(name, perm)
}

func (i *interceptFS) Rename(oldName, newName string) error {
	if err := i.before(Op{OpRename, oldName}); err != nil {
		return err
	}
	return i.fs.Rename(oldName, newName)
}

func (i *interceptFS) Remove(name string) error {
	if err := i.before(Op{OpRemove, name}); err != nil {
		return err
	}
	return i.fs.Remove(name)
}

func (i *interceptFS) SyncDir(name string) error {
	if err := i.before(Op{OpSyncDir, name}); err != nil {
		return err
	}
	return i.fs.SyncDir(name)
}

func (i *interceptFS) FreeBytes(name string) (int64, error) {
	if err := i.before(Op{OpFreeBytes, name}); err != nil {
		return 0, err
	}
	return i.fs.FreeBytes(name)
}

func (i *interceptFS) Kind(name string) (vfs.FSKind, error) {
	if err := i.before(Op{OpStat, name}); err != nil {
		return vfs.FSKind{}, err
	}
	return i.fs.Kind(name)
}

// Confine confines what is below, so that what fails is what the user of the
// result asked for. It is no operation by itself.
func (i *interceptFS) Confine(dir string) (vfs.FS, error) {
	fsys, err := i.fs.Confine(dir)
	if err != nil {
		return nil, err
	}
	return &interceptFS{fsys, i.before}, nil
}

type interceptFile struct {
	vfs.File
	before func(Op) error
}

// Unwrap is for vfs.Innermost.
func (f *interceptFile) Unwrap() vfs.File { return f.File }

func (f *interceptFile) op(kind Kind) error { return f.before(Op{kind, f.Name()}) }

func (f *interceptFile) Read(p []byte) (int, error) {
	if err := f.op(OpRead); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *interceptFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.op(OpRead); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *interceptFile) Write(p []byte) (int, error) {
	if err := f.op(OpWrite); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *interceptFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.op(OpWrite); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *interceptFile) Truncate(size int64) error {
	if err := f.op(OpTruncate); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *interceptFile) Sync() error {
	if err := f.op(OpSync); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *interceptFile) PunchHole(off, n int64) error {
	if err := f.op(OpPunch); err != nil {
		return err
	}
	return f.File.PunchHole(off, n)
}

func (f *interceptFile) NextData(off int64) (int64, error) {
	if err := f.op(OpSeek); err != nil {
		return 0, err
	}
	return f.File.NextData(off)
}

func (f *interceptFile) CloneFrom(src vfs.File) error {
	if err := f.op(OpClone); err != nil {
		return err
	}
	return f.File.CloneFrom(src)
}

func (f *interceptFile) CopyRangeFrom(src vfs.File, srcOff, dstOff, n int64) (int64, error) {
	if err := f.op(OpCopyRange); err != nil {
		done, _ := f.File.CopyRangeFrom(src, srcOff, dstOff, n/2)
		return done, err
	}
	return f.File.CopyRangeFrom(src, srcOff, dstOff, n)
}

func (f *interceptFile) TryLock() (bool, error) {
	if err := f.op(OpLock); err != nil {
		return false, err
	}
	return f.File.TryLock()
}

func (f *interceptFile) TryLockShared() (bool, error) {
	if err := f.op(OpLock); err != nil {
		return false, err
	}
	return f.File.TryLockShared()
}

func (f *interceptFile) LockOwner() (int, bool, error) {
	if err := f.op(OpLockOwner); err != nil {
		return 0, false, err
	}
	return f.File.LockOwner()
}

func (f *interceptFile) Stat() (vfs.Info, error) {
	if err := f.op(OpStat); err != nil {
		return vfs.Info{}, err
	}
	return f.File.Stat()
}

func (f *interceptFile) Close() error {
	if err := f.op(OpClose); err != nil {
		f.File.Close()
		return err
	}
	return f.File.Close()
}
