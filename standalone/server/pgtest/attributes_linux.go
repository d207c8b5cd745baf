package pgtest

import "syscall"

// attributes run a program as another user, where there is one, and have the
// kernel end it when its parent is gone.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT}
}
