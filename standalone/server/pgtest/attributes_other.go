//go:build !linux

package pgtest

import "syscall"

// attributes run a program as another user, where there is one.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as}
}
