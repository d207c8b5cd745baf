package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"canvasback/internal/codec"
	"canvasback/internal/failure"
)

func TestCodecKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "codec.keys")
	do := func(want int, args ...string) (doc keysDoc) {
		t.Helper()
		status, out, errOut := run(t, t.Context(), append(append([]string{"codec"}, args...), "--json")...)
		require.Equal(t, want, status, "%s%s", out, errOut)
		require.NoError(t, json.Unmarshal([]byte(out), &doc))
		if text, err := os.ReadFile(path); err == nil {
			for word := range strings.FieldsSeq(string(text)) {
				assert.False(t, len(word) == 44 && strings.Contains(out+errOut, word), "a key is printed")
			}
		}
		return doc
	}
	first := do(failure.ExitDone, "key", path)
	assert.Equal(t, []string{first.Made}, first.Keys)
	do(failure.TargetExists.Exit, "key", path)
	second := do(failure.ExitDone, "key", path, "--add")
	assert.Equal(t, []string{first.Made, second.Made}, second.Keys)
	assert.Equal(t, []string{second.Made, first.Made}, do(failure.ExitDone, "use", path, second.Made).Keys)
	do(failure.ExitUsage, "use", path, "nobody")
	do(failure.ExitUsage, "use", path)
	do(failure.ExitUsage, "key")
	_, out, _ := run(t, t.Context(), "codec", "key", path, "--add")
	assert.Contains(t, out, "encrypts")
	assert.Contains(t, out, "decrypts only")
}

func TestCodecServeRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "codec.keys")
	_, _, _ = run(t, t.Context(), "codec", "key", path)
	for want, args := range map[string][]string{
		"there is nothing to decrypt with":        {"--ui-origin", "http://127.0.0.1:8233"},
		`the origin "*"`:                          {"--ui-origin", "*", "--codec-key-file", path},
		`required flag(s) "ui-origin" not set`:    {"--codec-key-file", path},
		"codec server address 8081":               {"--ui-origin", "http://127.0.0.1:8233", "--codec-key-file", path, "--listen", "8081"},
		"secret file /nowhere: no such file":      {"--ui-origin", "http://127.0.0.1:8233", "--codec-key-file", path, "--token-file", "/nowhere"},
		"secret file /nowhere/keys: no such file": {"--ui-origin", "http://127.0.0.1:8233", "--codec-key-file", "/nowhere/keys"},
	} {
		status, _, errOut := run(t, t.Context(), append([]string{"codec", "serve"}, args...)...)
		assert.Equal(t, failure.ExitUsage, status, want)
		assert.Contains(t, errOut, want)
	}
}

// TestCodecServe asks the command as a browser does, and ends it as Ctrl-C does.
func TestCodecServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "codec.keys")
	_, err := codec.Create(path, time.Now())
	require.NoError(t, err)
	keys, err := codec.Load(path, os.Getenv)
	require.NoError(t, err)
	t.Setenv(codec.Env, path)

	ctx, cancel := context.WithCancel(t.Context())
	out, to := io.Pipe()
	var errOut bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"codec", "serve", "--ui-origin", "http://127.0.0.1:8233", "--listen", "127.0.0.1:0", "--json"}, strings.NewReader(""), to, &errOut)
		to.Close()
	}()
	var doc struct{ Address string }
	require.NoError(t, json.NewDecoder(out).Decode(&doc))

	plain, err := converter.GetDefaultDataConverter().ToPayload("/var/lib/shop/shop.duckdb")
	require.NoError(t, err)
	sealed, err := keys.Encode([]*commonpb.Payload{plain})
	require.NoError(t, err)
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: sealed})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, doc.Address+"/decode", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "http://127.0.0.1:8233")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, string(answer))
	var got commonpb.Payloads
	require.NoError(t, protojson.Unmarshal(answer, &got))
	assert.Equal(t, `"/var/lib/shop/shop.duckdb"`, string(got.Payloads[0].Data))

	cancel()
	assert.Equal(t, failure.ExitDone, <-ended)
	assert.Empty(t, errOut.String(), "nothing is said of what was asked")
}
