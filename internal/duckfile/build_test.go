package duckfile

import (
	"encoding/binary"
)

// seal writes the checksum of a header or block into its first 8 bytes.
func seal(b []byte) []byte {
	binary.LittleEndian.PutUint64(b, Checksum(b[8:]))
	return b
}

// testFile builds a database file with blocks of 16 KiB: ids 0..count-1, of
// which free are free. Block 0 holds the free list, all others a pattern.
func testFile(count int64, free ...int64) []byte {
	const a = MinBlockSize
	le := binary.LittleEndian
	file := make([]byte, BlocksStart+count*a)
	m := file[:HeaderSize]
	copy(m[8:], "DUCK")
	le.PutUint64(m[12:], 64)
	copy(m[52:], "v1.5.6")
	seal(m)
	for i, iteration := range []uint64{4, 3} {
		s := file[(i+1)*HeaderSize : (i+2)*HeaderSize]
		le.PutUint64(s[8:], iteration)
		le.PutUint64(s[16:], uint64(Pointer(1)))
		le.PutUint64(s[24:], 0) // block 0, sub-block 0
		le.PutUint64(s[32:], uint64(count))
		le.PutUint64(s[40:], a)
		le.PutUint64(s[48:], 2048)
		le.PutUint64(s[56:], 1)
		seal(s)
	}
	b := file[BlocksStart : BlocksStart+a]
	chainOver(b[8:], freeListData(count, free), (a-8)/64&^7)
	seal(b)
	for id := int64(1); id < count; id++ {
		b := file[BlockOffset(id, a):BlockOffset(id+1, a)]
		for i := range b {
			b[i] = byte(int64(i) * (id + 3) >> 3)
		}
		seal(b)
	}
	return file
}

// freeListData is the free list as one stream: the free blocks, a shared one
// and a metadata block.
func freeListData(count int64, free []int64) []byte {
	le := binary.LittleEndian
	list := le.AppendUint64(nil, uint64(len(free)))
	for _, id := range free {
		list = le.AppendUint64(list, uint64(id))
	}
	list = le.AppendUint64(list, 1)
	list = le.AppendUint64(list, uint64(count-1))
	list = le.AppendUint32(list, 2)
	list = le.AppendUint64(list, 1)
	list = le.AppendUint64(list, 0)
	return le.AppendUint64(list, 0xff)
}

// chainOver lays data out over as many sub-blocks of s bytes as it needs.
func chainOver(payload, data []byte, s int64) {
	for k := int64(0); ; k++ {
		sub := payload[k*s : (k+1)*s]
		n := copy(sub[8:], data)
		data = data[n:]
		if len(data) == 0 {
			binary.LittleEndian.PutUint64(sub, uint64(NoPointer))
			return
		}
		binary.LittleEndian.PutUint64(sub, uint64(k+1)<<56)
	}
}

var walHeader = []byte{0x64, 0, 98, 0x65, 0, 2, 0xff, 0xff}

func walFrame(payload ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, Checksum(payload))
	return append(b, payload...)
}

func entry(kind byte, fields ...byte) []byte {
	return walFrame(append(append([]byte{0x64, 0, kind}, fields...), 0xff, 0xff)...)
}

func flush() []byte { return entry(walFlush) }

// marker announces a header whose root is block 29, sub-block 7.
func marker() []byte {
	return walFrame(0x64, 0, 0x63, 0x65, 0, 0x64, 0, 0x9d, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x07, 0x65, 0, 8, 0xff, 0xff, 0xff, 0xff)
}

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
