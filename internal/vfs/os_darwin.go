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
		info.ChangeTime = time.Unix(st.Ctimespec.Sec, st.Ctimespec.Nsec)
		info.Dev, info.Ino, info.Links = uint64(st.Dev), st.Ino, uint64(st.Nlink)
	}
	return info
}

// punchHole leaves it to the writing of zeros: this system punches whole file
// system blocks only, and the caller's range need not be aligned to them.
func punchHole(int, int64, int64) error { return unix.ENOTSUP }

func freeBytes(name string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return 0, err
	}
	unit := uint64(st.Bsize)
	if unit != 0 && st.Bavail > math.MaxInt64/unit {
		return math.MaxInt64, nil
	}
	return int64(st.Bavail * unit), nil
}

// clone: this system clones to new names only, not into an open file.
func clone(int, int) error { return unix.ENOTSUP }

func copyRange(int, int, int64, int64, int64) (int64, error) { return 0, unix.ENOTSUP }

// nextData leaves holes alone: a file is data up to its end.
func nextData(int, int64) (int64, error) { return 0, unix.ENOTSUP }

func kindOf(name string) (FSKind, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return FSKind{}, err
	}
	return FSKind{Name: unix.ByteSliceToString(st.Fstypename[:]), Network: st.Flags&unix.MNT_LOCAL == 0}, nil
}
