package duckfile

import (
	"encoding/binary"
	"fmt"
)

// Bytes before the payload of a block.
const (
	plainBlockHeader     = 8
	encryptedBlockHeader = cryptPrefix + 8
)

// subBlocks is how many sub-blocks a metadata block has.
const subBlocks = 64

// BlockOffset is where block id begins in a file with blocks of size a.
func BlockOffset(id, a int64) int64 { return BlocksStart + id*a }

// CheckBlock reports whether an unencrypted header or block carries the right
// checksum in its first 8 bytes. b is the whole block.
func CheckBlock(b []byte) bool {
	return len(b) >= 8 && binary.LittleEndian.Uint64(b) == Checksum(b[8:])
}

// SubBlockSize is the size in bytes of a metadata sub-block in an unencrypted
// file with blocks of a bytes.
func SubBlockSize(a int64) int64 { return subBlockSize(a, plainBlockHeader) }

func subBlockSize(a, header int64) int64 { return (a - header) / subBlocks &^ 7 }

// BlockHeaderSize is how many bytes of each block, and of each database header,
// are no payload: 8, or 40 in an encrypted file.
func (h *Headers) BlockHeaderSize() int64 {
	if h.Main.Encrypted() {
		return encryptedBlockHeader
	}
	return plainBlockHeader
}

// SubBlockSize is the size in bytes of a metadata sub-block; sub-block k is
// the bytes from k times it on of a block's payload. 0 for an opaque file, whose
// block size is not known.
func (h *Headers) SubBlockSize() int64 {
	if h.Opaque {
		return 0
	}
	return subBlockSize(h.Current().BlockAllocSize, h.BlockHeaderSize())
}

// CheckBlock reports whether a whole block, as it lies in the file, matches its
// checksum and, where it is encrypted with GCM, its tag. Nothing is known of a
// block of an opaque file: false. It may be called from several goroutines.
func (h *Headers) CheckBlock(b []byte) bool {
	if !h.Main.Encrypted() {
		return CheckBlock(b)
	}
	if h.Cipher == nil || len(b) < encryptedBlockHeader {
		return false
	}
	buf := h.Cipher.buffer()
	defer h.Cipher.give(buf)
	text, err := h.Cipher.openBlock(*buf, b)
	if err != nil {
		return false
	}
	*buf = text
	return CheckBlock(text)
}

// Payload is what a whole block holds behind its header, decrypted. A block
// that does not match its checksum is ErrCorrupt, with its offset counted from
// the block's start; one of an opaque file ErrEncrypted. The result shares the
// memory of b if the file is plain, else that of dst, which grows as needed and
// must not overlap b. It may be called from several goroutines.
func (h *Headers) Payload(dst, b []byte) ([]byte, error) {
	return h.payloadAt(dst, b, 0, "block")
}

// payloadAt is Payload of the block named what at file offset off.
func (h *Headers) payloadAt(dst, b []byte, off int64, what string) ([]byte, error) {
	if size := h.BlockHeaderSize(); int64(len(b)) < size {
		return nil, corrupt(off, what+" length", len(b), fmt.Sprintf("at least %d bytes", size))
	}
	if !h.Main.Encrypted() {
		if !CheckBlock(b) {
			return nil, blockSum(what+" checksum", off, b)
		}
		return b[plainBlockHeader:], nil
	}
	if h.Cipher == nil {
		return nil, &FormatError{Off: off, What: what, Err: ErrEncrypted}
	}
	buf := h.Cipher.buffer()
	defer h.Cipher.give(buf)
	text, err := h.Cipher.openBlock(*buf, b)
	if err != nil {
		return nil, corrupt(off, what+": "+err.Error(), nil, nil)
	}
	*buf = text
	if !CheckBlock(text) {
		return nil, blockSum(what+" checksum", off, text)
	}
	return append(dst[:0], text[8:]...), nil
}

// blockSum is the error of a checksum that b, decrypted, does not match.
func blockSum(what string, off int64, b []byte) error {
	return corrupt(off, what, hex64(binary.LittleEndian.Uint64(b)), hex64(Checksum(b[8:])))
}

type hex64 uint64

func (h hex64) String() string { return fmt.Sprintf("%#016x", uint64(h)) }
