//go:build !linux

package engine

import (
	"os"
	"syscall"
)

func self() (string, error) { return os.Executable() }

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit is not to be had here without reaping the child: what it leaves
// behind ends with the time limit.
func awaitExit(int) bool { return false }
