package sample

import "syscall"

// dieWithParent has the kernel tell the writer when its parent is gone. The
// end of its standard input tells it too.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
