package backup

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/repo"
)

// FuzzEvidence reads any bytes as what a drill found: what is taken is written
// and read again as the same.
func FuzzEvidence(f *testing.F) {
	data, err := json.Marshal(repo.Verification{
		Level: "assert", Engine: "v1.5.6", At: time.Unix(1e9, 0).UTC(), Seconds: 0.5, Blocks: 7,
		Tables: []repo.Table{{Name: "main.orders", Rows: 1 << 60, Fingerprint: "00ff"}}, Assertions: []repo.Assertion{{Name: "all there"}},
	})
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte("null"))
	f.Add([]byte(`{"seconds":1e999}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decodeEvidence(bytes.NewReader(data))
		if err != nil {
			require.Nil(t, v)
			return
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		same, err := decodeEvidence(bytes.NewReader(text))
		require.NoError(t, err)
		again, err := json.Marshal(same)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}
