package vfs

import (
	"io/fs"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func infoOf(fi fs.FileInfo) Info {
	info := Info{Size: fi.Size(), Mode: fi.Mode(), ModTime: fi.ModTime()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		info.ChangeTime = time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec))
		info.Dev, info.Ino, info.Links = uint64(st.Dev), st.Ino, uint64(st.Nlink)
	}
	return info
}

func punchHole(fd int, off, n int64) error {
	return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// clone shares the whole of src with the file fd.
func clone(fd, src int) error { return unix.IoctlFileClone(fd, src) }

func copyRange(fd, src int, srcOff, dstOff, n int64) (int64, error) {
	done, err := unix.CopyFileRange(src, &srcOff, fd, &dstOff, int(min(n, math.MaxInt)), 0)
	return int64(max(done, 0)), err
}

// nextData puts the file's own offset back, which SEEK_DATA moves.
func nextData(fd int, off int64) (int64, error) {
	was, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if err != nil {
		return 0, err
	}
	at, err := unix.Seek(fd, off, unix.SEEK_DATA)
	if err != nil {
		return 0, err // which moved nothing
	}
	_, err = unix.Seek(fd, was, unix.SEEK_SET)
	return at, err
}

func kindOf(name string) (FSKind, error) {
	st, err := statfs(name)
	if err != nil {
		return FSKind{}, err
	}
	return kindOfMagic(uint32(st.Type)), nil
}

func statfs(name string) (st unix.Statfs_t, err error) {
	for {
		if err = unix.Statfs(name, &st); err != unix.EINTR {
			return st, err
		}
	}
}

func freeBytes(name string) (int64, error) {
	st, err := statfs(name)
	if err != nil {
		return 0, err
	}
	unit := uint64(st.Frsize)
	if unit == 0 {
		unit = uint64(st.Bsize)
	}
	if unit != 0 && st.Bavail > math.MaxInt64/unit {
		return math.MaxInt64, nil // some network mounts claim all there is
	}
	return int64(st.Bavail * unit), nil
}
