package duckfile

import "encoding/binary"

const (
	checksumFactor = 0xbf58476d1ce4e5b9
	checksumSeed   = 5381
)

// Checksum is DuckDB's checksum of headers, blocks and WAL payloads. It is the
// XOR of one product per 8-byte word, so it finds torn and flipped bytes but
// does not see words that changed places: it is never an identity of content.
func Checksum(p []byte) uint64 {
	le := binary.LittleEndian
	// Four independent lanes let the multiplications overlap, eight words a
	// turn keep the loop's own work small, and the array spares the bounds
	// checks.
	var a, b, c, d uint64
	for len(p) >= 64 {
		w := (*[64]byte)(p)
		a ^= le.Uint64(w[0:]) * checksumFactor
		b ^= le.Uint64(w[8:]) * checksumFactor
		c ^= le.Uint64(w[16:]) * checksumFactor
		d ^= le.Uint64(w[24:]) * checksumFactor
		a ^= le.Uint64(w[32:]) * checksumFactor
		b ^= le.Uint64(w[40:]) * checksumFactor
		c ^= le.Uint64(w[48:]) * checksumFactor
		d ^= le.Uint64(w[56:]) * checksumFactor
		p = p[64:]
	}
	sum := checksumSeed ^ a ^ b ^ c ^ d
	for len(p) >= 8 {
		sum ^= le.Uint64(p) * checksumFactor
		p = p[8:]
	}
	if len(p) > 0 {
		sum ^= checksumTail(p)
	}
	return sum
}

// checksumTail folds the last 1 to 7 bytes.
func checksumTail(t []byte) uint64 {
	const m = 0xc6a4a7935bd1e995
	h := uint64(0xe17a1465) ^ uint64(len(t))*m
	var w uint64
	for i, c := range t {
		w |= uint64(c) << (8 * i)
	}
	h ^= w
	h *= m
	h ^= h >> 47
	h *= m
	h ^= h >> 47
	return h
}
