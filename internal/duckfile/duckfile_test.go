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

func TestReadHeaders(t *testing.T) {
	h, err := ReadHeaders(bytes.NewReader(testFile(3, 2)), nil)
	require.NoError(t, err)
	assert.Equal(t, uint64(4), h.Current().Iteration, "the first slot has the higher iteration")
	assert.Equal(t, "v1.5.6", h.Main.Library)
	assert.Equal(t, uint64(64), h.StorageVersion())
	assert.Equal(t, int64(MinBlockSize), h.Current().BlockAllocSize)
}

func TestReadHeadersEqualIterationsMeanTheSecondSlot(t *testing.T) {
	f := testFile(1)
	binary.LittleEndian.PutUint64(f[HeaderSize+8:], 3)
	seal(f[HeaderSize : 2*HeaderSize])
	h, err := ReadHeaders(bytes.NewReader(f), nil)
	require.NoError(t, err)
	assert.Same(t, &h.Slots[1], h.Current())
}

func TestStorageVersions(t *testing.T) {
	for v := uint64(60); v < 75; v++ {
		f := testFile(1)
		binary.LittleEndian.PutUint64(f[12:], v)
		seal(f[:HeaderSize])
		_, err := ReadHeaders(bytes.NewReader(f), nil)
		assert.Equal(t, v >= 64 && v <= 69, err == nil, "version %d: %v", v, err)
		if err != nil {
			assert.ErrorIs(t, err, ErrUnsupported)
		}
	}
	for compat, ok := range map[uint64]bool{63: false, 64: true, 69: true, 70: false} {
		f := testFile(1)
		binary.LittleEndian.PutUint64(f[12:], VersionInHeader)
		seal(f[:HeaderSize])
		binary.LittleEndian.PutUint64(f[HeaderSize+56:], compat)
		seal(f[HeaderSize : 2*HeaderSize])
		h, err := ReadHeaders(bytes.NewReader(f), nil)
		require.Equal(t, ok, err == nil, "compatibility %d: %v", compat, err)
		if ok {
			assert.Equal(t, compat, h.StorageVersion())
		}
	}
}

// requireFormatError: a parser may fail on bytes only with one of its own.
func requireFormatError(t testing.TB, err error, context ...any) {
	t.Helper()
	var fe *FormatError
	require.True(t, errors.As(err, &fe), "%v: %v", context, err)
	for _, e := range []error{ErrCorrupt, ErrNotDuckDB, ErrUnsupported, ErrEncrypted, ErrTruncated} {
		if errors.Is(err, e) {
			return
		}
	}
	t.Fatalf("%v: no sentinel in %v", context, err)
}

func TestHeadersTruncated(t *testing.T) {
	f := testFile(1)
	for n := range BlocksStart {
		_, err := ParseHeaders(f[:n], nil)
		requireFormatError(t, err, n)
	}
}

func TestHeadersFlipped(t *testing.T) {
	f := testFile(1)
	for i := range BlocksStart {
		f[i] ^= 0x40
		_, err := ParseHeaders(f[:BlocksStart], nil)
		requireFormatError(t, err, i)
		f[i] ^= 0x40
	}
}

func TestHeaderFieldsAtTheirLimits(t *testing.T) {
	limits := []uint64{0, 1, 1 << 14, 1<<18 + 1, 1 << 31, 1<<62 - 1, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	for off := 8; off < 64; off += 8 {
		for _, v := range limits {
			f := testFile(3, 2)
			binary.LittleEndian.PutUint64(f[HeaderSize+off:], v)
			seal(f[HeaderSize : 2*HeaderSize])
			checkAny(t, f, fmt.Sprintf("field at %d = %d", off, v))
		}
	}
}

// checkAny runs everything over a file and accepts any outcome but a panic, a
// foreign error or an allocation that the file does not justify.
func checkAny(t testing.TB, f []byte, context string) {
	r := bytes.NewReader(f)
	h, err := ReadHeaders(r, nil)
	if err != nil {
		requireFormatError(t, err, context)
		return
	}
	l, err := ReadFreeList(r, h)
	if err != nil {
		requireFormatError(t, err, context)
	}
	require.LessOrEqual(t, len(l.Free), len(f)/8, context)
	if _, err := CheckFile(r, int64(len(f)), nil, nil); err != nil {
		requireFormatError(t, err, context)
	}
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
			checkAny(t, f, fmt.Sprintf("word %d = %#x", word, v))
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

func TestCheckFileFindsEveryFlip(t *testing.T) {
	f := testFile(4, 2)
	a := int64(MinBlockSize)
	for off := int64(0); off < int64(len(f)); off += 7 {
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
	_, err = ReadFreeList(failingReader{io.EOF}, oneBlock)
	assert.ErrorIs(t, err, ErrTruncated)
}

func FuzzFile(f *testing.F) {
	f.Add(testFile(1))
	f.Add(testFile(4, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkAny(t, b, "as it is")
		if len(b) >= BlocksStart {
			// Past the checksums, where the fields are believed.
			for off := 0; off < BlocksStart; off += HeaderSize {
				seal(b[off : off+HeaderSize])
			}
			checkAny(t, b, "headers sealed")
		}
		if len(b) >= BlocksStart+MinBlockSize {
			seal(b[BlocksStart : BlocksStart+MinBlockSize])
			checkAny(t, b, "block 0 sealed")
		}
	})
}
