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
		info.Dev, info.Ino = uint64(st.Dev), st.Ino
	}
	return info
}

func punchHole(fd int, off, n int64) error {
	return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

func freeBytes(name string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(name, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		break
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
