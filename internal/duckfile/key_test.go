package duckfile

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// The canary of a file of DuckDB 1.5.
func TestCanaryVector(t *testing.T) {
	m := MainHeader{Flags: [4]uint64{1}, Encryption: Encryption{KDF: 1, Cipher: CipherGCM, Version: 1, KeyLength: 32}}
	copy(m.Identifier[:], unhex(t, "9ce57e7b360b8c0fe21a153c65aa85a3"))
	copy(m.Encryption.Nonce[:], unhex(t, "f10b8de78ba1f1739529a969"))
	copy(m.Encryption.Canary[:], unhex(t, "2ee0bd8470ee1c46"))
	copy(m.Encryption.Tag[:], unhex(t, "a65f27e88cb405df199d9a51c144d148"))
	_, err := newCipher(NewKey("secretkey"), &m)
	require.NoError(t, err)
	_, err = newCipher(NewKey("secretkez"), &m)
	require.ErrorIs(t, err, ErrWrongKey)
	m.Encryption.Tag[15] ^= 1
	_, err = newCipher(NewKey("secretkey"), &m)
	require.ErrorIs(t, err, ErrWrongKey, "the tag belongs to the canary")
}

func TestNewKey(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text", "secretkey", "secretkey"},
		{"length not of base64", "abcde", "abcde"},
		{"base64", "c2VjcmV0a2V5", "secretkey"},
		{"base64, one byte padded", "c2VjcmV0a2U=", "secretke"},
		{"base64, two bytes padded", "c2VjcmV0aw==", "secretk"},
		{"a password that decodes", "pass", "\xa5\xab\x2c"},
		{"a character outside the alphabet", "pa-s", "pa-s"},
		{"a line break", "c2Vj\ncmV", "c2Vj\ncmV"},
		{"padding in front", "c2==cmV0", "c2==cmV0"},
		{"padding of three", "c===", "c==="},
		{"padding before the last character", "c2=j", "s"},
		{"bits behind the end", "c3==", "s"},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, string(NewKey(c.in).secret())) })
	}
}

func TestKeysAreNeverPrinted(t *testing.T) {
	const secret = "correct horse"
	k := NewKey(secret)
	type holder struct {
		K  *Key
		H  *Headers
		by any
	}
	s := newSealer(t, CipherGCM, 1)
	h := holder{K: k, H: s.head(t), by: *k}
	h.H.Raw = [BlocksStart]byte{} // too long to search
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{k, *k, []*Key{k}, map[string]Key{"k": *k}, h, &h} {
			out := fmt.Sprintf(verb, v)
			for _, form := range []string{secret, "correct", fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint([]byte(secret))} {
				assert.NotContains(t, out, form, verb)
			}
		}
		assert.Equal(t, "AES-256-GCM", fmt.Sprintf(verb, h.H.Cipher))
	}
	out, err := json.Marshal(map[string]any{"key": k, "value": *k})
	require.NoError(t, err)
	assert.JSONEq(t, `{"key": "key(hidden)", "value": "key(hidden)"}`, string(out))
}
