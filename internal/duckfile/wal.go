package duckfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// WAL entry types that matter to a copy.
const (
	walAlter       = 20
	walCreateIndex = 23
	walRowGroup    = 29
	walVersion     = 98
	walCheckpoint  = 99
	walFlush       = 100
)

const (
	frameHeaderSize = 16
	flushSize       = 5
	// maxWALHeader bounds the header entry: its longest form has an identifier
	// of 16 two-byte values and an iteration of ten bytes.
	maxWALHeader = 64
	// maxMarker bounds the payload of a checkpoint marker.
	maxMarker = 32
)

// WALHeader is the first entry of a WAL. Size is its length in bytes, 0 where
// the file is empty or ends inside it.
type WALHeader struct {
	Size          int64
	Version       uint64
	HasIdentifier bool
	Identifier    [16]byte
	HasIteration  bool
	Iteration     uint64
}

// Marker is a checkpoint marker. Start is where its frame begins and End where
// the FLUSH behind it ends, or the frame itself where none follows yet.
type Marker struct {
	Start, End int64
	MetaBlock  Pointer // the pointer that the announced header will have
	Flushed    bool
	// alone: the marker is all that its FLUSH commits.
	alone bool
}

// WAL is what a scan found. Offsets are in bytes from the file's start.
type WAL struct {
	Header WALHeader
	// Commits counts the FLUSH entries that end a commit; those that belong to
	// markers do not count.
	Commits int64
	// End is the end of the last FLUSH, or of the header when there is none.
	// What lies behind it is no part of any commit.
	End int64
	// Tail says why the scan ended at Scanned: nil at the file's end, else an
	// ErrTruncated (the file ends inside a frame) or ErrCorrupt error.
	Tail    error
	Scanned int64
	Markers []Marker
	// RowGroups: a commit refers to blocks of the database file.
	RowGroups bool
	// NeedsWrite: a commit holds ALTER or CREATE INDEX, which DuckDB up to
	// 1.5.6 cannot replay in read-only mode.
	NeedsWrite bool
	// lastCommit is where the last commit that is no marker ends.
	lastCommit int64
}

// Range is a span of bytes [Start, End).
type Range struct{ Start, End int64 }

// MarkerAtTail returns the checkpoint marker that no commit follows, if there
// is one: a checkpoint runs, or its process died in it.
func (w *WAL) MarkerAtTail() (Marker, bool) {
	if n := len(w.Markers); n > 0 && w.Markers[n-1].End > w.lastCommit {
		return w.Markers[n-1], true
	}
	return Marker{}, false
}

// Keep returns the ranges that belong in a copy: the header and all commits without markers.
// Nil when there is no commit.
func (w *WAL) Keep() []Range {
	if w.Commits == 0 {
		return nil
	}
	var keep []Range
	at := int64(0)
	for _, m := range w.Markers {
		if m.Start >= w.End {
			break
		}
		end := m.End
		if !m.alone {
			end = m.frameEnd()
		}
		if m.Start > at {
			keep = append(keep, Range{at, m.Start})
		}
		at = end
	}
	if at < w.End {
		keep = append(keep, Range{at, w.End})
	}
	return keep
}

func (m Marker) frameEnd() int64 {
	if m.Flushed {
		return m.End - frameHeaderSize - flushSize
	}
	return m.End
}

// ScanWAL walks the frames of a WAL of size bytes and checks each one's
// checksum. Bad or incomplete frames end the scan and are reported in Tail,
// not as an error: a live WAL normally ends in the middle of one. Errors are
// those of reading, ErrUnsupported and ErrEncrypted for other WAL versions, and
// ErrCorrupt for a file that begins as no WAL does.
func ScanWAL(r io.ReaderAt, size int64) (*WAL, error) {
	w := &WAL{}
	head := make([]byte, min(size, maxWALHeader))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		if err != io.EOF {
			return nil, err
		}
		head = head[:n]
	}
	h, err := parseWALHeader(head)
	if errors.Is(err, ErrTruncated) {
		w.Tail = err
		if len(head) == 0 {
			w.Tail = nil
		}
		return w, nil
	}
	if err != nil {
		return nil, err
	}
	w.Header = h
	w.End, w.Scanned, w.lastCommit = h.Size, h.Size, h.Size
	return w, w.scan(r, size)
}

// scan continues at w.Scanned.
func (w *WAL) scan(r io.ReaderAt, size int64) error {
	s := frameReader{r: r, size: size, buf: make([]byte, 1<<20)}
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
		w.Markers = append(w.Markers, Marker{Start: start, End: f.end, MetaBlock: f.meta})
		c.marker = len(w.Markers)
	case walRowGroup:
		c.rowGroups = true
	case walAlter, walCreateIndex:
		c.needsWrite = true
	}
	c.frames++
}

type frame struct {
	kind uint64
	end  int64
	meta Pointer // of a checkpoint marker
}

type frameReader struct {
	r    io.ReaderAt
	size int64
	buf  []byte
}

// next reads the frame at off. io.EOF: the file ends exactly there.
func (s *frameReader) next(off int64) (frame, error) {
	if off == s.size {
		return frame{}, io.EOF
	}
	torn := func() error {
		return &FormatError{Off: off, What: "WAL ends inside a frame", Got: s.size, Err: ErrTruncated}
	}
	if s.size-off < frameHeaderSize {
		return frame{}, torn()
	}
	var head [frameHeaderSize]byte
	if n, err := s.r.ReadAt(head[:], off); n < len(head) {
		return frame{}, shortRead(err, torn)
	}
	n := binary.LittleEndian.Uint64(head[:])
	want := binary.LittleEndian.Uint64(head[8:])
	body := off + frameHeaderSize
	if n > uint64(s.size-body) {
		return frame{}, torn()
	}
	end := body + int64(n)
	sum, first, err := s.sum(body, end)
	if err != nil {
		return frame{}, shortRead(err, torn)
	}
	if sum != want {
		return frame{}, corrupt(off, "WAL frame checksum", hex64(want), hex64(sum))
	}
	return parseFrame(first, off, end)
}

