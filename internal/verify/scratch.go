package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// makeScratch copies the backup's files into a new directory below the scratch
// directory. The directory is returned, to be removed, also with an error.
func makeScratch(ctx context.Context, req *Request, files parts) (string, error) {
	dir := filepath.Join(req.Scratch, "verify-"+rand.Text())
	if err := req.FS.Mkdir(dir, 0o700); err != nil {
		return "", failure.Errorf(failure.Engine, "make a scratch directory: %w", err)
	}
	var done, total int64
	for _, f := range files.all() {
		total += f.Bytes
	}
	for _, f := range files.all() {
		err := withFile(req, f, func(from vfs.File) error {
			n, err := copyFile(ctx, req.FS, from, filepath.Join(dir, f.Name), func(n int64) { req.Progress(PhaseScratch, done+n, total) })
			done += n
			return err
		})
		if err != nil {
			return dir, err
		}
	}
	return dir, nil
}

// copyFile writes what from holds to a new file, leaving holes for zeros.
func copyFile(ctx context.Context, fsys vfs.FS, from vfs.File, name string, progress func(n int64)) (n int64, err error) {
	to, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, failure.Errorf(failure.Engine, "make a scratch copy: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	n, err = stream(ctx, from, &sparse{to: to}, progress)
	if err == nil {
		err = to.Truncate(n)
	}
	if err != nil && ctx.Err() == nil {
		err = failure.Errorf(failure.Engine, "make a scratch copy: %w", err)
	}
	return n, err
}

// sparse writes at a growing offset and skips what is all zeros.
type sparse struct {
	to  vfs.File
	off int64
}

var zeros [chunk]byte

func (s *sparse) Write(p []byte) (int, error) {
	if len(p) <= len(zeros) && bytes.Equal(p, zeros[:len(p)]) {
		s.off += int64(len(p))
		return len(p), nil
	}
	n, err := s.to.WriteAt(p, s.off)
	s.off += int64(n)
	if err != nil {
		return n, fmt.Errorf("scratch copy: %w", err)
	}
	return n, nil
}
