package duckfile

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzHeaders puts any bytes over the main header and the first slot of a plain
// or an encrypted file, with and without making the checksums right. The input
// is small, so that the fuzzer gets somewhere.
func FuzzHeaders(f *testing.F) {
	key := NewKey(fixtureKey)
	sealers := []*sealer{nil, newSealer(f, CipherGCM, 0), newSealer(f, CipherGCM, 1), newSealer(f, CipherCTR, 0), newSealer(f, CipherCTR, 1)}
	files := [][]byte{testFile(3, 2)}
	for _, s := range sealers[1:] {
		files = append(files, s.file(3, 2))
	}
	for i, file := range files {
		f.Add(uint8(i), true, file[8:176], files[0][HeaderSize+8:HeaderSize+64])
		f.Add(uint8(i), true, []byte{}, []byte{})
		f.Add(uint8(i), false, file[8:20], []byte{7})
	}
	f.Fuzz(func(t *testing.T, which uint8, right bool, head, slot []byte) {
		i := int(which) % len(files)
		file := bytes.Clone(files[i])
		b := file[HeaderSize : 2*HeaderSize]
		copy(file[8:HeaderSize], head)
		switch s := sealers[i]; {
		case s == nil:
			copy(b[8:], slot)
		case right:
			payload := make([]byte, HeaderSize-40)
			copy(payload, slot)
			s.sealBlock(b, payload)
		default:
			copy(b, slot)
		}
		if right {
			seal(file[:HeaderSize])
			if i == 0 {
				seal(b)
			}
		}
		checkHeaders(t, file[:BlocksStart])
		checkHeaders(t, file[:min(len(head)*80, BlocksStart)])
		checkAny(t, file, nil, "without a key")
		checkAny(t, file, key, "with the key")
	})
}

// checkHeaders: what is accepted parses to the same from what it says.
func checkHeaders(t *testing.T, b []byte) {
	for _, key := range []*Key{nil, NewKey(fixtureKey)} {
		h, err := ParseHeaders(b, key)
		if err != nil {
			requireFormatError(t, err)
			continue
		}
		require.Equal(t, h.Main.Encrypted(), h.Cipher != nil)
		require.False(t, h.Opaque)
		require.GreaterOrEqual(t, h.StorageVersion(), uint64(MinVersion))
		require.LessOrEqual(t, h.StorageVersion(), uint64(MaxVersion))
		require.Positive(t, h.SubBlockSize())
		require.True(t, bytes.Equal(b[:BlocksStart], h.Raw[:]))
		if h.Cipher == nil {
			require.True(t, bytes.Equal(b[:BlocksStart], rendered(h)))
		}
	}
	h, err := ParseOpaque(b)
	if err != nil {
		requireFormatError(t, err)
		return
	}
	require.Equal(t, h.Main.Encrypted(), h.Opaque)
	if h.Opaque {
		require.False(t, h.CheckBlock(b[HeaderSize:2*HeaderSize]))
		_, err := h.Payload(nil, b[HeaderSize:2*HeaderSize])
		require.ErrorIs(t, err, ErrEncrypted)
	}
}

// FuzzFreeList puts any bytes where the list lies, plain and encrypted.
func FuzzFreeList(f *testing.F) {
	f.Add(testFile(8, 3, 5)[BlocksStart+8 : BlocksStart+8+512])
	f.Add(testFile(60)[BlocksStart+8 : BlocksStart+8+1024])
	plain, s := testFile(8), newSealer(f, CipherGCM, 1)
	sealed := s.file(8)
	f.Fuzz(func(t *testing.T, list []byte) {
		block := bytes.Clone(plain[BlocksStart : BlocksStart+MinBlockSize])
		copy(block[8:], list)
		file := bytes.Clone(plain)
		copy(file[BlocksStart:], seal(block))
		checkAny(t, file, nil, "plain")

		file = bytes.Clone(sealed)
		payload := make([]byte, MinBlockSize-40)
		copy(payload, list)
		s.sealBlock(file[BlocksStart:BlocksStart+MinBlockSize], payload)
		checkAny(t, file, NewKey(fixtureKey), "encrypted")
	})
}

func FuzzWAL(f *testing.F) {
	f.Add(join(walHeader, entry(26, 1, 2), flush(), marker(), flush()))
	f.Add(join(walHeader, entry(29), marker(), flush(), entry(23), flush()))
	f.Fuzz(func(t *testing.T, b []byte) { checkWAL(t, b, nil) })
}

// FuzzEncryptedWAL scans any bytes with the key and without.
func FuzzEncryptedWAL(f *testing.F) {
	var heads []*Headers
	for _, kind := range []CipherKind{CipherGCM, CipherCTR} {
		for version := range uint8(2) {
			s := newSealer(f, kind, version)
			f.Add(s.log(entry(26, 1, 2), flush(), marker(), flush()))
			f.Add(s.log(entry(29), marker(), flush(), entry(23), flush()))
			heads = append(heads, s.head(f), s.opaque(f))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, h := range heads {
			checkWAL(t, b, h)
		}
	})
}

// FuzzEncryptedPayload encrypts any payload, so that the entries are reached.
func FuzzEncryptedPayload(f *testing.F) {
	f.Add([]byte{0x64, 0, 26, 1, 0xff, 0xff})
	f.Add(marker()[16:])
	s := newSealer(f, CipherGCM, 1)
	h := s.head(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		checkWAL(t, s.log(entry(26, 1), flush(), walFrame(payload...), flush()), h)
	})
}

// checkWAL: what is kept of a log is a log of its own, with the same commits,
// no marker and no tail.
func checkWAL(t *testing.T, b []byte, h *Headers) {
	w, err := ScanWAL(bytes.NewReader(b), int64(len(b)), h)
	if err != nil {
		requireFormatError(t, err)
		return
	}
	require.LessOrEqual(t, w.End, w.Scanned)
	if n := w.Header.Size; n > 0 {
		// A longer one than the rendered is padded LEB128.
		head := renderedWALHeader(&w.Header)
		require.LessOrEqual(t, int64(len(head)), n)
		if int64(len(head)) == n {
			require.Equal(t, head, b[:n])
		}
	}
	require.LessOrEqual(t, w.Scanned, int64(len(b)))
	require.Equal(t, w.Tail == nil, w.Scanned == int64(len(b)), "%v", w.Tail)
	if w.Commits == 0 {
		require.Nil(t, w.Keep())
		return
	}
	k := kept(w, b)
	again, err := ScanWAL(bytes.NewReader(k), int64(len(k)), h)
	require.NoError(t, err)
	require.Equal(t, w.Commits, again.Commits)
	require.Empty(t, again.Markers)
	require.Equal(t, int64(len(k)), again.End)
	require.NoError(t, again.Tail)
}

func renderedWALHeader(h *WALHeader) []byte {
	b := binary.AppendUvarint([]byte{0x64, 0, walVersion, 0x65, 0}, h.Version)
	if h.HasIdentifier {
		b = append(b, 0x66, 0, byte(len(h.Identifier)))
		for _, v := range h.Identifier {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	if h.HasIteration {
		b = binary.AppendUvarint(append(b, 0x67, 0), h.Iteration)
	}
	return append(b, 0xff, 0xff)
}
