package duckfile

import (
	"fmt"
	"io"
)

// CheckFile checks a database file at rest: headers, free list and the checksum
// of every used block, which takes the key where the file is encrypted. It
// returns how many used blocks there are. A used block beyond size is
// ErrTruncated. progress, which may be nil, gets bytes.
func CheckFile(r io.ReaderAt, size int64, key *Key, progress func(done, total int64)) (int64, error) {
	h, err := ReadHeaders(r, key)
	if err != nil {
		return 0, err
	}
	cur := h.Current()
	free, err := ReadFreeList(r, h)
	if err != nil {
		return 0, err
	}
	a := cur.BlockAllocSize
	total := (cur.BlockCount - int64(len(free.Free))) * a
	buf := make([]byte, a)
	var blocks int64
	next := free.Free
	for id := int64(0); id < cur.BlockCount; id++ {
		if len(next) > 0 && next[0] == id {
			next = next[1:]
			continue
		}
		off := BlockOffset(id, a)
		n, err := 0, io.EOF
		if off+a <= size {
			n, err = r.ReadAt(buf, off)
		}
		if n < len(buf) {
			if err == io.EOF {
				err = &FormatError{Off: off, What: fmt.Sprintf("used block %d lies beyond the file's end", id), Got: size, Want: fmt.Sprintf("at least %d bytes", off+a), Err: ErrTruncated}
			}
			return blocks, err
		}
		if !h.CheckBlock(buf) {
			_, err := h.payloadAt(nil, buf, off, fmt.Sprintf("block %d", id))
			return blocks, err
		}
		blocks++
		if progress != nil {
			progress(blocks*a, total)
		}
	}
	return blocks, nil
}
