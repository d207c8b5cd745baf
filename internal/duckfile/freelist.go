package duckfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Pointer names a sub-block of a metadata block.
type Pointer uint64

// NoPointer is the pointer that points nowhere.
const NoPointer Pointer = 1<<64 - 1

// Block is the id of the metadata block, Sub the sub-block in it.
func (p Pointer) Block() int64 { return int64(p & (1<<56 - 1)) }

// Sub is the index of the sub-block, valid below 64.
func (p Pointer) Sub() int64 { return int64(p >> 56) }

func (p Pointer) String() string {
	if p == NoPointer {
		return "none"
	}
	return fmt.Sprintf("%d.%d", p.Block(), p.Sub())
}

// SubBlockSize is the size of a metadata sub-block in a file with blocks of a
// bytes.
func SubBlockSize(a int64) int64 { return (a - 8) / 64 &^ 7 }

// FreeList is what the free-list chain of a header holds.
type FreeList struct {
	// Free are the blocks that the header does not use, ascending.
	Free []int64
	// Meta are the metadata blocks with the mask of their free sub-blocks.
	Meta []MetaBlock
	// Chain are the blocks that hold the list itself, in the order read.
	Chain []int64
}

// MetaBlock is a block of metadata; bit k of FreeMask set: sub-block k is free.
type MetaBlock struct {
	ID       int64
	FreeMask uint64
}

// IsFree reports whether block id is on the list.
func (l *FreeList) IsFree(id int64) bool {
	_, ok := slices.BinarySearch(l.Free, id)
	return ok
}

// ReadFreeList follows the free-list chain of h. Each block of the chain is
// read whole and its checksum checked. Memory is bounded by the chain's own
// length, which is bounded by the block count. io.EOF of r is ErrTruncated.
func ReadFreeList(r io.ReaderAt, h *DatabaseHeader) (*FreeList, error) {
	c := &chain{r: r, h: h, next: h.FreeList, seen: map[Pointer]bool{}}
	l := &FreeList{}
	if h.FreeList == NoPointer {
		return l, nil
	}
	err := l.read(c)
	l.Chain = c.blocks
	return l, err
}

func (l *FreeList) read(c *chain) error {
	nFree, err := c.count("free blocks")
	if err != nil {
		return err
	}
	prev := int64(-1)
	for range nFree {
		id, err := c.id("free block")
		if err != nil {
			return err
		}
		if id <= prev {
			return corrupt(c.at, "free list is not ascending", id, fmt.Sprintf("more than %d", prev))
		}
		prev = id
		l.Free = append(l.Free, id)
	}
	nMulti, err := c.count("shared blocks")
	if err != nil {
		return err
	}
	for range nMulti {
		if _, err := c.take(12); err != nil {
			return err
		}
	}
	nMeta, err := c.count("metadata blocks")
	if err != nil {
		return err
	}
	for range nMeta {
		id, err := c.id("metadata block")
		if err != nil {
			return err
		}
		b, err := c.take(8)
		if err != nil {
			return err
		}
		l.Meta = append(l.Meta, MetaBlock{ID: id, FreeMask: binary.LittleEndian.Uint64(b)})
	}
	return nil
}

// chain reads the data bytes of a chain of sub-blocks, one after the other.
type chain struct {
	r       io.ReaderAt
	h       *DatabaseHeader
	next    Pointer
	seen    map[Pointer]bool
	blocks  []int64
	block   []byte // the block read last, whose id is blockID
	blockID int64
	data    []byte // what is left of the sub-block
	buf     [16]byte
	at      int64 // file offset of the sub-block, for errors
}

// count reads a u64 that counts things of this file.
func (c *chain) count(what string) (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(c.h.BlockCount) {
		return 0, corrupt(c.at, "number of "+what, n, fmt.Sprintf("at most the block count %d", c.h.BlockCount))
	}
	return n, nil
}

func (c *chain) id(what string) (int64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	id := int64(binary.LittleEndian.Uint64(b))
	if id < 0 || id >= c.h.BlockCount {
		return 0, corrupt(c.at, what, id, fmt.Sprintf("below the block count %d", c.h.BlockCount))
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
	a := c.h.BlockAllocSize
	if p.Block() >= c.h.BlockCount || p.Sub() >= 64 {
		return corrupt(c.at, "metadata pointer", p, fmt.Sprintf("a block below %d, a sub-block below 64", c.h.BlockCount))
	}
	if c.seen[p] {
		return corrupt(c.at, "free-list chain runs in a circle at pointer", p, nil)
	}
	c.seen[p] = true
	if c.block == nil || c.blockID != p.Block() {
		if err := c.load(p.Block()); err != nil {
			return err
		}
	}
	s := SubBlockSize(a)
	sub := c.block[8+p.Sub()*s : 8+(p.Sub()+1)*s]
	c.at = BlockOffset(p.Block(), a) + 8 + p.Sub()*s
	c.next = Pointer(binary.LittleEndian.Uint64(sub))
	c.data = sub[8:]
	return nil
}

func (c *chain) load(id int64) error {
	a := c.h.BlockAllocSize
	if c.block == nil {
		c.block = make([]byte, a)
	}
	off := BlockOffset(id, a)
	if n, err := c.r.ReadAt(c.block, off); n < len(c.block) {
		if err == io.EOF {
			return &FormatError{Off: off, What: fmt.Sprintf("block %d lies beyond the file's end", id), Err: ErrTruncated}
		}
		return err
	}
	if !CheckBlock(c.block) {
		return blockSum(c.block, id, off)
	}
	c.blockID = id
	c.blocks = append(c.blocks, id)
	return nil
}

func blockSum(b []byte, id, off int64) error {
	return corrupt(off, fmt.Sprintf("block %d checksum", id), hex64(binary.LittleEndian.Uint64(b)), hex64(Checksum(b[8:])))
}

type hex64 uint64

func (h hex64) String() string { return fmt.Sprintf("%#016x", uint64(h)) }

func quoteMagic(b []byte) string {
	if len(b) <= 8 {
		return fmt.Sprintf("a file of %d bytes", len(b))
	}
	return fmt.Sprintf("%q", b[8:min(12, len(b))])
}
