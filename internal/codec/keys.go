package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
)

// Env names the key file where the flag --codec-key-file does not.
const Env = "CANVASBACK_CODEC_KEY_FILE"

// Usage is what the help of the flag says.
const Usage = "`FILE` with the keys that encrypt what Temporal keeps (default: " + Env + ", or none: nothing is encrypted)"

// keyBytes is the length of a key.
const keyBytes = 32

// MaxKeys is how many keys a file holds at most.
const MaxKeys = 32

// Keys seal with the first of them, and open with any. Nil has none: it seals
// nothing, and what is sealed is refused. It does not change once it is made, and
// is safe for concurrent use.
type Keys struct {
	path string
	keys []key
}

type key struct {
	id   string
	aead cipher.AEAD
}

// Load reads the key file that flag names, or else the environment; nil where
// neither does. Each line of the file is NAME KEY, the key being 32 bytes in
// base64; # begins a comment. A file that others may read, that belongs to another
// user or that is none is InvalidConfig, without a word of what is in it.
func Load(flag string, getenv func(string) string) (*Keys, error) {
	path := flag
	if path == "" {
		path = getenv(Env)
	}
	if path == "" {
		return nil, nil
	}
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	keys, err := parse(text)
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "key file %s: %w", path, err)
	}
	return &Keys{path: path, keys: keys}, nil
}

// read is config's reading of secrets, of files of this user or root.
func read(path string) (string, error) {
	if info, err := os.Stat(path); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && foreign(st.Uid, os.Geteuid()) {
			return "", failure.Errorf(failure.InvalidConfig, "key file %s: it belongs to user %d: give it to the user that reads it, or to root", path, st.Uid)
		}
	}
	return config.ReadSecretFile(path)
}

// foreign tells whether a file's owner is neither this user nor root, and so could
// give it another key.
func foreign(owner uint32, me int) bool { return owner != 0 && int64(owner) != int64(me) }

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// parse never says what it has read: that may be a key.
func parse(text string) ([]key, error) {
	var keys []key
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 || !idPattern.MatchString(words[0]) {
			return nil, fmt.Errorf("line %d: want the name of a key and the key in base64", n)
		}
		id := words[0]
		secret, err := base64.StdEncoding.Strict().DecodeString(words[1])
		if err != nil || len(secret) != keyBytes {
			return nil, fmt.Errorf("line %d: the key %s is not %d bytes in base64", n, id, keyBytes)
		}
		if slices.ContainsFunc(keys, func(k key) bool { return k.id == id }) {
			return nil, fmt.Errorf("line %d: the key %s is there twice", n, id)
		}
		k, err := newKey(id, secret)
		if err != nil {
			return nil, fmt.Errorf("line %d: the key %s: %w", n, id, err)
		}
		keys = append(keys, k)
	}
	switch {
	case len(keys) == 0:
		return nil, fmt.Errorf("there is no key in it: 'starter codec key' makes one")
	case len(keys) > MaxKeys:
		return nil, fmt.Errorf("%d keys, more than %d", len(keys), MaxKeys)
	}
	return keys, nil
}

func newKey(id string, secret []byte) (key, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return key{id, aead}, err
}

// IDs are the names of the keys in the order of the file.
func (k *Keys) IDs() []string {
	if k == nil {
		return nil
	}
	ids := make([]string, len(k.keys))
	for i := range k.keys {
		ids[i] = k.keys[i].id
	}
	return ids
}

// File is where they come from.
func (k *Keys) File() string {
	if k == nil {
		return ""
	}
	return k.path
}

// find returns the key of the name; nil if it is not there.
func (k *Keys) find(id string) *key {
	if k == nil {
		return nil
	}
	for i := range k.keys {
		if k.keys[i].id == id {
			return &k.keys[i]
		}
	}
	return nil
}

// newLine makes a key: its name, which has the day in it, and its line of a file.
func newLine(now time.Time) (id, line string) {
	var name [4]byte
	var secret [keyBytes]byte
	rand.Read(name[:])   // never fails
	rand.Read(secret[:]) // never fails
	id = now.UTC().Format("20060102") + "-" + hex.EncodeToString(name[:])
	return id, id + " " + base64.StdEncoding.EncodeToString(secret[:]) + "\n"
}
