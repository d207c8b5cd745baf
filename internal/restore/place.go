package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// checkTarget looks at what stands at the target. Without KeepOld nothing may,
// but for the WAL of this very backup alone, which an interrupted restore
// leaves.
func (r *run) checkTarget() error {
	info, err := r.fs.Lstat(r.target)
	if err == nil {
		return r.checkOld(info)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return targetError(err, "look at %s", r.target)
	}
	if r.req.KeepOld {
		return nil
	}
	for _, suffix := range walSuffixes {
		name := r.target + suffix
		_, err := r.fs.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return targetError(err, "look at %s", name)
		}
		ours, err := r.isOurWAL(name, suffix)
		if err != nil {
			return err
		}
		if !ours {
			return failure.Errorf(failure.TargetExists, "%s exists, and a database restored beside it would take it for its own", name)
		}
	}
	return nil
}

// checkOld looks at the database at the target.
func (r *run) checkOld(info vfs.Info) error {
	if info.Mode.IsDir() {
		return failure.Errorf(failure.TargetBad, "%s is a directory", r.target)
	}
	if !r.req.KeepOld {
		return failure.Errorf(failure.TargetExists, "%s exists", r.target)
	}
	if info, err := r.req.FS.Stat(r.target); err == nil && !info.Mode.IsRegular() {
		return failure.Errorf(failure.TargetBad, "%s is not a regular file", r.target)
	} else if err == nil {
		r.perm = info.Mode.Perm()
	}
	f, err := r.req.FS.Open(r.target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a link to nothing
	}
	if err != nil {
		return targetError(err, "open %s to see who uses it", r.target)
	}
	return errors.Join(r.checkUnused(f), f.Close())
}

func (r *run) checkUnused(f vfs.File) error {
	pid, held, err := f.LockOwner()
	switch {
	case err != nil:
		return fmt.Errorf("ask who uses %s: %w", r.target, err)
	case held && pid == 0:
		return failure.Errorf(failure.TargetInUse, "a process outside this PID namespace has %s open", r.target)
	case held:
		return failure.Errorf(failure.TargetInUse, "process %d has %s open", pid, r.target)
	}
	return nil
}

// isOurWAL reports whether the file is the WAL of the backup being restored.
func (r *run) isOurWAL(name, suffix string) (bool, error) {
	if r.wal == nil || suffix != ".wal" {
		return false, nil
	}
	return r.holds(context.Background(), name, *r.wal)
}

// holds reports whether the file at name has the content of f.
func (r *run) holds(ctx context.Context, name string, f repo.File) (bool, error) {
	info, err := r.fs.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, targetError(err, "look at %s", name)
	}
	if !info.Mode.IsRegular() || info.Size != f.Bytes {
		return false, nil
	}
	file, err := r.fs.Open(name)
	if err != nil {
		return false, targetError(err, "open %s", name)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, contextReader{ctx, file}); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)) == f.SHA256, nil
}

// inPlace reports whether the target is the backup, whole, with its own WAL or
// none, and nobody has it open.
func (r *run) inPlace(ctx context.Context) (bool, error) {
	for _, suffix := range walSuffixes {
		there, err := r.exists(r.target + suffix)
		if err != nil {
			return false, err
		}
		if there != (r.wal != nil && suffix == ".wal") {
			return false, nil
		}
	}
	if r.wal != nil {
		if same, err := r.holds(ctx, r.target+".wal", *r.wal); err != nil || !same {
			return false, err
		}
	}
	if same, err := r.holds(ctx, r.target, r.db); err != nil || !same {
		return false, err
	}
	f, err := r.fs.Open(r.target)
	if err != nil {
		return false, targetError(err, "open %s to see who uses it", r.target)
	}
	_, held, err := f.LockOwner()
	return err == nil && !held, errors.Join(err, f.Close())
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, failure.Errorf(failure.Interrupted, "%w", context.Cause(c.ctx))
	}
	return c.r.Read(p)
}

// moveAside renames what is at the target, as the package comment says.
func (r *run) moveAside() error {
	aside, err := r.asideName()
	if err != nil {
		return err
	}
	var suffixes []string
	for _, suffix := range walSuffixes {
		if there, err := r.exists(r.target + suffix); err != nil {
			return err
		} else if there {
			suffixes = append(suffixes, suffix)
		}
	}
	there, err := r.exists(r.target)
	if err != nil {
		return err
	}
	if there {
		if err := r.moveDatabase(aside, suffixes); err != nil {
			return err
		}
	}
	for _, suffix := range suffixes {
		if err := r.fs.Rename(r.target+suffix, aside+suffix); err != nil {
			return targetError(err, "move %s aside", r.target+suffix)
		}
		r.result.MovedAside = append(r.result.MovedAside, aside+suffix)
	}
	return r.syncTargetDir()
}

