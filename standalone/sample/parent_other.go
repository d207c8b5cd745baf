//go:build !linux

package sample

import "syscall"

// dieWithParent is nothing here: the end of its standard input tells the
// writer that its parent is gone.
func dieWithParent() *syscall.SysProcAttr { return nil }
