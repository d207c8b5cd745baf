package codec

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// The metadata of a sealed payload.
const (
	encoding   = "binary/encrypted"
	cipherName = "aes-256-gcm"

	cipherEntry = "encryption-cipher"
	idEntry     = "encryption-key-id"
)

const (
	// MaxPayload is the largest payload that is sealed or opened, in bytes, and far
	// above what a server takes.
	MaxPayload = 16 << 20
	// overhead is by how much sealing makes data longer: nonce and tag.
	overhead = 12 + 16
	// maxMetadata bounds the entries of a sealed payload, in bytes together.
	maxMetadata = 1 << 10
)

// Error is a payload that cannot be opened, or sealed. Its text names the key and
// never shows what is in a payload or a key.
type Error struct {
	KeyID string // the name of the key, as the payload says; empty: it does not
	text  string
}

func (e *Error) Error() string { return e.text }

// unreadable is the Error of a payload that is not in order.
func unreadable(format string, args ...any) error {
	return &Error{text: "an encrypted payload of Temporal cannot be read: " + fmt.Sprintf(format, args...)}
}

// locked is the Error of a payload of the key.
func locked(id, format string, args ...any) error {
	return &Error{id, "a payload of Temporal is encrypted with the key " + id + ", " + fmt.Sprintf(format, args...)}
}

// Encode seals payloads with the first key: converter.PayloadCodec.
func (k *Keys) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if k == nil {
		return payloads, nil
	}
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if out[i], err = k.seal(p); err != nil {
			return payloads, err
		}
	}
	return out, nil
}

// Decode opens those payloads that are sealed, and returns the others as they are:
// converter.PayloadCodec. The error is an *Error.
func (k *Keys) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		out[i] = p
		if !sealed(p) {
			continue
		}
		var err error
		if out[i], err = k.open(p); err != nil {
			return payloads, err
		}
	}
	return out, nil
}

var _ converter.PayloadCodec = (*Keys)(nil)

func (k *Keys) seal(p *commonpb.Payload) (*commonpb.Payload, error) {
	if p == nil {
		return nil, nil
	}
	plain, err := proto.Marshal(unmarked(p))
	if err != nil {
		return nil, &Error{text: "a payload for Temporal cannot be encrypted: it is none"}
	}
	if len(plain) > MaxPayload {
		return nil, &Error{text: fmt.Sprintf("a payload for Temporal cannot be encrypted: it has %d bytes, more than %d", len(plain), MaxPayload)}
	}
	first := k.keys[0]
	metadata := map[string][]byte{converter.MetadataEncoding: []byte(encoding), cipherEntry: []byte(cipherName), idEntry: []byte(first.id)}
	return &commonpb.Payload{Metadata: metadata, Data: first.aead.Seal(nil, nil, plain, bound(metadata))}, nil
}

// sealed tells whether a payload says that it is one. Any of the entries will do:
// what was sealed and altered must not pass for what never was.
func sealed(p *commonpb.Payload) bool {
	m := p.GetMetadata()
	return string(m[converter.MetadataEncoding]) == encoding || m[cipherEntry] != nil || m[idEntry] != nil
}

func (k *Keys) open(p *commonpb.Payload) (*commonpb.Payload, error) {
	id, err := checked(p)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, locked(id, "and no key file is named")
	}
	key := k.find(id)
	if key == nil {
		return nil, locked(id, "which is not in the key file %s", k.path)
	}
	plain, err := key.aead.Open(nil, nil, p.Data, bound(p.Metadata))
	if err != nil {
		return nil, locked(id, "and the one of that name in %s does not open it: it is another key, or the payload was altered", k.path)
	}
	inner := &commonpb.Payload{}
	if err := proto.Unmarshal(plain, inner); err != nil {
		return nil, locked(id, "and what it holds is no payload")
	}
	return inner, nil
}

// checked returns the name of the key of a sealed payload that has the form of
// one.
func checked(p *commonpb.Payload) (id string, err error) {
	m, size := p.GetMetadata(), 0
	for name, value := range m {
		size += len(name) + len(value)
	}
	switch id = string(m[idEntry]); {
	case size > maxMetadata:
		return "", unreadable("its metadata has %d bytes, more than %d", size, maxMetadata)
	case !idPattern.MatchString(id):
		return "", unreadable("it does not name its key")
	case string(m[converter.MetadataEncoding]) != encoding || string(m[cipherEntry]) != cipherName:
		return "", locked(id, "in a way that this program does not know")
	case len(p.Data) < overhead:
		return "", locked(id, "and is cut short: %d bytes", len(p.Data))
	case len(p.Data) > MaxPayload+overhead:
		return "", locked(id, "and has %d bytes, more than %d", len(p.Data), MaxPayload+overhead)
	case len(p.GetExternalPayloads()) > 0:
		return "", locked(id, "and refers to data elsewhere")
	}
	return id, nil
}

// bound is the additional data that the tag covers: all metadata, in the order of
// its names, each with its length.
func bound(metadata map[string][]byte) []byte {
	b := []byte("canvasback payload 1\x00")
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
		b = append(b, name...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(metadata[name])))
		b = append(b, metadata[name]...)
	}
	return b
}
