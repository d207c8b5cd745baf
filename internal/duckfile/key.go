package duckfile

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// Key is the secret of an encrypted database as its owner gives it to ATTACH.
// It serves any number of files: each derives its own AES key from it. It is
// never printed.
type Key struct {
	// A function, because package fmt prints an address of it even where it
	// calls no method, as in the unexported field of another struct.
	secret func() []byte
}

const hiddenKey = "key(hidden)"

// NewKey takes the text of DuckDB's ENCRYPTION_KEY: base64 if it decodes as
// such, else the bytes themselves. It does not judge it; the file's canary does.
func NewKey(secret string) *Key {
	b, ok := decodeBase64(secret)
	if !ok {
		b = []byte(secret)
	}
	return &Key{func() []byte { return b }}
}

func (k Key) String() string { return hiddenKey }

// Format hides the key from every verb of package fmt.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hiddenKey)) }

// MarshalText hides the key from encoders.
func (k Key) MarshalText() ([]byte, error) { return []byte(hiddenKey), nil }

// derive is the AES-256 key of the file with this identifier.
func (k Key) derive(identifier [16]byte) [32]byte {
	h := sha256.New()
	h.Write(identifier[:])
	h.Write(k.secret())
	return [32]byte(h.Sum(nil))
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// decodeBase64 decodes as DuckDB does, which differs from encoding/base64 in
// what it lets through: padding is looked for in the last two places only, each
// by itself, and there is no such thing as a line break.
func decodeBase64(s string) ([]byte, bool) {
	if len(s)%4 != 0 {
		return nil, false
	}
	out := make([]byte, 0, len(s)/4*3)
	for i := 0; i < len(s); i += 4 {
		var v uint32
		for j, c := range []byte(s[i : i+4]) {
			d := strings.IndexByte(base64Alphabet, c)
			if c == '=' && j >= 2 && i+4 == len(s) {
				d = 0
			}
			if d < 0 {
				return nil, false
			}
			v = v<<6 | uint32(d)
		}
		out = append(out, byte(v>>16), byte(v>>8), byte(v))
	}
	switch {
	case len(s) == 0:
	case s[len(s)-2] == '=':
		out = out[:len(out)-2]
	case s[len(s)-1] == '=':
		out = out[:len(out)-1]
	}
	return out, true
}
