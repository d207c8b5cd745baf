package doctor

import (
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// userName is the name of this process's user, or its number.
func userName() string {
	uid := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// user tells as whom the permissions were tried.
func (c *Checkup) user() Finding {
	if os.Geteuid() == 0 {
		return finding("user", Warn, "sudo -u WORKER-USER starter doctor ...",
			"these checks run as root, who may read and write what the worker's user may not")
	}
	return finding("user", OK, "", "these checks run as %s (uid %d), as the worker must", userName(), os.Geteuid())
}

// writable asks whether this process may make files in the directory, and
// makes none.
func writable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
