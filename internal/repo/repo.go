package repo

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Repo is an open repository. It holds no resources.
type Repo struct {
	fs  vfs.FS
	dir string
}

// Open checks that dir is a directory, or a link to one, which is resolved now:
// RepoMissing if not. What is below it is used as vfs.FS.Confine says.
func Open(fsys vfs.FS, dir string) (*Repo, error) {
	dir = filepath.Clean(dir)
	info, err := fsys.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, failure.Errorf(failure.RepoMissing, "repository %s does not exist: %w", dir, err)
	case err != nil:
		return nil, writeError(err, "open the repository %s", dir)
	case !info.Mode.IsDir():
		return nil, failure.Errorf(failure.RepoMissing, "repository %s is not a directory", dir)
	}
	confined, err := fsys.Confine(dir)
	if err != nil {
		return nil, writeError(err, "open the repository %s", dir)
	}
	return &Repo{fs: confined, dir: dir}, nil
}

// Exposed says what others than the owner of the repository's directory may do
// there, for a warning; empty: nothing. The backups hold all that the databases
// do, and who may write can take them away.
func (r *Repo) Exposed() (string, error) {
	info, err := r.fs.Stat(r.dir)
	if err != nil {
		return "", writeError(err, "look at the repository %s", r.dir)
	}
	switch perm := info.Mode.Perm(); {
	case perm&0o022 != 0 && info.Mode&fs.ModeSticky == 0:
		return fmt.Sprintf("others than its owner may change and remove what is in %s (mode %04o)", r.dir, perm), nil
	case perm&0o077 != 0:
		return fmt.Sprintf("others than its owner may look into %s (mode %04o)", r.dir, perm), nil
	}
	return "", nil
}

// FS is the file system that Open was given, with the repository confined: for
// those who read the files of a backup, or write those of a Staging.
func (r *Repo) FS() vfs.FS { return r.fs }

// Dir is the repository's directory.
func (r *Repo) Dir() string { return r.dir }

// BackupDir is the directory of a backup, existing or not. Names that are not
// valid give an empty string, never a path outside the repository.
func (r *Repo) BackupDir(database, id string) string {
	if !ValidName(database) || !ValidID(id) {
		return ""
	}
	return filepath.Join(r.dir, database, id)
}

// CheckWritable writes, syncs and removes a probe file: RepoNotWritable or
// RepoFull if that fails.
func (r *Repo) CheckWritable() error {
	name := filepath.Join(r.dir, probePrefix+randomHex())
	f, err := r.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return writeError(err, "write to the repository %s", r.dir)
	}
	_, err = f.Write(make([]byte, 4096))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close(), r.fs.Remove(name))
	if err != nil {
		return writeError(err, "write to the repository %s", r.dir)
	}
	return nil
}

// Databases lists the names that have a directory, sorted. Symbolic links in
// their place are reported in the error, with the rest still returned.
func (r *Repo) Databases() ([]string, error) {
	entries, err := r.fs.ReadDir(r.dir)
	if err != nil {
		return nil, writeError(err, "list the repository %s", r.dir)
	}
	var names []string
	var faults []error
	for _, e := range entries {
		switch {
		case !ValidName(e.Name()):
		case e.Type()&fs.ModeSymlink != 0:
			faults = append(faults, errSymlink(filepath.Join(r.dir, e.Name())))
		case e.IsDir():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, errors.Join(faults...)
}

// databaseDir checks the name and what stands at its place; found is false
// where nothing does.
func (r *Repo) databaseDir(database string) (dir string, found bool, err error) {
	if !ValidName(database) {
		return "", false, failure.Errorf(failure.UnknownDatabase, "%q is not the name of a database", database)
	}
	dir = filepath.Join(r.dir, database)
	found, err = realDir(r.fs, dir)
	return dir, found, err
}

// ensureDatabaseDir is databaseDir for writers, who make it where it is missing.
func (r *Repo) ensureDatabaseDir(database string) (string, error) {
	if !ValidName(database) {
		return "", failure.Errorf(failure.UnknownDatabase, "%q is not the name of a database", database)
	}
	dir := filepath.Join(r.dir, database)
	return dir, ensureDir(r.fs, dir)
}

// realDir reports whether a directory, and not a link to one, is at path.
func realDir(fsys vfs.FS, path string) (bool, error) {
	info, err := fsys.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, writeError(err, "look at %s", path)
	case info.Mode&fs.ModeSymlink != 0:
		return false, errSymlink(path)
	case !info.Mode.IsDir():
		return false, failure.Errorf(failure.RepoCorrupt, "%s is not a directory", path)
	}
	return true, nil
}

// ensureDir makes the directory path, durably. It syncs the parent even where
// path exists, because whoever made it may have died before doing so.
func ensureDir(fsys vfs.FS, path string) error {
	err := fsys.Mkdir(path, dirPerm)
	if errors.Is(err, fs.ErrExist) {
		_, err = realDir(fsys, path)
	} else if err != nil {
		err = writeError(err, "make the directory %s", path)
	}
	if err != nil {
		return err
	}
	return syncDir(fsys, filepath.Dir(path))
}

func syncDir(fsys vfs.FS, path string) error {
	if err := fsys.SyncDir(path); err != nil {
		return writeError(err, "sync the directory %s", path)
	}
	return nil
}

func errSymlink(path string) error {
	return failure.Errorf(failure.RepoCorrupt, "%s is a symbolic link, which a repository never holds", path)
}

// writeError gives an error of the file system its kind.
func writeError(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Errorf(failure.RepoFull, "%s: %w", what, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failure.Errorf(failure.RepoNotWritable, "%s: %w", what, err)
	case foreign(err):
		return failure.Errorf(failure.RepoCorrupt, "%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// foreign reports whether err says that something stands at a name that no
// repository has there.
func foreign(err error) bool {
	return errors.Is(err, vfs.ErrLink) || errors.Is(err, vfs.ErrSpecial) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist)
}

func randomHex() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
