package duckfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
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
	Checksum   uint64
	Version    uint64
	Flags      [4]uint64
	Library    string
	SourceID   string
	Encryption Encryption
	Identifier [16]byte
}

// Encrypted reports whether database headers and blocks are encrypted.
func (h *MainHeader) Encrypted() bool { return h.Flags[0]&1 != 0 }

// Encryption is what the main header says of it, all zeros in a plain file.
// Nonce and Tag belong to the canary and exist from encryption version 1 on.
type Encryption struct {
	KDF       uint8 // 1: SHA-256
	AAD       uint8
	Cipher    CipherKind
	Version   uint8
	KeyLength uint32 // bytes
	Canary    [8]byte
	Nonce     [12]byte
	Tag       [16]byte
}

// DatabaseHeader is one of the two header slots.
type DatabaseHeader struct {
	Checksum       uint64
	Iteration      uint64
	MetaBlock      Pointer
	FreeList       Pointer
	BlockCount     int64
	BlockAllocSize int64 // bytes
	VectorSize     uint64
	Compatibility  uint64
}

// Headers are the first 12288 bytes of a database file. They may be read from
// several goroutines at once, their methods included.
type Headers struct {
	Raw   [BlocksStart]byte
	Main  MainHeader
	Slots [2]DatabaseHeader
	// Cipher decrypts the file; nil if it is plain or opaque.
	Cipher *Cipher
	// Opaque: an encrypted file read without its key. Slots are zeros, not even
	// the block size is known.
	Opaque bool
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
// header says where the main header refers to it: 999 if that is opaque.
func (h *Headers) StorageVersion() uint64 {
	if h.Main.Version == VersionInHeader && !h.Opaque {
		return h.Current().Compatibility
	}
	return h.Main.Version
}

// ReadHeaders reads and checks the three headers, as ParseHeaders does. A file
// that ends before them is ErrNotDuckDB when it does not begin with the magic,
// else ErrTruncated.
func ReadHeaders(r io.ReaderAt, key *Key) (*Headers, error) {
	b, err := readHead(r)
	if err != nil {
		return nil, err
	}
	return ParseHeaders(b, key)
}

// ReadOpaque is ParseOpaque of the file r.
func ReadOpaque(r io.ReaderAt) (*Headers, error) {
	b, err := readHead(r)
	if err != nil {
		return nil, err
	}
	return ParseOpaque(b)
}

func readHead(r io.ReaderAt) ([]byte, error) {
	buf := make([]byte, BlocksStart)
	n, err := r.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return buf[:n], nil
}

// ParseHeaders parses the first 12288 bytes of a file; b may be shorter where
// the file is. An encrypted file without a key is ErrEncrypted, with the wrong
// one ErrWrongKey; a plain file ignores the key.
func ParseHeaders(b []byte, key *Key) (*Headers, error) {
	h, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	if h.Main.Encrypted() {
		if key == nil {
			return nil, &FormatError{Off: 20, What: "encryption flag", Err: ErrEncrypted}
		}
		if err := h.Main.checkEncryption(); err != nil {
			return nil, err
		}
		if h.Cipher, err = newCipher(key, &h.Main); err != nil {
			return nil, err
		}
	}
	for i := range h.Slots {
		off := int64(HeaderSize * (i + 1))
		if err := h.parseSlot(&h.Slots[i], off); err != nil {
			return nil, err
		}
	}
	off := int64(2 * HeaderSize)
	if h.Current() == &h.Slots[0] {
		off = HeaderSize
	}
	return h, checkSlot(h, off)
}

// ParseOpaque parses what can be seen of an encrypted file without its key: the
// main header. The database headers are kept in Raw, whether right or torn. A
// plain file has nothing to hide: it is parsed as by ParseHeaders.
func ParseOpaque(b []byte) (*Headers, error) {
	h, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	if !h.Main.Encrypted() {
		return ParseHeaders(b, nil)
	}
	h.Opaque = true
	return h, h.Main.checkEncryption()
}

// parseHead checks and parses the main header, and keeps all three.
func parseHead(b []byte) (*Headers, error) {
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
		return nil, blockSum("main header checksum", 0, b[:HeaderSize])
	}
	return h, nil
}

// checkEncryption refuses of an encrypted file what DuckDB up to 2.0 does not
// write.
func (h *MainHeader) checkEncryption() error {
	e := &h.Encryption
	unsupported := func(off int64, what string, got, want any) error {
		return &FormatError{Off: off, What: what, Got: got, Want: want, Err: ErrUnsupported}
	}
	switch {
	case e.Version > 1:
		return unsupported(119, "encryption version", e.Version, "0 or 1")
	case e.Cipher != CipherGCM && e.Cipher != CipherCTR:
		return unsupported(118, "cipher", uint8(e.Cipher), "1 (GCM) or 2 (CTR)")
	case e.KDF != keyDerivationSHA256:
		return unsupported(116, "key derivation", e.KDF, "1 (SHA-256)")
	case e.KeyLength != keyLength:
		return unsupported(120, "key length", e.KeyLength, keyLength)
	}
	return nil
}

func parseMain(b []byte, h *MainHeader) {
	le := binary.LittleEndian
	h.Checksum = le.Uint64(b)
	h.Version = le.Uint64(b[12:])
	for i := range h.Flags {
		h.Flags[i] = le.Uint64(b[20+8*i:])
	}
	h.Library = text(b[52:84])
	h.SourceID = text(b[84:116])
	e := &h.Encryption
	e.KDF, e.AAD, e.Cipher, e.Version = b[116], b[117], CipherKind(b[118]), b[119]
	e.KeyLength = le.Uint32(b[120:])
	copy(h.Identifier[:], b[124:140])
	copy(e.Canary[:], b[140:148])
	copy(e.Nonce[:], b[148:160])
	copy(e.Tag[:], b[160:176])
}

// parseSlot checks and parses the database header at off of h.Raw.
func (h *Headers) parseSlot(s *DatabaseHeader, off int64) error {
	b := h.Raw[off : off+HeaderSize]
	if h.Cipher != nil {
		text, err := h.Cipher.openBlock(nil, b)
		if err != nil {
			return corrupt(off, "database header: "+err.Error(), nil, nil)
		}
		b = text
	}
	if !CheckBlock(b) {
		return blockSum("database header checksum", off, b)
	}
	le := binary.LittleEndian
	s.Checksum = le.Uint64(b)
	s.Iteration = le.Uint64(b[8:])
	s.MetaBlock = Pointer(le.Uint64(b[16:]))
	s.FreeList = Pointer(le.Uint64(b[24:]))
	s.BlockCount = int64(le.Uint64(b[32:]))
	s.BlockAllocSize = int64(le.Uint64(b[40:]))
	s.VectorSize = le.Uint64(b[48:])
	s.Compatibility = le.Uint64(b[56:])
	if s.BlockAllocSize == 0 {
		s.BlockAllocSize = MaxBlockSize
	}
	if s.VectorSize == 0 {
		s.VectorSize = 2048
	}
	return nil
}

// checkSlot checks the fields of the current slot, which lies at off. The other
// slot is only required to have a valid checksum, as in DuckDB.
func checkSlot(h *Headers, off int64) error {
	s := h.Current()
	off += h.BlockHeaderSize() - plainBlockHeader // where the checksum lies
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

func quoteMagic(b []byte) string {
	if len(b) <= 8 {
		return fmt.Sprintf("a file of %d bytes", len(b))
	}
	return fmt.Sprintf("%q", b[8:min(12, len(b))])
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
