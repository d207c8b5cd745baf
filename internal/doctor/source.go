package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"canvasback/internal/config"
	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/human"
	"canvasback/internal/vfs"
)

// subject is one database and what was read of it, once.
type subject struct {
	*Checkup
	db     *config.Database
	key    *duckfile.Key
	keyErr error
	seen   *hotcopy.Inspection // nil: it could not be read
	seeErr error
}

func (c *Checkup) subject(db *config.Database) *subject {
	s := &subject{Checkup: c, db: db}
	var secret string
	if secret, s.keyErr = config.ReadKeyFile(db.KeyFile); secret != "" {
		s.key = duckfile.NewKey(secret)
	}
	s.seen, s.seeErr = hotcopy.Inspect(c.FS, db.Path, s.key)
	return s
}

func (s *subject) checks(ctx context.Context) []Finding {
	findings := []Finding{s.file(), s.wal(), s.fileSystem(), s.keyFile(), s.format(), s.owner(), s.ownerVersion(ctx), s.engineReads(ctx), s.space(), s.apart()}
	findings = append(findings, s.engineStarts(ctx), s.checkpointHook(ctx), s.holdHook(ctx), s.drillDirectory())
	findings = append(findings, s.restoreTargets()...)
	for i := range findings {
		findings[i].Database = s.db.Name
	}
	return findings
}

// file checks that the database is there and may be read.
func (s *subject) file() Finding {
	const check = "database.file"
	path := s.db.Path
	info, err := s.FS.Stat(path)
	if err != nil {
		return s.unseen(check, err)
	}
	if !info.Mode.IsRegular() {
		return finding(check, Fail, failure.NotAFile.Hint, "%s is no regular file (%s)", path, info.Mode.Type())
	}
	if err := readable(s.FS, path); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return finding(check, Fail, allowReading(path), "%s may not read %s (mode %04o)", userName(), path, info.Mode.Perm())
		}
		return finding(check, Fail, failure.Corrupt.Hint, "%s cannot be read: %v", path, err)
	}
	return finding(check, OK, "", "%s, %s, readable", path, human.Bytes(info.Size))
}

// unseen says why a path leads nowhere.
func (s *subject) unseen(check string, err error) Finding {
	path := s.db.Path
	if errors.Is(err, fs.ErrPermission) {
		dir := barred(s.FS, path)
		return finding(check, Fail, fmt.Sprintf("setfacl -m u:%s:x %s", userName(), dir), "%s may not search the directory %s, on the way to %s", userName(), dir, path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return finding(check, Fail, failure.NoSuchFile.Hint, "%s: %v", path, err)
	}
	if _, err := s.FS.Lstat(path); err == nil {
		return finding(check, Fail, "name the file itself (path)", "%s is a symbolic link to a file that is not there", path)
	}
	dir := nearest(s.FS, filepath.Dir(path))
	return finding(check, Fail, failure.NoSuchFile.Hint, "there is no file %s; the last part of it that exists is %s", path, dir)
}

// barred is the first directory on the way to path that may not be searched.
func barred(fsys vfs.FS, path string) string {
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	if _, err := fsys.Stat(parent); errors.Is(err, fs.ErrPermission) {
		return barred(fsys, parent)
	}
	return parent
}

// nearest is the longest part of the directory that exists.
func nearest(fsys vfs.FS, dir string) string {
	for dir != filepath.Dir(dir) {
		if _, err := fsys.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// readable reads a byte, which some mounts refuse only then.
func readable(fsys vfs.FS, path string) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], 0)
	if info, serr := f.Stat(); serr == nil && info.Size == 0 {
		err = nil
	}
	return errors.Join(err, f.Close())
}

func allowReading(path string) string {
	return fmt.Sprintf("setfacl -m u:%s:r %s", userName(), path)
}

// handDown has files that are yet to be made in the directory be readable by this
// user, and by its group and by others as the database is: what a directory hands
// down takes the place of the umask that the service has.
func (s *subject) handDown(dir string) string {
	group, others := "-", "-"
	if info, err := s.FS.Stat(s.db.Path); err == nil {
		if info.Mode&0o040 != 0 {
			group = "r"
		}
		if info.Mode&0o004 != 0 {
			others = "r"
		}
	}
	return fmt.Sprintf("setfacl -d -m u:%s:r,g::%s,o::%s %s", userName(), group, others, dir)
}

