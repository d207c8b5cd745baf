package crashtest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// fault is a column of the matrix.
type fault struct {
	name   string
	errno  syscall.Errno
	onward bool // every operation from the n-th on, not the n-th alone
	// hits picks the operations that it can strike; nil: all of them.
	hits func(fsys vfs.FS, op vfstest.Op) bool
	// harmless names operations that must succeed all the same.
	harmless []string
}

var faults = []fault{
	{name: "EIO", errno: syscall.EIO},
	{name: "ENOSPC", errno: syscall.ENOSPC, hits: takesSpace},
	{name: "EACCES", errno: syscall.EACCES},
	{name: "EIO from then on", errno: syscall.EIO, onward: true},
	{name: "ENOSPC from then on", errno: syscall.ENOSPC, onward: true, hits: takesSpace, harmless: []string{"prune", "sweep", "untrash"}},
}

// takesSpace picks what a full disk refuses. An open file, and a name that is
// there, need no more of it.
func takesSpace(fsys vfs.FS, op vfstest.Op) bool {
	switch op.Kind {
	case vfstest.OpWrite, vfstest.OpTruncate, vfstest.OpSync, vfstest.OpClone, vfstest.OpCopyRange:
		return true
	case vfstest.OpCreate, vfstest.OpMkdir:
		_, err := fsys.Lstat(op.Name)
		return errors.Is(err, fs.ErrNotExist)
	}
	return false
}

// broken is a file system with a fault.
type broken struct {
	vfs.FS
	mu    sync.Mutex // guards what follows
	left  int
	first vfstest.Op
}

// strike makes the fault hit the n-th operation, from 1.
func (f fault) strike(fsys vfs.FS, n int) *broken {
	b := &broken{left: n}
	b.FS = vfstest.Intercept(fsys, func(op vfstest.Op) error {
		if f.hits != nil && !f.hits(fsys, op) {
			return nil
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.left--; b.left > 0 || b.left < 0 && !f.onward {
			return nil
		}
		if b.first == (vfstest.Op{}) {
			b.first = op
		}
		return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: f.errno}
	})
	return b
}

// struck is the first operation that was hit, zero if none was.
func (b *broken) struck() vfstest.Op {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first
}

// verdicts are the kinds that speak of a file. None of them may come of a disk
// that fails.
var verdicts = []*failure.Kind{
	failure.BackupBad, failure.RepoCorrupt, failure.Corrupt, failure.Truncated, failure.NotDuckDB, failure.NewerStorage,
	failure.UnknownBackup, failure.NoSuchFile, failure.Replaced,
}

// judge looks at how the operation ended.
func (f fault) judge(op operation, struck vfstest.Op, err error) error {
	kind := failure.Of(err)
	switch {
	case err == nil:
		return nil
	case slices.Contains(f.harmless, op.name):
		return fmt.Errorf("it needs no space, and ended with: %w", err)
	case slices.Contains(verdicts, kind):
		return fmt.Errorf("a failing disk is no %s", kind.Name)
	case !errors.Is(err, f.errno):
		return fmt.Errorf("the error does not wrap %w", f.errno)
	case f.errno == syscall.ENOSPC && kind == failure.Engine && strings.Contains(struck.Name, "/verify-"):
		return nil // a scratch copy may be on another disk than the repository
	case f.errno == syscall.ENOSPC && kind != failure.RepoFull && kind != failure.TargetBad:
		return fmt.Errorf("a full disk is no %s, after %v", kind.Name, struck)
	}
	return nil
}
