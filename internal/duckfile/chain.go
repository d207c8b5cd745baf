package duckfile

import (
	"encoding/binary"
	"fmt"
	"io"
)

// chain reads the data bytes of a chain of sub-blocks, one after the other.
type chain struct {
	r       io.ReaderAt
	h       *Headers
	count   int64 // of blocks
	size    int64 // of a block in bytes
	next    Pointer
	seen    map[Pointer]bool
	blocks  []int64
	block   []byte // as it lies in the file
	plain   []byte // memory for payload, if that is decrypted
	payload []byte // of the block read last, whose id is blockID; nil: none yet
	blockID int64
	data    []byte // what is left of the sub-block
	buf     [16]byte
	at      int64 // file offset of the sub-block, for errors
}

// number reads a u64 that counts things of this file.
func (c *chain) number(what string) (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(c.count) {
		return 0, corrupt(c.at, "number of "+what, n, fmt.Sprintf("at most the block count %d", c.count))
	}
	return n, nil
}

func (c *chain) id(what string) (int64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	id := int64(binary.LittleEndian.Uint64(b))
	if id < 0 || id >= c.count {
		return 0, corrupt(c.at, what, id, fmt.Sprintf("below the block count %d", c.count))
	}
	return id, nil
}

// take returns the next n <= 16 data bytes, valid until the next call.
func (c *chain) take(n int) ([]byte, error) {
	if len(c.data) >= n {
		b := c.data[:n]
		c.data = c.data[n:]
		return b, nil
	}
	out := c.buf[:0]
	for len(out) < n {
		if len(c.data) == 0 {
			if err := c.advance(); err != nil {
				return nil, err
			}
		}
		k := min(n-len(out), len(c.data))
		out = append(out, c.data[:k]...)
		c.data = c.data[k:]
	}
	return out, nil
}

// advance loads the next sub-block of the chain.
func (c *chain) advance() error {
	p := c.next
	if p == NoPointer {
		return corrupt(c.at, "free-list chain ends inside the list", nil, nil)
	}
	if p.Block() >= c.count || p.Sub() >= subBlocks {
		return corrupt(c.at, "metadata pointer", p, fmt.Sprintf("a block below %d, a sub-block below 64", c.count))
	}
	if c.seen[p] {
		return corrupt(c.at, "free-list chain runs in a circle at pointer", p, nil)
	}
	c.seen[p] = true
	if c.payload == nil || c.blockID != p.Block() {
		if err := c.load(p.Block()); err != nil {
			return err
		}
	}
	s := c.h.SubBlockSize()
	sub := c.payload[p.Sub()*s : (p.Sub()+1)*s]
	c.at = BlockOffset(p.Block(), c.size) + c.h.BlockHeaderSize() + p.Sub()*s
	c.next = Pointer(binary.LittleEndian.Uint64(sub))
	c.data = sub[8:]
	return nil
}

func (c *chain) load(id int64) error {
	if c.block == nil {
		c.block = make([]byte, c.size)
	}
	off := BlockOffset(id, c.size)
	if n, err := c.r.ReadAt(c.block, off); n < len(c.block) {
		if err == io.EOF {
			return &FormatError{Off: off, What: fmt.Sprintf("block %d lies beyond the file's end", id), Err: ErrTruncated}
		}
		return err
	}
	p, err := c.h.payloadAt(c.plain, c.block, off, fmt.Sprintf("block %d", id))
	if err != nil {
		return err
	}
	if c.h.Cipher != nil {
		c.plain = p
	}
	c.payload, c.blockID = p, id
	c.blocks = append(c.blocks, id)
	return nil
}
