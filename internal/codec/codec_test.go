package codec

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// secretOf is a key that only its number decides.
func secretOf(n byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n, n ^ 0x5a}, keyBytes/2))
}

// keyFile writes a key file of lines.
func keyFile(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "codec.keys")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// keysOf loads keys k1, k2 and so on, in the order of the numbers.
func keysOf(t testing.TB, numbers ...byte) *Keys {
	t.Helper()
	var lines []string
	for _, n := range numbers {
		lines = append(lines, fmt.Sprintf("k%d %s", n, secretOf(n)))
	}
	k, err := Load(keyFile(t, lines...), func(string) string { return "" })
	require.NoError(t, err)
	return k
}

func payloadOf(t testing.TB, value any) *commonpb.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return p
}

func encoded(t testing.TB, k *Keys, p *commonpb.Payload) *commonpb.Payload {
	t.Helper()
	out, err := k.Encode([]*commonpb.Payload{p})
	require.NoError(t, err)
	require.Len(t, out, 1)
	return out[0]
}

// refusedBy says why k does not open p.
func refusedBy(t *testing.T, k *Keys, p *commonpb.Payload) *Error {
	t.Helper()
	_, err := k.Decode([]*commonpb.Payload{p})
	var e *Error
	require.ErrorAs(t, err, &e)
	for n := range byte(4) {
		assert.NotContains(t, e.Error(), secretOf(n))
	}
	return e
}

func TestPayloadsComeBack(t *testing.T) {
	k := keysOf(t, 1)
	all := []*commonpb.Payload{
		payloadOf(t, "/var/lib/shop/shop.duckdb"), payloadOf(t, nil), payloadOf(t, []byte{0, 1, 2}), payloadOf(t, map[string]int{"a": 1}), {},
		{Metadata: map[string][]byte{"encoding": []byte("json/plain"), "more": {}}, Data: bytes.Repeat([]byte("x"), 1<<20)},
	}
	sealedOnes, err := k.Encode(all)
	require.NoError(t, err)
	for i, s := range sealedOnes {
		assert.Len(t, s.Metadata, 3)
		assert.Equal(t, "binary/encrypted", string(s.Metadata["encoding"]))
		assert.Equal(t, "k1", string(s.Metadata["encryption-key-id"]))
		assert.Len(t, s.Data, proto.Size(all[i])+overhead)
		if len(all[i].Data) > 8 {
			assert.False(t, bytes.Contains(s.Data, all[i].Data[:9]), "payload %d is to be read", i)
		}
	}
	back, err := k.Decode(sealedOnes)
	require.NoError(t, err)
	for i := range all {
		assert.True(t, proto.Equal(all[i], back[i]), "payload %d", i)
	}
}

func TestNoNonceIsUsedTwice(t *testing.T) {
	k, p, seen := keysOf(t, 1), payloadOf(t, "the same"), map[string]bool{}
	for range 1000 {
		seen[string(encoded(t, k, p).Data[:12])] = true
	}
	assert.Len(t, seen, 1000)
}

func TestPlainPayloadsAreRead(t *testing.T) {
	p := payloadOf(t, "of before")
	for _, k := range []*Keys{nil, keysOf(t, 1)} {
		out, err := k.Decode([]*commonpb.Payload{p, nil})
		require.NoError(t, err)
		assert.Same(t, p, out[0])
		assert.Nil(t, out[1])
	}
}

func TestWithoutKeysNothingIsSealed(t *testing.T) {
	var none *Keys
	p := payloadOf(t, "plain")
	assert.Same(t, p, encoded(t, none, p))
	e := refusedBy(t, none, encoded(t, keysOf(t, 1), p))
	assert.Equal(t, "k1", e.KeyID)
	assert.Equal(t, "a payload of Temporal is encrypted with the key k1, and no key file is named", e.Error())
	assert.Empty(t, none.IDs())
}

func TestKeysOfOthersAreNamed(t *testing.T) {
	sealedOne, other := encoded(t, keysOf(t, 1), payloadOf(t, "x")), keysOf(t, 2, 3)
	e := refusedBy(t, other, sealedOne)
	assert.Equal(t, "k1", e.KeyID)
	assert.Equal(t, "a payload of Temporal is encrypted with the key k1, which is not in the key file "+other.File(), e.Error())

	other.keys[0].id = "k1" // another key of that name
	assert.Contains(t, refusedBy(t, other, sealedOne).Error(), "with the key k1, and the one of that name in "+other.File()+" does not open it")
}

