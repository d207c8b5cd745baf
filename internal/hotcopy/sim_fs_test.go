package hotcopy

import (
	"io"
	"io/fs"
	"os"
	"strings"

	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// simFS is the file system as the copy sees it. Reads of the live database
// fall into pieces, between which the owner goes on, and a new WAL gets the
// inode number of the one before it, as on ext4, unless the copy holds that
// one open.
type simFS struct {
	vfs.FS
	s *sim
}

func (s *sim) copyFS(before func(vfstest.Op) error) vfs.FS {
	return simFS{vfstest.Intercept(s.mem, func(op vfstest.Op) error {
		if s.tracing && strings.HasPrefix(op.Name, "/live") {
			s.logf("copy", "%s %s", op.Kind, op.Name)
		}
		s.advance(s.dur(s.opBase))
		return before(op)
	}), s}
}

func (f simFS) Open(name string) (vfs.File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

func (f simFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(name, "/live/") {
		return &simStage{file, f.s}, nil
	}
	info, err := f.s.mem.Stat(name) // the file just opened: nothing has happened since
	if err != nil {
		return nil, err
	}
	f.s.inodes.open(info.Ino, 1)
	return &simFile{File: file, s: f.s, ino: info.Ino}, nil
}

// simStage is a file of the copy. A range arrives in it piece by piece.
type simStage struct {
	vfs.File
	s *sim
}

func (f *simStage) CopyRangeFrom(src vfs.File, srcOff, dstOff, n int64) (int64, error) {
	return f.File.CopyRangeFrom(src, srcOff, dstOff, 1+f.s.rng.Int64N(n))
}

// simFile is a file of the live database.
type simFile struct {
	vfs.File
	s   *sim
	ino uint64
}

// Unwrap is for vfs.Innermost.
func (f *simFile) Unwrap() vfs.File { return f.File }

func (f *simFile) Stat() (vfs.Info, error) {
	info, err := f.File.Stat()
	info.Ino = f.s.inodes.shown(f.ino)
	return info, err
}

func (f *simFile) Close() error {
	err := f.File.Close()
	f.s.inodes.open(f.ino, -1)
	return err
}

// ReadAt reads up to four pieces, first bytes first.
func (f *simFile) ReadAt(p []byte, off int64) (int, error) {
	total := 0
	for pieces := f.s.between(1, 5); pieces > 1 && len(p)-total > 64; pieces-- {
		n := 8 + f.s.rng.IntN(len(p)-total-8)&^7
		if n > 4096 {
			n &^= 4095
		}
		got, err := f.File.ReadAt(p[total:total+n], off+int64(total))
		total += got
		if err != nil {
			return total, err
		}
	}
	got, err := f.File.ReadAt(p[total:], off+int64(total))
	total += got
	if err == io.EOF && total == len(p) {
		err = nil
	}
	return total, err
}

// inodes gives the files of the memory file system the numbers that a disk
// would: one is free again when its file has neither a name nor a reader.
type inodes struct {
	number   map[uint64]uint64 // by the memory file system's
	readers  map[uint64]int
	nameless map[uint64]bool
	spare    []uint64
}

func (i *inodes) shown(ino uint64) uint64 {
	if n, ok := i.number[ino]; ok {
		return n
	}
	return ino
}

// created gives a new file a number.
func (i *inodes) created(ino uint64) {
	if i.number == nil {
		i.number, i.readers, i.nameless = map[uint64]uint64{}, map[uint64]int{}, map[uint64]bool{}
	}
	n := ino + 1_000_000
	if k := len(i.spare); k > 0 {
		n = i.spare[k-1]
		i.spare = i.spare[:k-1]
	}
	i.number[ino] = n
}

// unlinked says that the file has no name any more.
func (i *inodes) unlinked(ino uint64) {
	i.nameless[ino] = true
	i.release(ino)
}

func (i *inodes) open(ino uint64, change int) {
	if i.number[ino] == 0 {
		return
	}
	i.readers[ino] += change
	i.release(ino)
}

func (i *inodes) release(ino uint64) {
	if i.nameless[ino] && i.readers[ino] == 0 {
		i.spare = append(i.spare, i.number[ino])
		delete(i.nameless, ino)
	}
}
