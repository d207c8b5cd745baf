package duckfile

import (
	"fmt"
	"io"
)

// CheckFile checks a database file at rest: headers, free list and the checksum
// of every used block. It returns how many used blocks there are. A used block
// beyond size is ErrTruncated. progress, which may be nil, gets bytes.
func CheckFile(r io.ReaderAt, size int64, progress func(done, total int64)) (int64, error) {
	h, err := ReadHeaders(r)
	if err != nil {
		return 0, err
	}
	cur := h.Current()
	free, err := ReadFreeList(r, cur)
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
		if off+a > size {
			return blocks, &FormatError{Off: off, What: fmt.Sprintf("used block %d lies beyond the file's end", id), Got: size, Want: fmt.Sprintf("at least %d bytes", off+a), Err: ErrTruncated}
		}
		if n, err := r.ReadAt(buf, off); n < len(buf) {
			return blocks, err
		}
		if !CheckBlock(buf) {
			return blocks, blockSum(buf, id, off)
		}
		blocks++
		if progress != nil {
			progress(blocks*a, total)
		}
	}
	return blocks, nil
}
