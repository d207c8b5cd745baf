package restore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

const (
	lockName  = ".lock"
	stagedDB  = "staged.duckdb"
	stagedWAL = stagedDB + ".wal"
	copyBytes = 1 << 20
)

// openStage makes the hidden directory beside the target and locks it, so that
// two restores to one target do not meet. What an interrupted one left in it
// is removed.
func (r *run) openStage() error {
	r.stage = filepath.Join(r.dir, "."+filepath.Base(r.target)+".restore")
	for {
		if err := r.fs.Mkdir(r.stage, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return targetError(err, "make %s", r.stage)
		}
		info, err := r.fs.Lstat(r.stage)
		if err == nil && !info.Mode.IsDir() {
			return failure.Errorf(failure.TargetBad, "%s is in the way: it is not a directory", r.stage)
		}
		lock, err := vfs.LockFile(r.fs, filepath.Join(r.stage, lockName), 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another restore has just finished
		}
		if err != nil {
			return targetError(err, "lock %s", r.stage)
		}
		if lock == nil {
			return failure.Errorf(failure.TargetInUse, "another restore to %s is running (lock in %s)", r.target, r.stage)
		}
		r.lock = lock
		if err := r.emptyStage(); err != nil {
			return errors.Join(targetError(err, "empty %s", r.stage), lock.Close())
		}
		return nil
	}
}

func (r *run) emptyStage() error {
	entries, err := r.fs.ReadDir(r.stage)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		if err := vfs.RemoveAll(r.fs, filepath.Join(r.stage, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// closeStage removes the directory. The lock file goes last, and its lock is
// let go after it.
func (r *run) closeStage() error {
	err := r.emptyStage()
	if err == nil {
		err = vfs.RemoveAll(r.fs, r.stage)
	}
	if err != nil {
		err = targetError(err, "remove %s", r.stage)
	}
	return errors.Join(err, r.lock.Close())
}

// checkSpace wants room for the backup and for a second copy of WAL files that
// are moved aside. Holes in the backup are counted as if they were data.
func (r *run) checkSpace() error {
	need := r.result.Bytes
	if r.req.KeepOld {
		for _, suffix := range walSuffixes {
			if info, err := r.fs.Lstat(r.target + suffix); err == nil {
				need += info.Size
			}
		}
	}
	free, err := r.fs.FreeBytes(r.dir)
	if err != nil {
		return targetError(err, "ask for the free space of %s", r.dir)
	}
	r.result.NeedBytes, r.result.FreeBytes = need, free
	if free < need {
		return failure.Errorf(failure.TargetBad, "%s has %d bytes free, the restore needs %d", r.dir, free, need)
	}
	return nil
}

// copyFiles copies the backup into the staging directory and compares it with
// the manifest on the way. Everything is synced when it returns.
func (r *run) copyFiles(ctx context.Context) error {
	var done int64
	progress := func(n int64) {
		done += n
		if r.req.Progress != nil {
			r.req.Progress(done, r.result.Bytes)
		}
	}
	progress(0)
	if err := r.checkSizes(); err != nil { // before a file without an end is read
		return err
	}
	if r.wal != nil {
		if err := r.copyFile(ctx, *r.wal, stagedWAL, progress); err != nil {
			return err
		}
	}
	return r.copyFile(ctx, r.db, stagedDB, progress)
}

// checkSizes compares the sizes of the backup's files with the manifest.
func (r *run) checkSizes() error {
	for _, f := range r.manifest.Files {
		name := filepath.Join(r.source, f.Name)
		info, err := r.fs.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return failure.Errorf(failure.BackupBad, "backup %s of %s lacks a file: %w", r.manifest.ID, r.manifest.Database, err)
		case errors.Is(err, vfs.ErrLink), err == nil && !info.Mode.IsRegular():
			return failure.Errorf(failure.BackupBad, "%s of backup %s of %s is not a regular file", name, r.manifest.ID, r.manifest.Database)
		case err != nil:
			return fmt.Errorf("look at %s: %w", name, err)
		case info.Size != f.Bytes:
			return failure.Errorf(failure.BackupBad, "%s has %d bytes, its manifest says %d", name, info.Size, f.Bytes)
		}
	}
	return nil
}

func (r *run) copyFile(ctx context.Context, f repo.File, staged string, progress func(int64)) error {
	source := filepath.Join(r.source, f.Name)
	sum := sha256.New()
	n, err := copyTo(ctx, r.fs, r.fs, source, filepath.Join(r.stage, staged), r.perm, sum, progress)
	var missing *sourceError
	switch {
	case errors.As(err, &missing) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, errIrregular) || errors.Is(err, vfs.ErrLink) || errors.Is(err, vfs.ErrSpecial)):
		return failure.Errorf(failure.BackupBad, "backup %s of %s lacks a file: %w", r.manifest.ID, r.manifest.Database, err)
	case err != nil:
		return err
	case n != f.Bytes:
		return failure.Errorf(failure.BackupBad, "%s has %d bytes, its manifest says %d", source, n, f.Bytes)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return failure.Errorf(failure.BackupBad, "%s has SHA-256 %s, its manifest says %s", source, got, f.SHA256)
	}
	return nil
}

var errIrregular = errors.New("it is not a regular file")

// A sourceError is a failure to read what is copied.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "read the source: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// copyTo copies the file source to the new file dest and syncs it. Stretches of
// zeros become holes. sum and progress may be nil. The source must be a regular
// file: of a pipe or a device the end might never come.
func copyTo(ctx context.Context, from, to vfs.FS, source, dest string, perm fs.FileMode, sum hash.Hash, progress func(int64)) (n int64, err error) {
	in, err := from.Open(source)
	if err != nil {
		return 0, &sourceError{err}
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode.IsRegular() {
		return 0, &sourceError{cmp.Or(err, fmt.Errorf("%s: %w", source, errIrregular))}
	}
	out, err := to.OpenFile(dest, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return 0, targetError(err, "make %s", dest)
	}
	defer func() {
		if closeErr := out.Close(); closeErr != nil && err == nil {
			err = targetError(closeErr, "close %s", dest)
		}
	}()
	buf := make([]byte, copyBytes)
	for {
		if err := ctx.Err(); err != nil {
			return n, failure.Errorf(failure.Interrupted, "copy %s: %w", source, err)
		}
		k, readErr := io.ReadFull(in, buf)
		chunk := buf[:k]
		if sum != nil {
			sum.Write(chunk)
		}
		if !allZero(chunk) {
			if _, err := out.WriteAt(chunk, n); err != nil {
				return n, targetError(err, "write %s", dest)
			}
		}
		n += int64(k)
		if progress != nil {
			progress(int64(k))
		}
		if readErr == io.EOF || readErr == io.ErrUnexpectedEOF {
			break
		}
		if readErr != nil {
			return n, &sourceError{readErr}
		}
	}
	if err := out.Truncate(n); err != nil {
		return n, targetError(err, "write %s", dest)
	}
	if err := out.Sync(); err != nil {
		return n, targetError(err, "sync %s", dest)
	}
	return n, nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
