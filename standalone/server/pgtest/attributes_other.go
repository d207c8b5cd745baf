//go:build !linux

package pgtest

import "syscall"

func inMemory() string { return "" }

// attributes run a program as another user, where there is one.
func attributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as}
}