// wal checks that the WALs, where there are any, may be read. DuckDB makes them
// anew all the time, so that it is the directory that must hand the right down.
func (s *subject) wal() Finding {
	const check = "database.wal"
	if _, err := s.FS.Stat(s.db.Path); err != nil {
		return finding(check, Skipped, "", "the database cannot be seen")
	}
	names := []string{s.db.Path}
	if real, err := filepath.EvalSymlinks(s.db.Path); err == nil && real != s.db.Path {
		names = append(names, real)
	}
	there := 0
	for _, name := range names {
		for _, suffix := range []string{duckfile.WALSuffix, duckfile.CheckpointSuffix, duckfile.RecoverySuffix} {
			err := readable(s.FS, name+suffix)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case errors.Is(err, fs.ErrPermission):
				return finding(check, Fail, fmt.Sprintf("%s; %s", allowReading(name+suffix), s.handDown(filepath.Dir(name))),
					"%s may not read %s, without which a backup lacks the last commits", userName(), name+suffix)
			case err != nil:
				return finding(check, Fail, failure.NoPermission.Hint, "%s cannot be read: %v", name+suffix, err)
			default:
				there++
			}
		}
	}
	if there == 0 {
		return finding(check, OK, "", "there is no WAL at this moment")
	}
	return finding(check, OK, "", "the WAL can be read")
}

// fileSystem refuses what hotcopy refuses: a page cache that the writer does
// not share.
func (s *subject) fileSystem() Finding {
	const check = "database.file-system"
	kind, err := s.FS.Kind(s.db.Path)
	switch {
	case err != nil:
		return finding(check, Skipped, "", "the kind of the file system cannot be seen: %v", err)
	case kind.Network && s.db.Copy.Network:
		return finding(check, Warn, failure.Network.Hint, "%s is a network file system, taken at your risk by copy.allow_network", kind.Name)
	case kind.Network:
		return finding(check, Fail, failure.Network.Hint, "%s is a network file system, on which another machine's writes are not seen in their order", kind.Name)
	}
	return finding(check, OK, "", "%s, a local file system", kind.Name)
}

// keyFile checks the mode and the form of the key file; format, whether it is
// the right key.
func (s *subject) keyFile() Finding {
	const check = "database.key"
	switch {
	case s.db.KeyFile == "":
		return finding(check, OK, "", "no key_file is set")
	case s.keyErr != nil:
		return finding(check, Fail, fmt.Sprintf("chown %s %s && chmod 0600 %s", userName(), s.db.KeyFile, s.db.KeyFile), "%v", s.keyErr)
	}
	return finding(check, OK, "", "%s holds a key, and only its owner may read it", s.db.KeyFile)
}

// format checks that the file is a database of a version that is known, and can
// be looked into.
func (s *subject) format() Finding {
	const check = "database.format"
	if s.seeErr != nil {
		kind := failure.Of(s.seeErr)
		if kind == failure.NoSuchFile || kind == failure.NoPermission || kind == failure.NotAFile {
			return finding(check, Skipped, "", "the database cannot be read")
		}
		return finding(check, Fail, kind.Hint, "%v", s.seeErr)
	}
	in := s.seen
	text := fmt.Sprintf("storage version %d, made by DuckDB %s", in.StorageVersion, in.MainHeader.Library)
	switch {
	case in.Opaque:
		return finding(check, Warn, "key_file: FILE (mode 0600, with the key that the service opens it with)",
			"%s, encrypted, and no key is given: its backups end as structure and do not count", text)
	case in.MainHeader.Encryption != nil:
		text += ", encrypted, and the key opens it"
	case s.db.KeyFile != "":
		return finding(check, Warn, "leave key_file out", "%s, not encrypted, though key_file is set", text)
	}
	return finding(check, OK, "", "%s; %s", text, in.State)
}
