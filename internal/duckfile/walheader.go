package duckfile

import (
	"encoding/binary"
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

// WAL versions. Version 1, before DuckDB 0.10, had no frames.
const (
	WALPlain     = 2
	WALEncrypted = 3
)

// maxWALHeader bounds the header entry: its longest form has an identifier of
// 16 two-byte values and an iteration of ten bytes.
const maxWALHeader = 64

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
		case WALPlain, WALEncrypted:
		default:
			return h, &FormatError{Off: 5, What: "WAL version", Got: h.Version, Want: "2 or 3", Err: ErrUnsupported}
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
