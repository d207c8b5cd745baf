package duckfile

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Sizes and offsets of the head of a database file, in bytes.
const (
	HeaderSize  = 4096
	BlocksStart = 3 * HeaderSize

	MinBlockSize = 16 << 10
	MaxBlockSize = 256 << 10
)

// VersionInHeader is the main header's version of files whose storage version
// stands in the database header.
const VersionInHeader = 999

// Storage versions that this package reads.
const (
	MinVersion = 64
	MaxVersion = 69
)

// maxBlockID bounds block ids and counts as DuckDB does.
const maxBlockID = 1 << 62

// MainHeader is the first 4096 bytes of a database file.
type MainHeader struct {
	Version    uint64
	Flags      [4]uint64
	Library    string
	SourceID   string
	Identifier [16]byte
}

// Encrypted reports whether blocks are encrypted.
func (h *MainHeader) Encrypted() bool { return h.Flags[0]&1 != 0 }

// DatabaseHeader is one of the two header slots.
type DatabaseHeader struct {
	Iteration      uint64
	MetaBlock      Pointer
	FreeList       Pointer
	BlockCount     int64
	BlockAllocSize int64
	VectorSize     uint64
	Compatibility  uint64
}

// Headers are the first 12288 bytes of a database file.
type Headers struct {
	Raw   [BlocksStart]byte
	Main  MainHeader
	Slots [2]DatabaseHeader
}

// Current is the slot that DuckDB goes by: the higher iteration, the second
// slot when they are equal.
func (h *Headers) Current() *DatabaseHeader {
	if h.Slots[0].Iteration > h.Slots[1].Iteration {
		return &h.Slots[0]
	}
	return &h.Slots[1]
}

// StorageVersion is the main header's version, or what the current database
// header says where the main header refers to it.
func (h *Headers) StorageVersion() uint64 {
	if h.Main.Version == VersionInHeader {
		return h.Current().Compatibility
	}
	return h.Main.Version
}

// ReadHeaders reads and checks the three headers. A file that ends before them
// is ErrNotDuckDB when it does not begin with the magic, else ErrTruncated.
func ReadHeaders(r io.ReaderAt) (*Headers, error) {
	buf := make([]byte, BlocksStart)
	n, err := r.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return ParseHeaders(buf[:n])
}

// ParseHeaders parses the first 12288 bytes of a file; b may be shorter where
// the file is.
func ParseHeaders(b []byte) (*Headers, error) {
	if len(b) < 12 || string(b[8:12]) != "DUCK" {
		return nil, &FormatError{Off: 8, What: "magic", Want: `"DUCK"`, Got: quoteMagic(b), Err: ErrNotDuckDB}
	}
	if len(b) < BlocksStart {
		return nil, &FormatError{Off: int64(len(b)), What: "file ends inside its headers", Want: BlocksStart, Got: len(b), Err: ErrTruncated}
	}
	h := &Headers{}
	copy(h.Raw[:], b)
	parseMain(b[:HeaderSize], &h.Main)
	if v := h.Main.Version; v != VersionInHeader && (v < MinVersion || v > MaxVersion) {
		return nil, &FormatError{Off: 12, What: "storage version", Got: v, Want: "64 to 69, or 999", Err: ErrUnsupported}
	}
	if !CheckBlock(b[:HeaderSize]) {
		return nil, headerSum(b, 0, "main header checksum")
	}
	if h.Main.Encrypted() {
		return nil, &FormatError{Off: 20, What: "encryption flag", Err: ErrEncrypted}
	}
	for i := range h.Slots {
		off := int64(HeaderSize * (i + 1))
		s := b[off : off+HeaderSize]
		if !CheckBlock(s) {
			return nil, headerSum(b, off, "database header checksum")
		}
		parseSlot(s, &h.Slots[i])
	}
	off := int64(2 * HeaderSize)
	if h.Current() == &h.Slots[0] {
		off = HeaderSize
	}
	return h, checkSlot(h, off)
}

func headerSum(b []byte, off int64, what string) error {
	s := b[off : off+HeaderSize]
	return corrupt(off, what, hex64(binary.LittleEndian.Uint64(s)), hex64(Checksum(s[8:])))
}

func parseMain(b []byte, h *MainHeader) {
	le := binary.LittleEndian
	h.Version = le.Uint64(b[12:])
	for i := range h.Flags {
		h.Flags[i] = le.Uint64(b[20+8*i:])
	}
	h.Library = text(b[52:84])
	h.SourceID = text(b[84:116])
	copy(h.Identifier[:], b[124:140])
}

func parseSlot(b []byte, h *DatabaseHeader) {
	le := binary.LittleEndian
	h.Iteration = le.Uint64(b[8:])
	h.MetaBlock = Pointer(le.Uint64(b[16:]))
	h.FreeList = Pointer(le.Uint64(b[24:]))
	h.BlockCount = int64(le.Uint64(b[32:]))
	h.BlockAllocSize = int64(le.Uint64(b[40:]))
	h.VectorSize = le.Uint64(b[48:])
	h.Compatibility = le.Uint64(b[56:])
	if h.BlockAllocSize == 0 {
		h.BlockAllocSize = MaxBlockSize
	}
	if h.VectorSize == 0 {
		h.VectorSize = 2048
	}
}

// checkSlot checks the fields of the current slot, which lies at off. The other
// slot is only required to have a valid checksum, as in DuckDB.
func checkSlot(h *Headers, off int64) error {
	s := h.Current()
	a := s.BlockAllocSize
	if a < MinBlockSize || a > MaxBlockSize || a&(a-1) != 0 {
		return corrupt(off+40, "block size", a, "a power of two from 16384 to 262144")
	}
	if s.BlockCount < 0 || s.BlockCount > maxBlockID/a {
		return corrupt(off+32, "block count", s.BlockCount, "a count that fits a file")
	}
	if s.VectorSize != 2048 {
		return &FormatError{Off: off + 48, What: "vector size", Got: s.VectorSize, Want: 2048, Err: ErrUnsupported}
	}
	if h.Main.Version == VersionInHeader && (s.Compatibility < MinVersion || s.Compatibility > MaxVersion) {
		return &FormatError{Off: off + 56, What: "storage version", Got: s.Compatibility, Want: "64 to 69", Err: ErrUnsupported}
	}
	return nil
}

// BlockOffset is where block id begins in a file with blocks of size a.
func BlockOffset(id, a int64) int64 { return BlocksStart + id*a }

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
