package hotcopy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// progressFile records how far a pass got, for a later process.
const progressFile = "progress.json"

// progressVersion changes when a record of before must not be resumed.
const progressVersion = 2

// progress is the content of progress.json: a record and the sum of its bytes,
// since a record that is not what was written may pass blocks of an earlier pass
// off as copied.
type progress struct {
	SHA256 string          `json:"sha256"`
	Record json.RawMessage `json:"record"`
}

// record says how far a pass is. It is written after the blocks below Next were
// synced.
type record struct {
	Version   int       `json:"version"`
	Device    uint64    `json:"device"`
	Inode     uint64    `json:"inode"`
	Headers   string    `json:"headers_sha256"` // of the 12288 bytes
	Main      mark      `json:"wal"`
	RowGroups bool      `json:"row_groups"`
	Commits   int64     `json:"commits"`
	WALBytes  int64     `json:"wal_bytes"`
	Limit     int64     `json:"limit"`
	Next      int64     `json:"next"`
	Began     time.Time `json:"began"`
	Attempt   int       `json:"attempt"`
	BytesRead int64     `json:"bytes_read"`
}

// mark identifies the part of a WAL that was copied.
type mark struct {
	Present bool   `json:"present"`
	Device  uint64 `json:"device"`
	Inode   uint64 `json:"inode"`
	End     int64  `json:"end"`
	SHA256  string `json:"sha256"` // of bytes [0, End)
}

// stage is the copy in the making.
type stage struct {
	fs   vfs.FS
	dir  string
	name string
	db   vfs.File
	// dirty: blocks of an earlier pass may stand in the file.
	dirty bool
}

