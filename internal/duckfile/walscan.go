package duckfile

import (
	"errors"
	"fmt"
	"io"
)

// maxMarkers bounds what is kept of a WAL in memory. Each is a checkpoint that
// failed or that is running.
const maxMarkers = 1 << 16

// ScanWAL walks the frames of a WAL of size bytes and checks each one's
// checksum. Bad or incomplete frames end the scan and are reported in Tail,
// not as an error: a live WAL normally ends in the middle of one.
//
// h are the headers of the database that the WAL lies beside. Nil stands for
// any plain file. Those of an encrypted file decrypt the frames, or, read
// without the key, tell how long they are (see WAL.Opaque).
//
// Errors are those of reading, ErrUnsupported for other WAL versions,
// or for an encrypted frame of more than 512 MiB, ErrEncrypted for an encrypted
// WAL without headers, and ErrCorrupt for a file that begins as no WAL does, or
// encrypted where the database is not or the other way round, or with more
// checkpoint markers than 65536.
func ScanWAL(r io.ReaderAt, size int64, h *Headers) (*WAL, error) {
	w := &WAL{Entries: map[uint64]int64{}}
	in := &window{r: r, size: size}
	if size == 0 {
		return w, nil
	}
	head, err := in.read(0, min(size, maxWALHeader))
	if err == io.EOF {
		head = in.buf // the file became shorter than size
	} else if err != nil {
		return nil, err
	}
	header, err := parseWALHeader(head)
	if errors.Is(err, ErrTruncated) {
		w.Tail = err
		return w, nil
	}
	if err != nil {
		return nil, err
	}
	if err := header.matches(h); err != nil {
		return nil, err
	}
	w.Header = header
	w.End, w.Scanned, w.lastCommit = header.Size, header.Size, header.Size
	if h != nil && h.Opaque {
		w.Opaque, w.RowGroups, w.NeedsWrite = true, true, true
	}
	return w, w.scan(&frameReader{window: in, frames: framesOf(h)})
}

// matches refuses an encrypted WAL of a plain database and the reverse.
func (w *WALHeader) matches(h *Headers) error {
	if h == nil {
		if w.Version == WALEncrypted {
			return &FormatError{Off: 5, What: "WAL version 3", Err: ErrEncrypted}
		}
		return nil
	}
	want := uint64(WALPlain)
	if h.Main.Encrypted() {
		want = WALEncrypted
	}
	if w.Version != want {
		return corrupt(5, "WAL version, beside this database", w.Version, want)
	}
	return nil
}

// scan continues at w.Scanned.
func (w *WAL) scan(s *frameReader) error {
	var c commit
	for {
		f, err := s.next(w.Scanned)
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, ErrTruncated) || errors.Is(err, ErrCorrupt) {
			w.Tail = err
			return nil
		}
		if err != nil {
			return err
		}
		if f.kind == walCheckpoint && len(w.Markers) == maxMarkers {
			return corrupt(w.Scanned, "number of CHECKPOINT entries", maxMarkers+1, fmt.Sprintf("at most %d", maxMarkers))
		}
		w.add(&c, f, w.Scanned)
		w.Scanned = f.end
	}
}

// commit gathers the frames since the last FLUSH.
type commit struct {
	frames                int
	rowGroups, needsWrite bool
	marker                int // index into Markers plus one
}

func (w *WAL) add(c *commit, f frame, start int64) {
	w.Frames++
	if !w.Opaque || f.kind == walFlush {
		w.Entries[f.kind]++
	}
	switch f.kind {
	case walFlush:
		w.End = f.end
		if c.marker > 0 {
			m := &w.Markers[c.marker-1]
			m.End, m.Flushed, m.alone = f.end, true, c.frames == 1
		}
		if c.marker == 0 || c.frames > 1 {
			w.Commits++
			w.lastCommit = f.end
			w.RowGroups = w.RowGroups || c.rowGroups
			w.NeedsWrite = w.NeedsWrite || c.needsWrite
		}
		*c = commit{}
		return
	case walCheckpoint:
		w.Markers = append(w.Markers, Marker{Start: start, End: f.end, frameEnd: f.end, MetaBlock: f.meta})
		c.marker = len(w.Markers)
	case walRowGroup:
		c.rowGroups = true
	case walAlter, walCreateIndex:
		c.needsWrite = true
	}
	c.frames++
}