func TestRotation(t *testing.T) {
	old := encoded(t, keysOf(t, 1), payloadOf(t, "old"))
	between, after := keysOf(t, 1, 2), keysOf(t, 2, 1)
	assert.Equal(t, "k1", string(encoded(t, between, payloadOf(t, "x")).Metadata[idEntry]), "the first encrypts")
	recent := encoded(t, after, payloadOf(t, "new"))
	assert.Equal(t, "k2", string(recent.Metadata[idEntry]))
	for _, k := range []*Keys{between, after} {
		_, err := k.Decode([]*commonpb.Payload{old, recent})
		assert.NoError(t, err, "all decrypt")
	}
	assert.Equal(t, "k2", refusedBy(t, keysOf(t, 1), recent).KeyID)
}

// TestNothingAlteredIsOpened cuts the data at every length, and turns over every
// byte of data and metadata, in three ways.
func TestNothingAlteredIsOpened(t *testing.T) {
	k := keysOf(t, 1, 2)
	good := encoded(t, k, payloadOf(t, "/var/lib/shop/shop.duckdb"))
	altered := func(change func(p *commonpb.Payload)) *commonpb.Payload {
		p := proto.Clone(good).(*commonpb.Payload)
		change(p)
		return p
	}
	_, err := k.Decode([]*commonpb.Payload{altered(func(*commonpb.Payload) {})})
	require.NoError(t, err)
	for n := range good.Data {
		refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Data = p.Data[:n] }))
	}
	refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Data = append(p.Data, 0) }))
	for _, bits := range []byte{0x01, 0x80, 0xff} {
		for i := range good.Data {
			refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Data[i] ^= bits }))
		}
		for name, value := range good.Metadata {
			for i := range value {
				refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Metadata[name][i] ^= bits }))
				refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Metadata[name] = value[:i] }))
			}
			for i := range name {
				refusedBy(t, k, altered(func(p *commonpb.Payload) {
					renamed := []byte(name)
					renamed[i] ^= bits
					p.Metadata[string(renamed)] = value
					delete(p.Metadata, name)
				}))
			}
			refusedBy(t, k, altered(func(p *commonpb.Payload) { delete(p.Metadata, name) }))
		}
	}
	refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Metadata["more"] = []byte("x") }))
	refusedBy(t, k, altered(func(p *commonpb.Payload) { p.Metadata[idEntry] = []byte("k2") }))
	refusedBy(t, k, altered(func(p *commonpb.Payload) { p.ExternalPayloads = []*commonpb.Payload_ExternalPayloadDetails{{}} }))
}

func TestSizesAreBounded(t *testing.T) {
	k := keysOf(t, 1)
	_, err := k.Encode([]*commonpb.Payload{{Data: make([]byte, MaxPayload)}})
	assert.ErrorContains(t, err, "a payload for Temporal cannot be encrypted: it has 16777221 bytes, more than 16777216")
	p := encoded(t, k, &commonpb.Payload{Data: make([]byte, MaxPayload-5)})
	_, err = k.Decode([]*commonpb.Payload{p})
	require.NoError(t, err)
	p.Data = append(p.Data, 0)
	assert.Contains(t, refusedBy(t, k, p).Error(), "and has 16777245 bytes, more than 16777244")
	p.Metadata["more"] = make([]byte, maxMetadata)
	assert.Contains(t, refusedBy(t, k, p).Error(), "its metadata has")
}

// FuzzDecode: what is opened is what was sealed, what says nothing of sealing is
// returned as it is, and all else is an Error.
func FuzzDecode(f *testing.F) {
	k := keysOf(f, 1, 2)
	// Another process of the fuzzer seals the seeds anew: only what is in them is the
	// same.
	made := map[string]bool{}
	for _, text := range []string{"", "x", "/var/lib/shop/shop.duckdb"} {
		inner := payloadOf(f, text)
		p := encoded(f, k, inner)
		made[string(inner.Data)] = true
		f.Add([]byte(encoding), []byte(cipherName), []byte("k1"), p.Data)
		f.Add([]byte(encoding), []byte(cipherName), []byte("k2"), p.Data)
		f.Add([]byte("json/plain"), []byte(nil), []byte(nil), inner.Data)
	}
	f.Fuzz(func(t *testing.T, enc, name, id, data []byte) {
		p := &commonpb.Payload{Metadata: map[string][]byte{"encoding": enc, cipherEntry: name, idEntry: id}, Data: data}
		maps.DeleteFunc(p.Metadata, func(_ string, v []byte) bool { return len(v) == 0 })
		before := proto.Clone(p)
		out, err := k.Decode([]*commonpb.Payload{p})
		require.True(t, proto.Equal(before, p), "it was changed")
		var e *Error
		switch {
		case err != nil:
			require.ErrorAs(t, err, &e)
			require.NotContains(t, err.Error(), secretOf(1))
		case !sealed(p):
			require.Same(t, p, out[0])
		default:
			require.True(t, made[string(out[0].GetData())], "it was never sealed")
		}
	})
}
