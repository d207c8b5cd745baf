package hotcopy

import (
	"encoding/binary"
	"math/bits"

	"canvasback/internal/duckfile"
)

// The bytes of the simulated database: DuckDB's format with the smallest
// blocks, and contents of our own in the metadata and in WAL entries.
const (
	simA    = 16 << 10 // block size
	simSub  = 248      // metadata sub-block size, (simA-8)/64 rounded down to 8
	simData = simSub - 8
	simRows = 6 // row 0 is the number of the last commit
)

var le = binary.LittleEndian

// simSeg is a segment: a block whose content follows from id and value.
type simSeg struct {
	id, value uint64
	block     int64
}

// logical is what a database says: rows by key and segments by id, ascending.
type logical struct {
	rows [simRows]uint64
	segs []simSeg
}

func (l *logical) clone() logical {
	return logical{l.rows, append([]simSeg(nil), l.segs...)}
}

// equal compares what is said, not where it stands.
func (l *logical) equal(o *logical) bool {
	if l.rows != o.rows || len(l.segs) != len(o.segs) {
		return false
	}
	for i, s := range l.segs {
		if s.id != o.segs[i].id || s.value != o.segs[i].value {
			return false
		}
	}
	return true
}

// find returns where segment id stands or would be inserted.
func (l *logical) find(id uint64) (int, bool) {
	for i, s := range l.segs {
		if s.id >= id {
			return i, s.id == id
		}
	}
	return len(l.segs), false
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func seal(b []byte) { le.PutUint64(b, duckfile.Checksum(b[8:])) }

// fillSegment writes the block of a segment into b.
func fillSegment(b []byte, id, value uint64) {
	le.PutUint64(b[8:], id)
	le.PutUint64(b[16:], value)
	x := mix(id*0x9e3779b97f4a7c15 ^ value)
	for at := 24; at < len(b); at += 8 {
		x += 0x9e3779b97f4a7c15
		le.PutUint64(b[at:], x*0xd6e8feb86659fd93)
	}
	seal(b)
}

// simStats is how many words of statistics a segment has in the catalog; they
// make the chains long enough to need several metadata blocks.
func simStats(value uint64) int { return 8 + int(value>>8)%90 }

// appendCatalog is the content of the catalog's chain.
func appendCatalog(b []byte, l *logical) []byte {
	for _, v := range l.rows {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint64(b, uint64(len(l.segs)))
	for _, s := range l.segs {
		b = le.AppendUint64(b, s.id)
		b = le.AppendUint64(b, s.value)
		b = le.AppendUint64(b, uint64(s.block))
		for k := range simStats(s.value) {
			b = le.AppendUint64(b, mix(s.value+uint64(k)))
		}
	}
	return b
}

// simMeta is a metadata block of the list: which sub-blocks are free.
type simMeta struct {
	id   int64
	mask uint64
}

// appendFreeList is the content of the free list's chain. Blocks are a set of
// bits: there are never more than 64.
func appendFreeList(b []byte, free uint64, multi []int64, meta []simMeta) []byte {
	b = le.AppendUint64(b, uint64(bits.OnesCount64(free)))
	for id := range 64 {
		if free>>id&1 != 0 {
			b = le.AppendUint64(b, uint64(id))
		}
	}
	b = le.AppendUint64(b, uint64(len(multi)))
	for _, id := range multi {
		b = le.AppendUint64(b, uint64(id))
		b = le.AppendUint32(b, 2)
	}
	b = le.AppendUint64(b, uint64(len(meta)))
	for _, m := range meta {
		b = le.AppendUint64(b, uint64(m.id))
		b = le.AppendUint64(b, m.mask)
	}
	return b
}

func simPointer(block int64, sub int) uint64 { return uint64(block) | uint64(sub)<<56 }

// simFormat is what a database file says of its format.
type simFormat struct {
	version uint64
	compat  uint64
	tagged  bool // the WAL's header has identifier and iteration
	id      [16]byte
}

func (f *simFormat) mainHeader() []byte {
	b := make([]byte, duckfile.HeaderSize)
	copy(b[8:], "DUCK")
	le.PutUint64(b[12:], f.version)
	copy(b[52:], "v1.5.4")
	copy(b[84:], "0123456789")
	copy(b[124:], f.id[:])
	seal(b)
	return b
}

func (f *simFormat) slot(iteration, meta, freeList uint64, count int64) []byte {
	b := make([]byte, duckfile.HeaderSize)
	for i, v := range []uint64{iteration, meta, freeList, uint64(count), simA, 2048, f.compat} {
		le.PutUint64(b[8+8*i:], v)
	}
	seal(b)
	return b
}

// Entry types of the WAL.
const (
	entryDrop   = 2
	entryRow    = 26
	entrySeg    = 29
	entryMarker = 99
	entryFlush  = 100
)

func (f *simFormat) walHeader(iteration uint64) []byte {
	b := []byte{0x64, 0, 98, 0x65, 0, 2}
	if f.tagged {
		b = append(b, 0x66, 0, 16)
		for _, c := range f.id {
			b = binary.AppendUvarint(b, uint64(c))
		}
		b = append(b, 0x67, 0)
		b = binary.AppendUvarint(b, iteration)
	}
	return append(b, 0xff, 0xff)
}

func appendFrame(b, payload []byte) []byte {
	b = le.AppendUint64(b, uint64(len(payload)))
	b = le.AppendUint64(b, duckfile.Checksum(payload))
	return append(b, payload...)
}

func appendEntry(b []byte, kind byte, fields ...uint64) []byte {
	p := make([]byte, 0, 64)
	p = append(p, 0x64, 0, kind)
	for _, v := range fields {
		p = le.AppendUint64(p, v)
	}
	return appendFrame(b, append(p, 0xff, 0xff))
}

// appendMarker announces a header with the root pointer meta, and flushes.
func appendMarker(b []byte, meta uint64) []byte {
	p := []byte{0x64, 0, entryMarker, 0x65, 0}
	if meta != 0 {
		p = binary.AppendUvarint(append(p, 0x64, 0), meta)
	}
	p = append(p, 0x65, 0, 8, 0xff, 0xff, 0xff, 0xff)
	return appendEntry(appendFrame(b, p), entryFlush)
}

// change is one entry of a transaction.
type change struct {
	kind     byte
	key, val uint64
	block    int64
}

func appendCommit(b []byte, changes []change) []byte {
	for _, c := range changes {
		switch c.kind {
		case entryRow:
			b = appendEntry(b, c.kind, c.key, c.val)
		case entrySeg:
			b = appendEntry(b, c.kind, c.key, c.val, uint64(c.block))
		case entryDrop:
			b = appendEntry(b, c.kind, c.key)
		}
	}
	return appendEntry(b, entryFlush)
}