func shortRead(err error, torn func() error) error {
	if err == io.EOF {
		return torn()
	}
	return err
}

// sum computes the checksum of [from, to) and returns its first bytes too.
func (s *frameReader) sum(from, to int64) (uint64, []byte, error) {
	total := uint64(5381)
	var first []byte
	for at := from; at < to; {
		b := s.buf[:min(int64(len(s.buf)), to-at)]
		if n, err := s.r.ReadAt(b, at); n < len(b) {
			return 0, nil, err
		}
		if at == from {
			first = append(first, b[:min(len(b), maxMarker)]...)
		}
		total ^= Checksum(b) ^ 5381
		at += int64(len(b))
	}
	return total, first, nil
}

// parseFrame reads the entry type, and a marker's pointer, from the first bytes
// of a payload whose checksum holds.
func parseFrame(p []byte, off, end int64) (frame, error) {
	f := frame{end: end}
	size := end - off - frameHeaderSize
	if size < flushSize || p[0] != 0x64 || p[1] != 0 {
		return f, corrupt(off, "WAL entry does not begin with its type", nil, nil)
	}
	kind, n := binary.Uvarint(p[2:])
	if n <= 0 {
		return f, corrupt(off, "WAL entry type", nil, nil)
	}
	f.kind = kind
	if kind == walFlush && size != flushSize {
		return f, corrupt(off, "size of a FLUSH entry", size, flushSize)
	}
	if kind != walCheckpoint {
		return f, nil
	}
	if size > maxMarker {
		return f, corrupt(off, "size of a CHECKPOINT entry", size, fmt.Sprintf("at most %d", maxMarker))
	}
	return f, parseMarker(p[2+n:], off, &f.meta)
}

// parseMarker reads 65 00 [64 00 pointer] ... of a checkpoint marker. An absent
// pointer is 0.
func parseMarker(p []byte, off int64, meta *Pointer) error {
	if len(p) < 4 || p[0] != 0x65 || p[1] != 0 {
		return corrupt(off, "CHECKPOINT entry without a pointer", nil, nil)
	}
	if p[2] != 0x64 || p[3] != 0 {
		*meta = 0
		return nil
	}
	v, n := binary.Uvarint(p[4:])
	if n <= 0 {
		return corrupt(off, "CHECKPOINT entry's pointer", nil, nil)
	}
	*meta = Pointer(v)
	return nil
}

// parseWALHeader reads the header entry from the first bytes of a WAL.
func parseWALHeader(b []byte) (WALHeader, error) {
	p := walHeaderParser{b: b}
	h := WALHeader{}
	if f := p.field(); p.err == nil && (f != 100 || p.uvarint() != walVersion && p.err == nil) {
		return h, corrupt(0, "WAL header entry", nil, nil)
	}
	if f := p.field(); p.err == nil && f != 101 {
		return h, corrupt(p.at, "WAL version field", f, 101)
	}
	h.Version = p.uvarint()
	if p.err == nil {
		switch h.Version {
		case 2:
		case 3:
			return h, &FormatError{Off: p.at, What: "WAL version 3", Err: ErrEncrypted}
		default:
			return h, &FormatError{Off: p.at, What: "WAL version", Got: h.Version, Want: 2, Err: ErrUnsupported}
		}
	}
	f := p.field()
	if p.err == nil && f == 102 {
		h.HasIdentifier = true
		p.identifier(&h.Identifier)
		f = p.field()
	}
	if p.err == nil && f == 103 {
		h.HasIteration = true
		h.Iteration = p.uvarint()
		f = p.field()
	}
	if p.err == nil && f != 0xffff {
		return h, &FormatError{Off: p.at, What: "WAL header field", Got: f, Want: "the end of the entry", Err: ErrUnsupported}
	}
	h.Size = p.at
	return h, p.err
}

type walHeaderParser struct {
	b   []byte
	at  int64
	err error
}

func (p *walHeaderParser) fail(what string) {
	if p.err == nil {
		p.err = &FormatError{Off: p.at, What: "WAL ends inside its header entry", Err: ErrTruncated}
		if len(p.b)-int(p.at) >= binary.MaxVarintLen64 {
			p.err = corrupt(p.at, what, nil, nil)
		}
	}
}

func (p *walHeaderParser) field() uint16 {
	if p.err != nil || len(p.b)-int(p.at) < 2 {
		p.fail("WAL header field")
		return 0
	}
	v := binary.LittleEndian.Uint16(p.b[p.at:])
	p.at += 2
	return v
}

func (p *walHeaderParser) uvarint() uint64 {
	if p.err != nil {
		return 0
	}
	v, n := binary.Uvarint(p.b[p.at:])
	if n <= 0 {
		p.fail("WAL header value")
		return 0
	}
	p.at += int64(n)
	return v
}

func (p *walHeaderParser) identifier(id *[16]byte) {
	if n := p.uvarint(); p.err == nil && n != uint64(len(id)) {
		p.err = corrupt(p.at, "length of the WAL's identifier", n, len(id))
	}
	for i := range id {
		v := p.uvarint()
		if p.err == nil && v > 255 {
			p.err = corrupt(p.at, "byte of the WAL's identifier", v, "at most 255")
		}
		id[i] = byte(v)
	}
}
