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

// FreeList is what the free-list chain of a header holds.
type FreeList struct {
	// Free are the blocks that the header does not use, ascending.
	Free []int64
	// Shared are the blocks that several segments use.
	Shared []SharedBlock
	// Meta are the metadata blocks with the mask of their free sub-blocks.
	Meta []MetaBlock
	// Chain are the blocks that hold the list itself, in the order read.
	Chain []int64
}

// SharedBlock is a block with more than one user.
type SharedBlock struct {
	ID   int64
	Uses uint32
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

// ReadFreeList follows the free-list chain of h's current slot. Each block of the
// chain is read whole and its checksum checked. Memory is bounded by the chain's
// own length, which is bounded by the block count. io.EOF of r is ErrTruncated;
// an opaque file is ErrEncrypted.
func ReadFreeList(r io.ReaderAt, h *Headers) (*FreeList, error) {
	if h.Opaque {
		return nil, &FormatError{Off: HeaderSize, What: "database headers", Err: ErrEncrypted}
	}
	cur := h.Current()
	c := &chain{r: r, h: h, count: cur.BlockCount, size: cur.BlockAllocSize, next: cur.FreeList, seen: map[Pointer]bool{}}
	l := &FreeList{}
	if cur.FreeList == NoPointer {
		return l, nil
	}
	err := l.read(c)
	l.Chain = c.blocks
	if err == nil {
		err = l.checkUsed(cur)
	}
	return l, err
}

// checkUsed refuses a list that frees what the header itself stands on: DuckDB
// writes none, and a reader that leaves free blocks out would lose it.
func (l *FreeList) checkUsed(cur *DatabaseHeader) error {
	for _, id := range l.Chain {
		if l.IsFree(id) {
			return corrupt(BlockOffset(id, cur.BlockAllocSize), "free block", id, "none that holds the free list")
		}
	}
	if cur.MetaBlock == NoPointer {
		return nil
	}
	if id := cur.MetaBlock.Block(); l.IsFree(id) {
		return corrupt(BlockOffset(id, cur.BlockAllocSize), "free block", id, "none that holds the catalog")
	}
	return nil
}

func (l *FreeList) read(c *chain) error {
	nFree, err := c.number("free blocks")
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
	nMulti, err := c.number("shared blocks")
	if err != nil {
		return err
	}
	for range nMulti {
		b, err := c.take(12)
		if err != nil {
			return err
		}
		le := binary.LittleEndian
		l.Shared = append(l.Shared, SharedBlock{ID: int64(le.Uint64(b)), Uses: le.Uint32(b[8:])})
	}
	nMeta, err := c.number("metadata blocks")
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
