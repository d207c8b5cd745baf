package hotcopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Suffixes of the files beside a database.
const (
	walSuffix        = duckfile.WALSuffix
	checkpointSuffix = duckfile.CheckpointSuffix
)

// source is the live database. The file stays open from the first look to the
// last, so that its inode cannot be given to another file.
type source struct {
	fs    vfs.FS
	path  string
	names names
	db    vfs.File
	info  vfs.Info
}

func openSource(o *Options) (*source, error) {
	fsys, path := o.FS, o.Path
	info, err := fsys.Stat(path)
	if err != nil {
		return nil, sourceError(path, err)
	}
	if !info.Mode.IsRegular() {
		return nil, noFile(path, info)
	}
	db, err := fsys.Open(path)
	if err != nil {
		return nil, sourceError(path, err)
	}
	if info, err = db.Stat(); err != nil {
		return nil, errors.Join(sourceError(path, err), db.Close())
	}
	if !info.Mode.IsRegular() { // it was replaced just now
		return nil, errors.Join(noFile(path, info), db.Close())
	}
	return &source{fs: fsys, path: path, names: namesOf(path), db: db, info: info}, nil
}

func noFile(path string, info vfs.Info) error {
	return failure.Errorf(failure.NotAFile, "%s is no regular file (%s)", path, info.Mode.Type())
}

// local refuses a file system whose page cache another machine's writer does
// not share (A6).
func (s *source) local(o *Options) error {
	kind, err := s.fs.Kind(s.path)
	if err != nil {
		return sourceError(s.path, err)
	}
	if kind.Network && !o.AllowNetwork {
		return failure.Errorf(failure.Network, "%s lies on a file system of kind %s: a process on another machine may write it, and its writes are not seen here in their order", s.path, kind.Name)
	}
	return nil
}

func (s *source) close() error { return s.db.Close() }

// sourceError types an error of opening or reading the live database.
func sourceError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return failure.Errorf(failure.NoSuchFile, "no database at %s: %w", path, err)
	case errors.Is(err, fs.ErrPermission):
		return failure.Errorf(failure.NoPermission, "the database %s cannot be read: %w", path, err)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENXIO):
		return failure.Errorf(failure.NotAFile, "no database at %s: %w", path, err)
	}
	return fmt.Errorf("read the database %s: %w", path, err)
}

// formatError types what duckfile says of a file of the live database.
func formatError(path string, err error) error {
	for _, k := range []struct {
		is   error
		kind *failure.Kind
	}{
		{duckfile.ErrNotDuckDB, failure.NotDuckDB},
		{duckfile.ErrUnsupported, failure.NewerStorage},
		{duckfile.ErrEncrypted, failure.Encrypted},
		{duckfile.ErrWrongKey, failure.WrongKey},
		{duckfile.ErrTruncated, failure.Truncated},
		{duckfile.ErrCorrupt, failure.Corrupt},
	} {
		if errors.Is(err, k.is) {
			return failure.Errorf(k.kind, "%s: %w", path, err)
		}
	}
	return sourceError(path, err)
}

const (
	headerTries = 60
	readBackoff = 2 * time.Millisecond
)

// headers reads the three headers until their checksums hold (A6). Another
// fault than a checksum or a short file is final at once.
func (s *source) headers(ctx context.Context, o *Options) (*duckfile.Headers, error) {
	for try := 1; ; try++ {
		h, err := duckfile.ReadHeaders(s.db, o.Key)
		if errors.Is(err, duckfile.ErrEncrypted) {
			h, err = duckfile.ReadOpaque(s.db)
		}
		if err == nil {
			return h, nil
		}
		passing := errors.Is(err, duckfile.ErrCorrupt) || errors.Is(err, duckfile.ErrTruncated)
		if !passing || try == headerTries {
			return nil, formatError(s.path, err)
		}
		if err := o.sleep(ctx, min(time.Duration(try)*readBackoff, 50*time.Millisecond)); err != nil {
			return nil, err
		}
	}
}

// replaced says whether the path names another file than the open one.
func (s *source) replaced() error {
	now, err := s.fs.Stat(s.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return failure.Errorf(failure.Replaced, "the database %s was deleted during the copy", s.path)
		}
		return sourceError(s.path, err)
	}
	if now.Dev != s.info.Dev || now.Ino != s.info.Ino {
		return failure.Errorf(failure.Replaced, "the database %s was replaced by another file during the copy", s.path)
	}
	return nil
}

// log is a WAL file as it was read; file is nil where there is none.
type log struct {
	base string // the name of the database that it lies beside
	path string
	file vfs.File
	info vfs.Info
	wal  *duckfile.WAL
}

func (l *log) commits() int64 {
	if l.wal == nil {
		return 0
	}
	return l.wal.Commits
}

func (l *log) marker() (duckfile.Marker, bool) {
	if l.wal == nil {
		return duckfile.Marker{}, false
	}
	return l.wal.MarkerAtTail()
}

