package vfs

import "syscall"

// KeepOwnRights takes out of this process's umask what it denies the process's
// own user: libraries make files too, and cannot work with what they may not
// open again. What the umask denies others stays. Programs call it first.
func KeepOwnRights() {
	const own = 0o700
	umask := syscall.Umask(own)
	syscall.Umask(umask &^ own)
}
