package duckfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkAny runs everything over a file and accepts any outcome but a panic, a
// foreign error or a result that the file does not justify.
func checkAny(t testing.TB, f []byte, key *Key, context string) {
	r := bytes.NewReader(f)
	h, err := ReadHeaders(r, key)
	if err != nil {
		requireFormatError(t, err, context)
		return
	}
	l, err := ReadFreeList(r, h)
	if err != nil {
		requireFormatError(t, err, context)
	} else if h.Cipher == nil && len(l.Chain) > 0 {
		require.Equal(t, l, renderedAgain(t, l, h), context)
	}
	require.LessOrEqual(t, len(l.Free), len(f)/8, context)
	if _, err := CheckFile(r, int64(len(f)), key, nil); err != nil {
		requireFormatError(t, err, context)
	}
}

// renderedAgain writes a free list anew, from the first sub-block of the block on
// that it begins in, into a file of its own, and reads that.
func renderedAgain(t testing.TB, l *FreeList, h *Headers) *FreeList {
	le := binary.LittleEndian
	list := le.AppendUint64(nil, uint64(len(l.Free)))
	for _, id := range l.Free {
		list = le.AppendUint64(list, uint64(id))
	}
	list = le.AppendUint64(list, uint64(len(l.Shared)))
	for _, s := range l.Shared {
		list = le.AppendUint32(le.AppendUint64(list, uint64(s.ID)), s.Uses)
	}
	list = le.AppendUint64(list, uint64(len(l.Meta)))
	for _, m := range l.Meta {
		list = le.AppendUint64(le.AppendUint64(list, uint64(m.ID)), m.FreeMask)
	}
	cur := h.Current()
	file := make([]byte, BlockOffset(l.Chain[0]+1, cur.BlockAllocSize))
	block := file[BlockOffset(l.Chain[0], cur.BlockAllocSize):]
	chainOver(block[8:], list, h.SubBlockSize())
	seal(block)
	anew := &Headers{Slots: [2]DatabaseHeader{1: *cur}}
	anew.Slots[1].FreeList = Pointer(l.Chain[0])
	got, err := ReadFreeList(bytes.NewReader(file), anew)
	require.NoError(t, err)
	got.Chain = l.Chain // it lies elsewhere
	return got
}

func TestReadFreeList(t *testing.T) {
	var free []int64
	for id := int64(40); id < 120; id += 2 {
		free = append(free, id)
	}
	f := testFile(120, free...) // the list spans several sub-blocks
	h, err := ReadHeaders(bytes.NewReader(f), nil)
	require.NoError(t, err)
	l, err := ReadFreeList(bytes.NewReader(f), h)
	require.NoError(t, err)
	assert.Equal(t, free, l.Free)
	assert.Equal(t, []SharedBlock{{ID: 119, Uses: 2}}, l.Shared)
	assert.Equal(t, []MetaBlock{{ID: 0, FreeMask: 0xff}}, l.Meta)
	assert.Equal(t, []int64{0}, l.Chain)
	assert.True(t, l.IsFree(42))
	assert.False(t, l.IsFree(43))
	n, err := CheckFile(bytes.NewReader(f), int64(len(f)), nil, nil)
	require.NoError(t, err)
	assert.Equal(t, int64(120-len(free)), n)
}

func TestFreeListFieldsAtTheirLimits(t *testing.T) {
	whole := testFile(8, 3, 5)
	list := 16 // behind the checksum and the chain's next pointer
	for word := -1; word < 12; word++ {
		for _, v := range []uint64{0, 1, 7, 8, 9, 1 << 32, 1<<62 + 1, 1 << 63, 1<<64 - 1, 63 << 56, 64 << 56, 5} {
			f := bytes.Clone(whole)
			block := f[BlocksStart : BlocksStart+MinBlockSize]
			binary.LittleEndian.PutUint64(block[list+8*word:], v)
			seal(block)
			checkAny(t, f, nil, fmt.Sprintf("word %d = %#x", word, v))
		}
	}
}

