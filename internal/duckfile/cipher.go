package duckfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
)

// CipherKind is how an encrypted file is encrypted, always with AES-256.
type CipherKind uint8

// The kinds that DuckDB writes.
const (
	CipherGCM CipherKind = 1
	CipherCTR CipherKind = 2
)

func (k CipherKind) String() string {
	switch k {
	case 0:
		return "none"
	case CipherGCM:
		return "AES-256-GCM"
	case CipherCTR:
		return "AES-256-CTR"
	}
	return "unknown"
}

const (
	tagSize = 16
	// cryptPrefix is what stands before the ciphertext of an encrypted header
	// or block: nonce, tag and padding.
	cryptPrefix = 32

	keyDerivationSHA256 = 1
	keyLength           = 32
)

var canaryText = [8]byte{'D', 'U', 'C', 'K', 'K', 'E', 'Y', 0}

// errSealed: a ciphertext that its tag does not cover.
var errSealed = errors.New("authentication tag does not match")

// Cipher decrypts one file. It holds no state between calls and may be used by
// any number of goroutines at once.
type Cipher struct {
	layout  cryptLayout
	block   cipher.Block
	aead    cipher.AEAD // nil: CTR
	scratch sync.Pool   // of *[]byte
}

// String and Format keep the key out of every print.
func (c *Cipher) String() string { return c.layout.kind.String() }

// Format prints the kind of cipher for every verb of package fmt.
func (c *Cipher) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// cryptLayout is where nonce and tag lie. It is known without the key.
type cryptLayout struct {
	kind  CipherKind
	nonce int // bytes
	// frameTag is how many bytes follow the ciphertext of a WAL frame. The
	// first encryption version leaves them there for CTR too, without meaning.
	frameTag int
}

// layout of the main header's encryption. Its cipher and version were checked.
func (e *Encryption) layout() cryptLayout {
	l := cryptLayout{kind: e.Cipher, nonce: 16, frameTag: tagSize}
	if e.Version >= 1 {
		l.nonce = 12
		if e.Cipher == CipherCTR {
			l.frameTag = 0
		}
	}
	return l
}

// newCipher derives the file's key and tries it on the canary.
func newCipher(key *Key, h *MainHeader) (*Cipher, error) {
	derived := key.derive(h.Identifier)
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		return nil, err
	}
	c := &Cipher{layout: h.Encryption.layout(), block: block}
	if c.layout.kind == CipherGCM {
		if c.aead, err = cipher.NewGCMWithNonceSize(block, c.layout.nonce); err != nil {
			return nil, err
		}
	}
	right, err := c.knows(&h.Encryption)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, &FormatError{Off: 140, What: "the key does not decrypt the main header's canary", Err: ErrWrongKey}
	}
	return c, nil
}

// knows tries the key on the canary. In encryption version 0 the canary has
// neither a nonce of its own, zeros serve, nor a tag; from version 1 on it is
// encrypted with GCM whatever the file's cipher is.
func (c *Cipher) knows(e *Encryption) (bool, error) {
	var zeros [16]byte
	got := e.Canary
	if e.Version == 0 && c.aead == nil {
		c.stream(zeros[:]).XORKeyStream(got[:], got[:])
		return got == canaryText, nil
	}
	nonce := zeros[:c.layout.nonce]
	if e.Version >= 1 {
		nonce = e.Nonce[:]
	}
	gcm, err := cipher.NewGCMWithNonceSize(c.block, len(nonce))
	if err != nil {
		return false, err
	}
	// Encrypting the text must give the canary: that needs no tag.
	sealed := gcm.Seal(nil, nonce, canaryText[:], nil)
	right := subtle.ConstantTimeCompare(sealed[:8], got[:]) == 1
	return right && (e.Version == 0 || subtle.ConstantTimeCompare(sealed[8:], e.Tag[:]) == 1), nil
}

// stream is the CTR key stream that begins with nonce, padded with zeros.
func (c *Cipher) stream(nonce []byte) cipher.Stream {
	var iv [aes.BlockSize]byte
	copy(iv[:], nonce)
	return cipher.NewCTR(c.block, iv[:])
}

// open decrypts text into dst[:0], which must not overlap it: the checksum and
// the bytes it covers. Tag is not looked at with CTR.
func (c *Cipher) open(dst, nonce, text, tag []byte) ([]byte, error) {
	if c.aead == nil {
		dst = append(dst[:0], text...)
		c.stream(nonce).XORKeyStream(dst, dst)
		return dst, nil
	}
	dst = append(append(dst[:0], text...), tag...)
	dst, err := c.aead.Open(dst[:0], nonce, dst, nil)
	if err != nil {
		return nil, errSealed
	}
	return dst, nil
}

// openBlock decrypts a whole header or block: the checksum and the payload.
func (c *Cipher) openBlock(dst, b []byte) ([]byte, error) {
	n := c.layout.nonce
	return c.open(dst, b[:n], b[cryptPrefix:], b[n:n+tagSize])
}

// buffer lends a scratch buffer until give.
func (c *Cipher) buffer() *[]byte {
	if b, ok := c.scratch.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func (c *Cipher) give(b *[]byte) { c.scratch.Put(b) }
