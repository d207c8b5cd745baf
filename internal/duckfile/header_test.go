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

// rendered writes the fields of parsed headers back to where the format has
// them; text and what has no field is left as it is.
func rendered(h *Headers) []byte {
	le := binary.LittleEndian
	b := append([]byte{}, h.Raw[:]...)
	m, e := &h.Main, &h.Main.Encryption
	le.PutUint64(b, m.Checksum)
	le.PutUint64(b[12:], m.Version)
	for i, f := range m.Flags {
		le.PutUint64(b[20+8*i:], f)
	}
	copy(b[52:84], m.Library)
	copy(b[84:116], m.SourceID)
	copy(b[116:], []byte{e.KDF, e.AAD, byte(e.Cipher), e.Version})
	le.PutUint32(b[120:], e.KeyLength)
	copy(b[124:], m.Identifier[:])
	copy(b[140:], e.Canary[:])
	copy(b[148:], e.Nonce[:])
	copy(b[160:], e.Tag[:])
	for i := range h.Slots {
		s := &h.Slots[i]
		slot := b[(i+1)*HeaderSize:]
		for k, v := range []uint64{s.Checksum, s.Iteration, uint64(s.MetaBlock), uint64(s.FreeList), uint64(s.BlockCount), uint64(s.BlockAllocSize), s.VectorSize, s.Compatibility} {
			// A zero that stands for the usual value.
			if (k == 5 || k == 6) && le.Uint64(slot[8*k:]) == 0 {
				continue
			}
			le.PutUint64(slot[8*k:], v)
		}
	}
	return b
}

func TestHeadersRenderToTheirBytes(t *testing.T) {
	f := testFile(3, 2)[:BlocksStart]
	for i := 12; i < 176; i++ { // each byte another
		if i >= 20 { // but for the version
			f[i] = byte(i)
		}
	}
	f[20] &^= 1 // not encrypted
	seal(f[:HeaderSize])
	h, err := ParseHeaders(f, nil)
	require.NoError(t, err)
	assert.Equal(t, f, rendered(h))
	assert.Equal(t, h.Main.Library, string(f[52:84]))
	assert.Equal(t, [3]byte{116, 117, 118}, [3]byte{h.Main.Encryption.KDF, h.Main.Encryption.AAD, byte(h.Main.Encryption.Cipher)})
}
