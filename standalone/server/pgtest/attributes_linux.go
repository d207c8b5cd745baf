package pgtest

import "syscall"

// inMemory is a directory for the data that is not on a disk, where tests that
// copy large files would hold a server up; empty where there is no room for it.
func inMemory() string {
	const dir, room = "/dev/shm", 4 << 30
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || int64(s.Bavail)*s.Bsize < room {
		return ""
	}
	return dir
}

// attributes run a program as another user, where there is one, and have the
// kernel end it when its parent is gone.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT}
}
