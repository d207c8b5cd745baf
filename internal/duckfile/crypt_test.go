package duckfile

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// sealer encrypts as DuckDB does, written from the description of the format
// and not by turning the reader round.
type sealer struct {
	kind    CipherKind
	version uint8
	block   cipher.Block
	nonces  uint64 // used so far
}

var testIdentifier = [16]byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11, 12, 13, 14, 15, 16}

func newSealer(t testing.TB, kind CipherKind, version uint8) *sealer {
	t.Helper()
	key := NewKey(fixtureKey).derive(testIdentifier)
	block, err := aes.NewCipher(key[:])
	require.NoError(t, err)
	return &sealer{kind: kind, version: version, block: block}
}

// eachSealer runs a test for both ciphers in both encryption versions.
func eachSealer(t *testing.T, test func(t *testing.T, s *sealer)) {
	t.Helper()
	for _, kind := range []CipherKind{CipherGCM, CipherCTR} {
		for version := range uint8(2) {
			t.Run(fmt.Sprintf("%v version %d", kind, version), func(t *testing.T) {
				test(t, newSealer(t, kind, version))
			})
		}
	}
}

func (s *sealer) nonceSize() int {
	if s.version == 0 {
		return 16
	}
	return 12
}

func (s *sealer) nextNonce() []byte {
	s.nonces++
	return binary.LittleEndian.AppendUint64(make([]byte, s.nonceSize()-8), s.nonces*0x9e3779b97f4a7c15)
}

// encrypt returns the ciphertext and 16 bytes of tag, garbage with CTR.
func (s *sealer) encrypt(kind CipherKind, nonce, text []byte) (sealed, tag []byte) {
	if kind == CipherCTR {
		sealed = make([]byte, len(text))
		iv := append(append([]byte{}, nonce...), make([]byte, 16-len(nonce))...)
		cipher.NewCTR(s.block, iv).XORKeyStream(sealed, text)
		return sealed, []byte("no tag: garbage.")
	}
	gcm, err := cipher.NewGCMWithNonceSize(s.block, len(nonce))
	if err != nil {
		panic(err)
	}
	sealed = gcm.Seal(nil, nonce, text, nil)
	return sealed[:len(text)], sealed[len(text):]
}

// sealBlock encrypts checksum and payload into the whole of b.
func (s *sealer) sealBlock(b, payload []byte) {
	nonce := s.nextNonce()
	text := append(binary.LittleEndian.AppendUint64(nil, Checksum(payload)), payload...)
	sealed, tag := s.encrypt(s.kind, nonce, text)
	clear(b[:32])
	copy(b, nonce)
	copy(b[len(nonce):], tag)
	copy(b[32:], sealed)
}

// encryptMain makes the plain main header at b one of an encrypted file.
func (s *sealer) encryptMain(b []byte) {
	binary.LittleEndian.PutUint64(b[20:], 1)
	copy(b[116:], []byte{1, 0, byte(s.kind), s.version, 32, 0, 0, 0})
	copy(b[124:], testIdentifier[:])
	canary := []byte("DUCKKEY\x00")
	if s.version == 0 {
		sealed, _ := s.encrypt(s.kind, make([]byte, 16), canary)
		copy(b[140:], sealed)
	} else {
		nonce := s.nextNonce()
		sealed, tag := s.encrypt(CipherGCM, nonce, canary)
		copy(b[140:], sealed)
		copy(b[148:], nonce)
		copy(b[160:], tag)
	}
	seal(b)
}

// file is testFile, encrypted.
func (s *sealer) file(count int64, free ...int64) []byte {
	const a = MinBlockSize
	plain := testFile(count, free...)
	out := make([]byte, len(plain))
	copy(out, plain[:HeaderSize])
	s.encryptMain(out[:HeaderSize])
	for off := HeaderSize; off < BlocksStart; off += HeaderSize {
		s.sealBlock(out[off:off+HeaderSize], plain[off+8:off+HeaderSize-32])
	}
	for id := range count {
		b := out[BlockOffset(id, a):BlockOffset(id+1, a)]
		payload := make([]byte, a-40)
		if id == 0 {
			chainOver(payload, freeListData(count, free), (a-40)/64&^7)
		} else {
			copy(payload, plain[BlockOffset(id, a)+8:])
		}
		s.sealBlock(b, payload)
	}
	return out
}

// putSlot makes the database header at b another one, with a field of it set.
func (s *sealer) putSlot(b []byte, iteration uint64, field int, v uint64) {
	const size = HeaderSize - 32 // without nonce and tag
	plain := make([]byte, size)
	copy(plain, testFile(3, 2)[HeaderSize:HeaderSize+64])
	binary.LittleEndian.PutUint64(plain[8:], iteration)
	binary.LittleEndian.PutUint64(plain[field:], v)
	s.sealBlock(b, plain[8:])
}

// head is the parsed head of such a file.
func (s *sealer) head(t testing.TB) *Headers {
	t.Helper()
	h, err := ParseHeaders(s.file(1)[:BlocksStart], NewKey(fixtureKey))
	require.NoError(t, err)
	return h
}

func (s *sealer) opaque(t testing.TB) *Headers {
	t.Helper()
	h, err := ParseOpaque(s.file(1)[:BlocksStart])
	require.NoError(t, err)
	return h
}

var sealedWALHeader = []byte{0x64, 0, 98, 0x65, 0, 3, 0xff, 0xff}

// frame encrypts a plain frame.
func (s *sealer) frame(plain []byte) []byte {
	nonce := s.nextNonce()
	sealed, tag := s.encrypt(s.kind, nonce, plain[8:])
	if s.kind == CipherCTR && s.version == 1 {
		tag = nil
	}
	return join(plain[:8], nonce, sealed, tag)
}

// log encrypts plain frames and puts a header before them.
func (s *sealer) log(plain ...[]byte) []byte {
	out := append([]byte{}, sealedWALHeader...)
	for _, f := range plain {
		out = append(out, s.frame(f)...)
	}
	return out
}
