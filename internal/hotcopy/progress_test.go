package hotcopy

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func someRecord() record {
	return record{
		Version: progressVersion, Device: 1, Inode: 1 << 63, Headers: sumOf([]byte("headers")), Main: mark{Present: true, End: 4096, SHA256: sumOf(nil)},
		Commits: 3, WALBytes: 4096, Limit: 900, Next: 256, Began: time.Unix(1e9, 0).UTC(), Attempt: 2, BytesRead: 1 << 40,
	}
}

// A record is taken as it was written, or not at all.
func TestRecordThatWasChanged(t *testing.T) {
	data, err := encodeRecord(someRecord())
	require.NoError(t, err)
	back, ok := decodeRecord(data)
	require.True(t, ok)
	assert.Equal(t, someRecord(), back)
	for n := range data {
		_, ok := decodeRecord(data[:n])
		assert.False(t, ok, "the first %d bytes", n)
		for bit := range 8 {
			changed := append([]byte{}, data...)
			changed[n] ^= 1 << bit
			if r, ok := decodeRecord(changed); ok {
				assert.Equal(t, someRecord(), r, "bit %d of byte %d", bit, n)
			}
		}
	}
}

func TestRecordOfAnotherVersion(t *testing.T) {
	old, err := json.Marshal(someRecord())
	require.NoError(t, err)
	_, ok := decodeRecord(old)
	assert.False(t, ok, "one without a sum")
	for what, change := range map[string]func(*record){
		"earlier": func(r *record) { r.Version-- }, "later": func(r *record) { r.Version++ }, "before the first block": func(r *record) { r.Next = -1 },
	} {
		r := someRecord()
		change(&r)
		data, err := encodeRecord(r)
		require.NoError(t, err)
		_, ok := decodeRecord(data)
		assert.False(t, ok, what)
	}
}

// FuzzProgress reads any bytes as a record, and any bytes under a sum that fits:
// what is taken is written and read again as the same.
func FuzzProgress(f *testing.F) {
	data, err := json.Marshal(someRecord())
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, ok := decodeRecord(data)
		require.False(t, ok) // nobody guesses a sum
		var compact bytes.Buffer
		if json.Compact(&compact, data) != nil {
			return // no JSON
		}
		summed, err := json.Marshal(progress{sumOf(compact.Bytes()), compact.Bytes()})
		require.NoError(t, err)
		r, ok := decodeRecord(summed)
		if !ok {
			return
		}
		require.GreaterOrEqual(t, r.Next, int64(0))
		again, err := encodeRecord(r)
		require.NoError(t, err)
		same, ok := decodeRecord(again)
		require.True(t, ok)
		require.Equal(t, r, same)
	})
}