func TestFreeListThatRunsInACircle(t *testing.T) {
	f := testFile(60)
	block := f[BlocksStart : BlocksStart+MinBlockSize]
	binary.LittleEndian.PutUint64(block[8:], 0)   // next of 0.0 is 0.0
	binary.LittleEndian.PutUint64(block[16:], 59) // a list longer than a sub-block
	for i := range 29 {
		binary.LittleEndian.PutUint64(block[24+8*i:], uint64(i))
	}
	seal(block)
	h, err := ReadHeaders(bytes.NewReader(f), nil)
	require.NoError(t, err)
	_, err = ReadFreeList(bytes.NewReader(f), h)
	require.ErrorIs(t, err, ErrCorrupt)
	assert.ErrorContains(t, err, "circle")
}

func TestFreeListWithABlockTwice(t *testing.T) {
	f := testFile(8, 3, 5)
	block := f[BlocksStart : BlocksStart+MinBlockSize]
	binary.LittleEndian.PutUint64(block[32:], 3) // 3, 3
	seal(block)
	_, err := CheckFile(bytes.NewReader(f), int64(len(f)), nil, nil)
	require.ErrorIs(t, err, ErrCorrupt)
	assert.ErrorContains(t, err, "not ascending")
}

// TestFreeListIsBoundedByTheFile: counts that the header allows, and a chain
// that says it holds them, in a file that does not.
func TestFreeListIsBoundedByTheFile(t *testing.T) {
	f := testFile(8)
	slot := f[HeaderSize : 2*HeaderSize]
	binary.LittleEndian.PutUint64(slot[32:], 1<<40)
	seal(slot)
	block := f[BlocksStart : BlocksStart+MinBlockSize]
	for _, n := range []uint64{1 << 31, 1 << 40} {
		for word := range 4 {
			binary.LittleEndian.PutUint64(block[16+8*word:], n)
		}
		seal(block)
		h, err := ReadHeaders(bytes.NewReader(f), nil)
		require.NoError(t, err)
		spent := allocated(func() { _, err = ReadFreeList(bytes.NewReader(f), h) })
		requireFormatError(t, err)
		assert.Less(t, spent, uint64(len(f)))
	}
}

func TestCheckFileFindsFlips(t *testing.T) {
	f := testFile(4, 2)
	a := int64(MinBlockSize)
	for off := int64(0); off < int64(len(f)); off += 61 {
		id := (off - BlocksStart) / a
		f[off] ^= 0x10
		_, err := CheckFile(bytes.NewReader(f), int64(len(f)), nil, nil)
		if off >= BlocksStart && id == 2 {
			require.NoError(t, err, "block 2 is free")
		} else {
			requireFormatError(t, err, off)
		}
		f[off] ^= 0x10
	}
}

func TestCheckFileTruncated(t *testing.T) {
	f := testFile(4, 3)
	for n := 0; n < len(f); n += 997 {
		_, err := CheckFile(bytes.NewReader(f[:n]), int64(n), nil, nil)
		if n >= len(f)-MinBlockSize {
			require.NoError(t, err, "only the free block at the end is missing")
			continue
		}
		requireFormatError(t, err, n)
	}
}

type failingReader struct{ err error }

func (f failingReader) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestReadErrorsAreNoVerdict(t *testing.T) {
	disk := errors.New("input/output error")
	_, err := ReadHeaders(failingReader{disk}, nil)
	assert.ErrorIs(t, err, disk)
	_, err = ScanWAL(failingReader{disk}, 100, nil)
	assert.ErrorIs(t, err, disk)
	oneBlock := &Headers{Slots: [2]DatabaseHeader{1: {BlockCount: 1, BlockAllocSize: MinBlockSize}}}
	_, err = ReadFreeList(failingReader{disk}, oneBlock)
	assert.ErrorIs(t, err, disk)
	_, err = ReadOpaque(failingReader{disk})
	assert.ErrorIs(t, err, disk)
	_, err = CheckFile(failingReader{disk}, 100, nil, nil)
	assert.ErrorIs(t, err, disk)
	_, err = ReadFreeList(failingReader{io.EOF}, oneBlock)
	assert.ErrorIs(t, err, ErrTruncated)
}

func TestFreeListThatFreesWhatTheHeaderStandsOn(t *testing.T) {
	for id, want := range map[int64]string{0: "none that holds the free list", 1: "none that holds the catalog"} {
		f := testFile(8, id, 5)
		_, err := CheckFile(bytes.NewReader(f), int64(len(f)), nil, nil)
		require.ErrorIs(t, err, ErrCorrupt)
		assert.ErrorContains(t, err, want)
	}
}
