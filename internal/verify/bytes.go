package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"canvasback/internal/duckfile"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// chunk is how much is read at once, in bytes; the context is looked at between
// two chunks.
const chunk = 1 << 20

// absent refuses a file beside the backup that the engine would read with it.
func absent(fsys vfs.FS, name string) error {
	_, err := fsys.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("verify: %w", err)
	default:
		return bad("%s lies beside it and is not in the manifest", name)
	}
}

// hashes compares every file with its size and SHA-256 in the manifest.
func hashes(ctx context.Context, req *Request) error {
	var done, total int64
	for _, f := range req.Manifest.Files {
		total += f.Bytes
	}
	for _, f := range req.Manifest.Files {
		err := withFile(req, f, func(file vfs.File) error {
			h := sha256.New()
			n, err := stream(ctx, file, h, func(n int64) { req.Progress(PhaseHash, done+n, total) })
			if err != nil {
				return err
			}
			done += n
			if n != f.Bytes {
				return bad("%s: %d bytes, the manifest says %d", filepath.Join(req.Dir, f.Name), n, f.Bytes)
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 {
				return bad("%s: SHA-256 %s, the manifest says %s", filepath.Join(req.Dir, f.Name), got, f.SHA256)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// blocks checks the headers, the free list and every used block.
func blocks(ctx context.Context, req *Request, f repo.File) (head *duckfile.Headers, n int64, err error) {
	var key *duckfile.Key
	if req.Key != "" {
		key = duckfile.NewKey(req.Key)
	}
	err = withFile(req, f, func(file vfs.File) error {
		r := &contextReader{ctx, file}
		n, err = duckfile.CheckFile(r, f.Bytes, key, func(done, total int64) { req.Progress(PhaseBlocks, done, total) })
		if err == nil {
			head, err = duckfile.ReadHeaders(r, key)
		}
		return formatVerdict(filepath.Join(req.Dir, f.Name), err)
	})
	return head, n, err
}

// wal checks that the WAL holds whole commits up to its last byte, and no
// checkpoint marker: behind one the engine may drop what it holds.
func wal(ctx context.Context, req *Request, f repo.File, head *duckfile.Headers) (needsWrite bool, err error) {
	name := filepath.Join(req.Dir, f.Name)
	err = withFile(req, f, func(file vfs.File) error {
		w, err := duckfile.ScanWAL(&contextReader{ctx, file}, f.Bytes, head)
		if err != nil {
			return formatVerdict(name, err)
		}
		switch {
		case w.Tail != nil:
			return bad("%s: %w", name, w.Tail)
		case w.End != f.Bytes:
			return bad("%s: its last commit ends at byte %d of %d", name, w.End, f.Bytes)
		case len(w.Markers) > 0:
			return bad("%s: a checkpoint marker at byte %d", name, w.Markers[0].Start)
		case w.Commits == 0:
			return bad("%s: it holds no commit", name)
		}
		needsWrite = w.NeedsWrite
		return nil
	})
	return needsWrite, err
}

// formatVerdict makes a verdict of what the bytes say, and only of that.
func formatVerdict(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, duckfile.ErrUnsupported):
		return failure.Errorf(failure.NewerStorage, "%s: %w", name, err)
	case errors.Is(err, duckfile.ErrWrongKey):
		return failure.Errorf(failure.WrongKey, "%s: %w", name, err)
	case errors.Is(err, duckfile.ErrEncrypted):
		return failure.Errorf(failure.Encrypted, "%s: %w", name, err)
	case errors.Is(err, duckfile.ErrCorrupt), errors.Is(err, duckfile.ErrTruncated), errors.Is(err, duckfile.ErrNotDuckDB):
		return bad("%s: %w", name, err)
	default:
		return fmt.Errorf("verify %s: %w", name, err)
	}
}

// withFile opens a stored file of the size that the manifest says.
func withFile(req *Request, f repo.File, do func(vfs.File) error) (err error) {
	name := filepath.Join(req.Dir, f.Name)
	info, err := req.FS.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad("%s is missing", name)
	case err != nil:
		return fmt.Errorf("verify: %w", err)
	case !info.Mode.IsRegular():
		return bad("%s is no regular file", name)
	case info.Size != f.Bytes:
		return bad("%s: %d bytes, the manifest says %d", name, info.Size, f.Bytes)
	}
	file, err := req.FS.Open(name)
	if errors.Is(err, vfs.ErrLink) || errors.Is(err, vfs.ErrSpecial) {
		return bad("%w", err) // put there just now
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return do(file)
}

// stream copies r to w until its end or the context's.
func stream(ctx context.Context, r io.Reader, w io.Writer, progress func(n int64)) (int64, error) {
	buf := make([]byte, chunk)
	var n int64
	for {
		if ctx.Err() != nil {
			return n, fmt.Errorf("verify: %w", context.Cause(ctx))
		}
		k, err := r.Read(buf)
		if _, werr := w.Write(buf[:k]); werr != nil {
			return n, fmt.Errorf("verify: %w", werr)
		}
		n += int64(k)
		progress(n)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("verify: %w", err)
		}
	}
}

// contextReader stops reading when ctx ends.
type contextReader struct {
	ctx context.Context
	r   io.ReaderAt
}

func (c *contextReader) ReadAt(p []byte, off int64) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.ReadAt(p, off)
}
