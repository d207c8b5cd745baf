package duckfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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
	for _, e := range []error{ErrCorrupt, ErrNotDuckDB, ErrUnsupported, ErrEncrypted, ErrWrongKey, ErrTruncated} {
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
			checkAny(t, f, nil, fmt.Sprintf("field at %d = %d", off, v))
		}
	}
}