func openStage(o *Options) (*stage, error) {
	s := &stage{fs: o.FS, dir: o.Dir, name: o.Name + ".duckdb"}
	db, err := s.fs.OpenFile(filepath.Join(s.dir, s.name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, stageError(s.dir, err)
	}
	s.db = db
	if err := s.look(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// look finds out whether the staged file holds anything.
func (s *stage) look() error {
	info, err := s.db.Stat()
	s.dirty = info.Size > 0
	return stageError(s.dir, err)
}

func (s *stage) close() error { return stageError(s.dir, s.db.Close()) }

func (s *stage) walName() string { return s.name + walSuffix }

// stageError types an error of writing the copy.
func stageError(dir string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failure.Errorf(failure.RepoFull, "no space left for the copy in %s: %w", dir, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failure.Errorf(failure.RepoNotWritable, "the copy cannot be written in %s: %w", dir, err)
	}
	if errors.Is(err, vfs.ErrLink) || errors.Is(err, vfs.ErrSpecial) || errors.Is(err, syscall.EISDIR) {
		return failure.Errorf(failure.RepoCorrupt, "write the copy in %s: %w", dir, err)
	}
	return fmt.Errorf("write the copy in %s: %w", dir, err)
}

// room refuses to begin what cannot fit.
func (s *stage) room(need int64) error {
	if s.dirty {
		return nil // how much of it is there already is not known
	}
	free, err := s.fs.FreeBytes(s.dir)
	if err != nil {
		return stageError(s.dir, err)
	}
	if free < need {
		return failure.Errorf(failure.RepoFull, "the copy needs %d bytes, %s has %d free", need, s.dir, free)
	}
	return nil
}

// read fills b from the copy at off; what lies beyond its end is zero.
func (s *stage) read(b []byte, off int64) error {
	n, err := s.db.ReadAt(b, off)
	if err == io.EOF {
		clear(b[n:])
		err = nil
	}
	return stageError(s.dir, err)
}

// save makes the blocks below next durable and says so.
func (s *stage) save(r record) error {
	if err := s.sync(); err != nil {
		return err
	}
	data, err := encodeRecord(r)
	if err != nil {
		return err
	}
	return stageError(s.dir, vfs.WriteAtomic(s.fs, filepath.Join(s.dir, progressFile), data, 0o600))
}

// sync makes the staged database durable. Where that fails it empties it, for
// nobody may compare with it, or resume it, again: a file system tells once
// that it could not write something back, and goes on to show what it has lost
// until it is mounted anew.
func (s *stage) sync() error {
	err := s.db.Sync()
	if err == nil {
		return nil
	}
	return errors.Join(stageError(s.dir, err), s.forget(), stageError(s.dir, s.db.Truncate(0)))
}

// load returns the record of an earlier process; false: there is none that can
// be used.
func (s *stage) load() (record, bool) {
	var r record
	f, err := s.fs.Open(filepath.Join(s.dir, progressFile))
	if err != nil {
		return r, false
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if errors.Join(err, f.Close()) != nil || !s.dirty {
		return r, false
	}
	return decodeRecord(data)
}

func encodeRecord(r record) ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(progress{sumOf(data), data})
}

// decodeRecord reads what encodeRecord wrote; false: it is not that, byte for byte,
// or of another version.
func decodeRecord(data []byte) (record, bool) {
	var p progress
	var r record
	if json.Unmarshal(data, &p) != nil || p.SHA256 != sumOf(p.Record) || json.Unmarshal(p.Record, &r) != nil {
		return record{}, false
	}
	return r, r.Version == progressVersion && r.Next >= 0
}

// sumOf is the SHA-256 of the bytes, in hex.
func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// forget removes the record before the file's content stops matching it.
func (s *stage) forget() error {
	err := s.fs.Remove(filepath.Join(s.dir, progressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return stageError(s.dir, errors.Join(err, s.fs.SyncDir(s.dir)))
}

// piece is a part of a WAL that goes into the copy.
type piece struct {
	file vfs.File
	duckfile.Range
}

// writeWAL writes the pieces one after the other as the copy's WAL, or removes
// it when there are none. It then reads back what it wrote: it must hold the
// given number of commits, end with the last of them and have no marker.
func (s *stage) writeWAL(ctx context.Context, pieces []piece, commits int64, h *duckfile.Headers, wait waiter) (int64, error) {
	path := filepath.Join(s.dir, s.walName())
	if len(pieces) == 0 {
		if err := s.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, stageError(s.dir, err)
		}
		return 0, nil
	}
	f, err := s.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, stageError(s.dir, err)
	}
	size, err := fillWAL(ctx, f, pieces, wait)
	if err == nil {
		err = checkWAL(f, size, commits, h)
	}
	return size, stageError(s.dir, errors.Join(err, f.Close()))
}

// hasWAL reports whether the staged WAL is the one that the record was written
// beside: a machine that stopped may have kept the name of the record and not
// that of the WAL. One that cannot be read is as good as none.
func (s *stage) hasWAL(r record, h *duckfile.Headers) bool {
	if r.WALBytes == 0 {
		return true
	}
	f, err := s.fs.Open(filepath.Join(s.dir, s.walName()))
	if err != nil {
		return false
	}
	info, err := f.Stat()
	if err == nil && info.Size == r.WALBytes {
		err = checkWAL(f, info.Size, r.Commits, h)
	}
	return errors.Join(err, f.Close()) == nil && info.Size == r.WALBytes
}

func fillWAL(ctx context.Context, f vfs.File, pieces []piece, wait waiter) (int64, error) {
	var size int64
	for _, p := range pieces {
		r := io.NewSectionReader(&pacedReaderAt{ctx, wait, p.file}, p.Start, p.End-p.Start)
		n, err := io.CopyBuffer(f, &contextReader{ctx, r}, make([]byte, min(p.End-p.Start, MaxRead)))
		size += n
		if err != nil {
			return size, err
		}
		if n != p.End-p.Start {
			return size, moving(movedWAL, "the WAL %s became shorter while it was read", p.file.Name())
		}
	}
	return size, f.Sync()
}

func checkWAL(f vfs.File, size, commits int64, h *duckfile.Headers) error {
	w, err := duckfile.ScanWAL(f, size, h)
	if err != nil {
		return err
	}
	if w.End != size || w.Commits != commits || len(w.Markers) > 0 {
		return moving(movedWAL, "the WAL changed while it was read: %d commits in %d of %d bytes, want %d commits", w.Commits, w.End, size, commits)
	}
	return nil
}

// sum is the SHA-256 of the first n bytes of f, in hex.
func sum(ctx context.Context, f io.ReaderAt, n int64) (string, error) {
	h := sha256.New()
	got, err := io.CopyBuffer(h, &contextReader{ctx, io.NewSectionReader(f, 0, n)}, make([]byte, max(1, min(n, MaxRead))))
	if err != nil {
		return "", err
	}
	if got != n {
		return "", io.ErrUnexpectedEOF
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// waiter waits until n bytes may be read, at most MaxRead.
type waiter func(ctx context.Context, n int) error

// freely does not wait.
func freely(context.Context, int) error { return nil }

// pacedReaderAt pays for what it has read: the end of a file costs nothing.
type pacedReaderAt struct {
	ctx  context.Context
	wait waiter
	r    io.ReaderAt
}

func (p *pacedReaderAt) ReadAt(b []byte, off int64) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.r.ReadAt(b, off)
	for left := n; left > 0; left -= MaxRead {
		if err := p.wait(p.ctx, min(left, MaxRead)); err != nil {
			return n, err
		}
	}
	return n, err
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// finish syncs the copy, checks every used block of what was stored and hashes
// it, at the pace that wait allows.
func (s *stage) finish(ctx context.Context, o *Options, wal, opaque bool, wait waiter) (files []File, blocks int64, err error) {
	if err := s.sync(); err != nil {
		return nil, 0, err
	}
	info, err := s.db.Stat()
	if err != nil {
		return nil, 0, stageError(s.dir, err)
	}
	stored := &pacedReaderAt{ctx, wait, s.db}
	if !opaque {
		if blocks, err = duckfile.CheckFile(stored, info.Size, o.Key, nil); err != nil {
			return nil, 0, fmt.Errorf("the copy %s does not read back as it was written: %w", s.db.Name(), err)
		}
	}
	files = []File{{Name: s.name, Bytes: info.Size}}
	if files[0].SHA256, err = sum(ctx, stored, info.Size); err != nil {
		return nil, 0, err
	}
	if !wal {
		return files, blocks, nil
	}
	f, err := s.fs.Open(filepath.Join(s.dir, s.walName()))
	if err != nil {
		return nil, 0, stageError(s.dir, err)
	}
	w := File{Name: s.walName()}
	if info, err = f.Stat(); err == nil {
		w.Bytes = info.Size
		w.SHA256, err = sum(ctx, f, info.Size)
	}
	return append(files, w), blocks, errors.Join(err, f.Close())
}