func (l *log) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// logs opens the WAL and, beside it, the one of a running checkpoint.
func (s *source) logs(ctx context.Context, h *duckfile.Headers) (main, side *log, err error) {
	if main, err = s.openLog(ctx, walSuffix, h); err != nil {
		return nil, nil, err
	}
	if side, err = s.openLog(ctx, checkpointSuffix, h); err != nil {
		return nil, nil, errors.Join(err, main.close())
	}
	return main, side, nil
}

// openLog opens and scans the WAL with the given suffix. Two different files
// beside two names of one database cannot be told apart and are refused.
func (s *source) openLog(ctx context.Context, suffix string, h *duckfile.Headers) (*log, error) {
	found := &log{}
	for _, base := range s.names.all() {
		f, err := s.fs.Open(base + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(sourceError(base+suffix, err), found.close())
		}
		info, err := f.Stat()
		if err == nil && !info.Mode.IsRegular() {
			err = noFile(base+suffix, info)
		}
		if err == nil && found.file != nil && (info.Dev != found.info.Dev || info.Ino != found.info.Ino) {
			err = failure.Errorf(failure.Corrupt, "two different WALs belong to one database: %s and %s", found.path, base+suffix)
		}
		if err != nil || found.file != nil {
			if err = errors.Join(err, f.Close()); err != nil {
				return nil, errors.Join(err, found.close())
			}
			continue
		}
		found.base, found.path, found.file, found.info = base, base+suffix, f, info
	}
	if found.file == nil {
		return found, nil
	}
	w, err := duckfile.ScanWAL(&pacedReaderAt{ctx, freely, found.file}, found.info.Size, h)
	if err != nil {
		return nil, errors.Join(formatError(found.path, err), found.close())
	}
	found.wal = w
	return found, nil
}

// phase is where a checkpoint stands as a reader sees it.
type phase int

const (
	quiet   phase = iota // no checkpoint is to be seen
	running              // marker at the WAL's end, the header is still the old one
	written              // the header is the announced one, the WAL is about to go
)

func (p phase) String() string { return [...]string{"none", "running", "header written"}[p] }

// view is one consistent look: the headers were the same before and after the
// WAL files were read.
type view struct {
	began time.Time
	info  vfs.Info // of the database, before anything was read
	head  *duckfile.Headers
	main  *log // X.wal
	side  *log // X.wal.checkpoint
}

func (v *view) close() error { return errors.Join(v.main.close(), v.side.close()) }

func (v *view) phase() phase {
	switch duckfile.Classify(v.head, v.main.wal, v.side.wal) {
	case duckfile.Written:
		return written
	case duckfile.Running:
		return running
	}
	return quiet
}

// paired checks that the WAL says it belongs to this header, where it says so.
func (v *view) paired(s *source, o *Options) error {
	if err := s.belongs(v.main, o); err != nil {
		return err
	}
	if err := s.named(v); err != nil {
		return err
	}
	n := v.head.Current().Iteration
	want := map[phase][2]uint64{quiet: {n, n + 1}, running: {n, n + 1}, written: {n - 1, n}}[v.phase()]
	for i, l := range []*log{v.main, v.side} {
		if l.wal == nil || l.wal.Header.Size == 0 {
			continue
		}
		h := l.wal.Header
		if h.HasIdentifier && h.Identifier != v.head.Main.Identifier && !v.head.IdentifierFault(l.wal) {
			return failure.Errorf(failure.Corrupt, "%s carries another database's identifier than the database itself", l.path)
		}
		if h.HasIteration && h.Iteration != want[i] && !v.head.Opaque {
			return failure.Errorf(failure.Corrupt, "%s belongs to iteration %d, the database is at %d", l.path, h.Iteration, n)
		}
	}
	return nil
}

// look takes a view. It retries while the headers move under it.
func (s *source) look(ctx context.Context, o *Options) (*view, error) {
	var unpaired error
	for range 100 {
		v := &view{began: o.clock.Now()}
		if err := s.askOwner(o); err != nil {
			return nil, err
		}
		var err error
		if v.info, err = s.db.Stat(); err != nil {
			return nil, sourceError(s.path, err)
		}
		if v.head, err = s.headers(ctx, o); err != nil {
			return nil, err
		}
		if v.main, v.side, err = s.logs(ctx, v.head); err != nil {
			return nil, err
		}
		after, err := s.headers(ctx, o)
		if err == nil && (bytes.Equal(after.Raw[:], v.head.Raw[:]) || o.skips(withoutPairing)) {
			if unpaired = v.paired(s, o); unpaired == nil {
				return v, nil
			}
		}
		if err := errors.Join(err, v.close()); err != nil {
			return nil, err
		}
		if err := o.sleep(ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if unpaired != nil {
		return nil, unpaired
	}
	return nil, moving(movedHeader, "%s: the header never held still while its WAL was read", s.path)
}