// moveDatabase moves the old database to its new name, where copies of its WAL
// files wait for it. If somebody opened it just now it is moved back.
func (r *run) moveDatabase(aside string, suffixes []string) (err error) {
	for i, suffix := range suffixes {
		// Opening a pipe would wait for its other end.
		if info, err := r.req.FS.Stat(r.target + suffix); err == nil && !info.Mode.IsRegular() {
			err := failure.Errorf(failure.TargetBad, "%s is not a regular file", r.target+suffix)
			return errors.Join(err, r.removeCopies(aside, suffixes[:i]))
		}
		_, err := copyTo(context.Background(), r.req.FS, r.fs, r.target+suffix, aside+suffix, r.perm, nil, nil)
		if err != nil {
			return errors.Join(err, r.removeCopies(aside, suffixes[:i+1]))
		}
	}
	if err := r.syncTargetDir(); err != nil {
		return errors.Join(err, r.removeCopies(aside, suffixes))
	}
	old, err := r.req.FS.Open(r.target)
	if err == nil {
		defer old.Close()
		err = r.checkUnused(old)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil // a link to nothing
	}
	if err == nil {
		err = r.fs.Rename(r.target, aside)
	}
	if err != nil {
		return errors.Join(targetError(err, "move %s aside", r.target), r.removeCopies(aside, suffixes))
	}
	if old != nil {
		if err := r.checkUnused(old); err != nil {
			if backErr := r.fs.Rename(aside, r.target); backErr != nil {
				r.result.MovedAside = append(r.result.MovedAside, aside)
				return errors.Join(err, targetError(backErr, "move %s back", aside))
			}
			return errors.Join(err, r.removeCopies(aside, suffixes), r.syncTargetDir())
		}
	}
	r.result.MovedAside = append(r.result.MovedAside, aside)
	return r.syncTargetDir()
}

// removeCopies removes copies of WAL files whose originals are in place.
func (r *run) removeCopies(aside string, suffixes []string) error {
	var errs []error
	for _, suffix := range suffixes {
		if err := r.fs.Remove(aside + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, targetError(err, "remove %s", aside+suffix))
		}
	}
	return errors.Join(errs...)
}

// asideName is <target>.before-<UTC time>, with a number where that or one of
// its WAL files exists.
func (r *run) asideName() (string, error) {
	base := r.target + ".before-" + r.req.Now.UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		taken := false
		for _, suffix := range append([]string{""}, walSuffixes...) {
			there, err := r.exists(name + suffix)
			if err != nil {
				return "", err
			}
			taken = taken || there
		}
		if !taken {
			return name, nil
		}
	}
}

func (r *run) exists(name string) (bool, error) {
	_, err := r.fs.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, targetError(err, "look at %s", name)
	}
	return true, nil
}

// place renames the staged files to the target, the WAL first.
func (r *run) place() error {
	if r.wal != nil {
		if err := r.fs.Rename(filepath.Join(r.stage, stagedWAL), r.target+".wal"); err != nil {
			return targetError(err, "put %s in place", r.target+".wal")
		}
		if err := r.syncTargetDir(); err != nil {
			return errors.Join(err, r.takeBackWAL())
		}
	}
	there, err := r.exists(r.target)
	if err == nil && there {
		// Whoever made it has dealt with the WAL as its own.
		return failure.Errorf(failure.TargetExists, "%s was made by somebody else in the meantime", r.target)
	}
	if err == nil {
		err = r.fs.Rename(filepath.Join(r.stage, stagedDB), r.target)
	}
	if err != nil {
		return errors.Join(targetError(err, "put %s in place", r.target), r.takeBackWAL())
	}
	r.placed = true
	if err := r.syncTargetDir(); err != nil {
		return fmt.Errorf("%s is in place, but would perhaps not survive a power failure: %w", r.target, err)
	}
	return nil
}

// takeBackWAL removes the new WAL when its database cannot follow.
func (r *run) takeBackWAL() error {
	if r.wal == nil {
		return nil
	}
	if err := r.fs.Remove(r.target + ".wal"); err != nil {
		return targetError(err, "remove %s", r.target+".wal")
	}
	return nil
}

func (r *run) syncTargetDir() error {
	if err := r.fs.SyncDir(r.dir); err != nil {
		return targetError(err, "sync the directory %s", r.dir)
	}
	return nil
}
