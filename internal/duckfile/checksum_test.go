package duckfile

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func words(w ...uint64) []byte {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// Vectors taken from DuckDB's own computation.
func TestChecksum(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want uint64
	}{
		{"nothing", nil, 0x1505},
		{"zero words", make([]byte, 64), 0x1505},
		{"one word", words(1), 0xbf58476d1ce4f0bc},
		{"two words", words(1, 2), 0xc1e8c9b7252d3bce},
		{"two words exchanged", words(2, 1), 0xc1e8c9b7252d3bce},
		{"a pair cancels", words(7, 7), 0x1505},
		{"seven bytes", []byte{1, 2, 3, 4, 5, 6, 7}, 0xe5fcc9e1d12b2625},
		{"a word and a tail", []byte("DuckDB checksum"), 0x6d3ef105e973134b},
		{"the payload of a FLUSH", []byte{0x64, 0, 0x64, 0xff, 0xff}, 0x5e3ded2f727dfee7},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, Checksum(c.in)) })
	}
}

func TestChecksumOfARealHeader(t *testing.T) {
	h := make([]byte, HeaderSize)
	for off, v := range map[int]uint64{8: 1, 16: 0, 24: 2 << 56, 32: 1, 40: 262144, 48: 2048, 56: 1} {
		binary.LittleEndian.PutUint64(h[off:], v)
	}
	assert.Equal(t, uint64(0x12d75c19ad2d38bc), Checksum(h[8:]))
}

// plainChecksum is the definition, word by word.
func plainChecksum(p []byte) uint64 {
	sum := uint64(checksumSeed)
	for ; len(p) >= 8; p = p[8:] {
		sum ^= binary.LittleEndian.Uint64(p) * checksumFactor
	}
	if len(p) > 0 {
		sum ^= checksumTail(p)
	}
	return sum
}

func TestChecksumEqualsThePlainLoop(t *testing.T) {
	b := testFile(2)
	for n := range 300 {
		require.Equal(t, plainChecksum(b[n:2*n]), Checksum(b[n:2*n]), "length %d", n)
	}
	require.Equal(t, plainChecksum(b), Checksum(b))
}

// The three rates to compare: how fast the checksum is, how fast it would be
// without its lanes, and how fast memory can be copied at all.
func BenchmarkChecksum(b *testing.B) {
	block, to := make([]byte, MaxBlockSize), make([]byte, MaxBlockSize)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"lanes", func() { sink = Checksum(block) }},
		{"plain", func() { sink = plainChecksum(block) }},
		{"copy", func() { copy(to, block) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(MaxBlockSize)
			for b.Loop() {
				c.run()
			}
		})
	}
}

var sink uint64
