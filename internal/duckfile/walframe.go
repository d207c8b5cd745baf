package duckfile

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	flushSize = 5 // payload of a FLUSH
	// maxMarker bounds the payload of a checkpoint marker.
	maxMarker = 32
	// maxKind is the highest entry type that there could be: DuckDB keeps it in a
	// byte.
	maxKind = 255
	// maxFrame bounds the payload of any frame, in bytes: DuckDB holds it in
	// memory, and a file with holes may be longer than anybody can read.
	maxFrame = 64 << 30
	// maxSealed bounds the payload of an encrypted frame, which is read into
	// memory whole, in bytes.
	maxSealed = 512 << 20
	// windowSize is how much of a WAL is read at once. It is a multiple of 8, so
	// that a checksum can be computed window by window.
	windowSize = 1 << 20
)

// window reads a file forward, through a buffer. What it read once it does not
// read again, though the file may grow behind it.
type window struct {
	r    io.ReaderAt
	size int64 // of the file
	off  int64 // of buf
	buf  []byte
	mem  []byte
}

// read returns n bytes at off, valid until the next call; n is at most
// windowSize and off+n at most the size. io.EOF: the file became shorter.
func (w *window) read(off, n int64) ([]byte, error) {
	if at := off - w.off; at >= 0 && at+n <= int64(len(w.buf)) {
		return w.buf[at : at+n], nil
	}
	if w.mem == nil {
		w.mem = make([]byte, min(windowSize, w.size))
	}
	w.off, w.buf = off, w.mem[:min(int64(len(w.mem)), w.size-off)]
	got, err := w.r.ReadAt(w.buf, off)
	w.buf = w.buf[:got]
	if int64(got) >= n {
		return w.buf[:n], nil
	}
	if err == nil {
		err = io.EOF // asked for more than the file has
	}
	return nil, err
}

// frames is how the frames of a WAL are laid out:
//
//	u64 size | nonce | checksum and payload, encrypted or not | tag
type frames struct {
	nonce, tag int64 // bytes
	cipher     *Cipher
	opaque     bool
}

func framesOf(h *Headers) frames {
	if h == nil || !h.Main.Encrypted() {
		return frames{}
	}
	l := h.Main.Encryption.layout()
	return frames{nonce: int64(l.nonce), tag: int64(l.frameTag), cipher: h.Cipher, opaque: h.Opaque}
}

// overhead is what a frame is longer than its payload, in bytes.
func (f *frames) overhead() int64 { return 8 + f.nonce + 8 + f.tag }

type frame struct {
	kind uint64 // 0: not known
	end  int64
	meta Pointer // of a checkpoint marker
}

type frameReader struct {
	*window
	frames
	sealed, plain []byte // memory for one encrypted frame
}

// next reads the frame at off. io.EOF: the file ends exactly there.
func (s *frameReader) next(off int64) (frame, error) {
	if off == s.size {
		return frame{}, io.EOF
	}
	torn := func() error {
		return &FormatError{Off: off, What: "WAL ends inside a frame", Got: s.size, Err: ErrTruncated}
	}
	if s.size-off < s.overhead() {
		return frame{}, torn()
	}
	head, err := s.read(off, 8)
	if err != nil {
		return frame{}, shortRead(err, torn)
	}
	n := binary.LittleEndian.Uint64(head)
	if n > uint64(s.size-off-s.overhead()) {
		return frame{}, torn()
	}
	if n > maxFrame {
		return frame{}, corrupt(off, "size of a WAL entry", n, fmt.Sprintf("at most %d", int64(maxFrame)))
	}
	end := off + s.overhead() + int64(n)
	first, err := s.payload(off, int64(n))
	if err != nil {
		return frame{}, shortRead(err, torn)
	}
	if n < flushSize {
		return frame{}, corrupt(off, "size of a WAL entry", n, fmt.Sprintf("at least %d", flushSize))
	}
	if s.opaque {
		// Every other entry is longer: FLUSH alone has no fields.
		f := frame{end: end}
		if n == flushSize {
			f.kind = walFlush
		}
		return f, nil
	}
	f, err := parseFrame(first, off, int64(n))
	f.end = end
	return f, err
}

func shortRead(err error, torn func() error) error {
	if err == io.EOF {
		return torn()
	}
	return err
}

// payload checks the frame at off, whose payload has n bytes, and returns the
// payload's first bytes: at least maxMarker, if there are so many. Of an opaque
// frame there is nothing to check or to return.
func (s *frameReader) payload(off, n int64) ([]byte, error) {
	switch {
	case s.opaque:
		return nil, nil
	case s.cipher != nil:
		return s.decrypt(off, n)
	}
	head, err := s.read(off+8, 8)
	if err != nil {
		return nil, err
	}
	want := binary.LittleEndian.Uint64(head)
	sum := Checksum(nil)
	var first []byte
	for at, end := off+16, off+16+n; at < end; {
		b, err := s.read(at, min(windowSize, end-at))
		if err != nil {
			return nil, err
		}
		if at == off+16 {
			first = append(first, b[:min(len(b), maxMarker)]...)
		}
		sum ^= Checksum(b) ^ Checksum(nil)
		at += int64(len(b))
	}
	if sum != want {
		return nil, corrupt(off, "WAL frame checksum", hex64(want), hex64(sum))
	}
	return first, nil
}

// decrypt reads a whole encrypted frame into memory, as DuckDB does: its tag
// covers all of it.
func (s *frameReader) decrypt(off, n int64) ([]byte, error) {
	if n > maxSealed {
		return nil, &FormatError{Off: off, What: "size of an encrypted WAL entry", Got: n, Want: fmt.Sprintf("at most %d", int64(maxSealed)), Err: ErrUnsupported}
	}
	s.sealed = s.sealed[:0]
	for at, end := off+8, off+s.overhead()+n; at < end; {
		b, err := s.read(at, min(windowSize, end-at))
		if err != nil {
			return nil, err
		}
		s.sealed = append(s.sealed, b...)
		at += int64(len(b))
	}
	nonce, rest := s.sealed[:s.nonce], s.sealed[s.nonce:]
	plain, err := s.cipher.open(s.plain, nonce, rest[:n+8], rest[n+8:])
	if err != nil {
		return nil, corrupt(off, "WAL frame: "+err.Error(), nil, nil)
	}
	s.plain = plain
	if !CheckBlock(plain) {
		return nil, blockSum("WAL frame checksum", off, plain)
	}
	return plain[8:], nil
}

// parseFrame reads the entry type, and a marker's pointer, from the first bytes
// of a payload of n bytes whose checksum holds.
func parseFrame(p []byte, off, n int64) (frame, error) {
	f := frame{}
	if p[0] != 0x64 || p[1] != 0 {
		return f, corrupt(off, "WAL entry does not begin with its type", nil, nil)
	}
	kind, k := binary.Uvarint(p[2:])
	if k <= 0 || kind > maxKind {
		return f, corrupt(off, "WAL entry type", nil, nil)
	}
	f.kind = kind
	if kind == walFlush && n != flushSize {
		return f, corrupt(off, "size of a FLUSH entry", n, flushSize)
	}
	if kind != walCheckpoint {
		return f, nil
	}
	if n > maxMarker {
		return f, corrupt(off, "size of a CHECKPOINT entry", n, fmt.Sprintf("at most %d", maxMarker))
	}
	return f, parseMarker(p[2+k:], off, &f.meta)
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
