package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"canvasback/internal/failure"
	"canvasback/internal/telemetry"
)

// dataDir is the directory that one process at a time works in.
type dataDir struct {
	path  string
	lock  *os.File
	files []*os.File
}

// openData makes the directory if it is missing and refuses one that another
// process works in.
func openData(path string) (*dataDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "--data %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, failure.Errorf(failure.Usage, "--data %s: %w", path, err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, "standalone.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "--data %s: %w", path, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, failure.Errorf(failure.Usage, "--data %s: another standalone%s works there; stop it, or name another directory", path, owner(lock))
		}
		return nil, failure.Errorf(failure.Usage, "--data %s: lock: %w", path, err)
	}
	// For the message above only.
	if err := lock.Truncate(0); err == nil {
		fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	return &dataDir{path: abs, lock: lock}, nil
}

func owner(lock *os.File) string {
	var pid int
	if _, err := fmt.Fscan(lock, &pid); err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// maxLog is the size in bytes at which a log file of the last start is set
// aside, over an older one.
const maxLog = 16 << 20

// log opens a log file of the directory.
func (d *dataDir) log(name, format string) (*slog.Logger, error) {
	path := filepath.Join(d.path, name)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Size() > maxLog:
		err = os.Rename(path, path+".1")
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("log file %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log file %s: %w", path, err)
	}
	d.files = append(d.files, f)
	return telemetry.NewLogger(f, format)
}

func (d *dataDir) close() {
	for _, f := range d.files {
		f.Close()
	}
	d.lock.Close()
}
