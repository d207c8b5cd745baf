package codec

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"canvasback/internal/failure"
)

const uiOrigin = "http://127.0.0.1:8233"

func serve(t *testing.T, k *Keys, a Access) (address string, log *bytes.Buffer) {
	t.Helper()
	s, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	log = &bytes.Buffer{}
	s.Serve(k, a, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() {
		assert.NoError(t, s.Close())
		assert.Empty(t, log.String(), "nothing is logged of what is asked")
	})
	assert.True(t, s.Loopback())
	return "http://" + s.Address(), log
}

// ask sends a request with headers, in pairs, and returns the answer and its body.
func ask(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

func bodyOf(t *testing.T, payloads ...*commonpb.Payload) string {
	t.Helper()
	body, err := protojson.Marshal(listOf(payloads...))
	require.NoError(t, err)
	return string(body)
}

func TestServerDecrypts(t *testing.T) {
	k := keysOf(t, 1)
	address, _ := serve(t, k, Access{Origins: []string{"https://temporal.example.com", uiOrigin}})
	plain := payloadOf(t, "of before")
	resp, body := ask(t, "POST", address+"/decode", bodyOf(t, encoded(t, k, payloadOf(t, "secret")), plain), "Content-Type", "application/json; charset=utf-8", "Origin", uiOrigin, "X-Namespace", "default")
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	assert.Equal(t, uiOrigin, resp.Header.Get("Access-Control-Allow-Origin"))
	assert.Empty(t, resp.Header.Get("Access-Control-Allow-Credentials"))
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	var got commonpb.Payloads
	require.NoError(t, protojson.Unmarshal([]byte(body), &got))
	require.Len(t, got.Payloads, 2)
	assert.True(t, proto.Equal(payloadOf(t, "secret"), got.Payloads[0]))
	assert.True(t, proto.Equal(plain, got.Payloads[1]))

	resp, _ = ask(t, "OPTIONS", address+"/decode", "", "Origin", uiOrigin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-namespace")
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	assert.Equal(t, uiOrigin, resp.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "POST", resp.Header.Get("Access-Control-Allow-Methods"))
	assert.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), "Content-Type")
}

func TestServerRefuses(t *testing.T) {
	k := keysOf(t, 1)
	address, _ := serve(t, k, Access{Origins: []string{uiOrigin}, Token: "let me in"})
	good := bodyOf(t, encoded(t, k, payloadOf(t, "secret")))
	asJSON, bearer := []string{"Content-Type", "application/json"}, []string{"Authorization", "Bearer let me in"}
	both := append(append([]string{}, asJSON...), bearer...)
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		"good":                     {"POST", "/decode", good, both, 200, `"payloads"`},
		"no token":                 {"POST", "/decode", good, asJSON, 401, "a token is wanted"},
		"another token":            {"POST", "/decode", good, append(asJSON, "Authorization", "Bearer let me out"), 401, "a token is wanted"},
		"encoding":                 {"POST", "/encode", good, both, 404, "there is /decode only"},
		"a longer path":            {"POST", "/x/decode", good, both, 404, "there is /decode only"},
		"GET":                      {"GET", "/decode", "", both, 405, "POST is wanted"},
		"another origin":           {"POST", "/decode", good, append(both, "Origin", "http://evil.example.com"), 403, "this origin may not ask"},
		"an origin that begins so": {"POST", "/decode", good, append(both, "Origin", uiOrigin+"0"), 403, "this origin may not ask"},
		"preflight of another":     {"OPTIONS", "/decode", "", []string{"Origin", "null"}, 403, "this origin may not ask"},
		"a name pointed here":      {"POST", "/decode", good, append(both, "Host", "evil.example.com:8081"), 403, "not the name of this server"},
		"a form":                   {"POST", "/decode", good, append(bearer, "Content-Type", "text/plain"), 415, "application/json is wanted"},
		"no JSON":                  {"POST", "/decode", "secret", both, 400, `{"payloads":[...]} is wanted`},
		"too large":                {"POST", "/decode", strings.Repeat(" ", maxBody+1), both, 413, "the request is too large"},
		"another key":              {"POST", "/decode", bodyOf(t, encoded(t, keysOf(t, 2), payloadOf(t, "x"))), both, 400, "encrypted with the key k2, which is not in the key file"},
		"altered":                  {"POST", "/decode", strings.Replace(good, `"data":"`, `"data":"AAAA`, 1), both, 400, "or the payload was altered"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := ask(t, test.method, address+test.path, test.body, test.headers...)
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Contains(t, body, test.says)
			if test.status == 403 {
				assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
			}
			if test.status != 200 {
				assert.NotContains(t, body, "secret")
			}
		})
	}
}

func TestAnOpenServerWarns(t *testing.T) {
	s, err := Listen("0.0.0.0:0")
	require.NoError(t, err)
	var log bytes.Buffer
	s.Serve(keysOf(t, 1), Access{}, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, s.Close())
	assert.False(t, s.Loopback())
	assert.Contains(t, log.String(), "The codec server is open to the network")
}

func TestListen(t *testing.T) {
	s, err := Listen(":0")
	require.NoError(t, err)
	assert.True(t, s.Loopback(), "without a host")
	_, err = Listen(s.Address())
	assert.Equal(t, failure.Usage, failure.Of(err), "%v", err)
	require.NoError(t, s.Close())
	_, err = Listen("8081")
	assert.Equal(t, failure.Usage, failure.Of(err), "%v", err)
}

func TestOrigin(t *testing.T) {
	for text, want := range map[string]string{"http://127.0.0.1:8233": "http://127.0.0.1:8233", "HTTPS://Temporal.Example.com/": "https://temporal.example.com"} {
		got, err := Origin(text)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{"", "*", "null", "127.0.0.1:8233", "ftp://a", "http://a/b", "http://u@a", "http://a?b", "http://a#b", "http://"} {
		_, err := Origin(text)
		assert.Equal(t, failure.Usage, failure.Of(err), "%q", text)
	}
}

// FuzzServer asks with any body: what is answered is a list of payloads that opens
// as the sealed ones do, or an error of a few words.
func FuzzServer(f *testing.F) {
	keys := keysOf(f, 1)
	p, err := converter.GetDefaultDataConverter().ToPayload("shop")
	require.NoError(f, err)
	sealed, err := keys.Encode([]*commonpb.Payload{p})
	require.NoError(f, err)
	body, err := protojson.Marshal(listOf(append(sealed, p)...))
	require.NoError(f, err)
	f.Add(body)
	f.Add([]byte(`{"payloads":[{"metadata":{"encoding":"YmluYXJ5L2VuY3J5cHRlZA=="}}]}`))
	f.Add([]byte(`{"payloads":[null]}`))
	h := &handler{keys: keys, access: Access{Origins: []string{uiOrigin}}, local: true, slots: make(chan struct{}, 1)}
	f.Fuzz(func(t *testing.T, body []byte) {
		req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8081/decode", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", uiOrigin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			require.Contains(t, []int{http.StatusBadRequest, http.StatusInternalServerError}, w.Code)
			require.Less(t, w.Body.Len(), 1000)
			return
		}
		var asked, answered commonpb.Payloads
		require.NoError(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, &asked))
		require.NoError(t, protojson.Unmarshal(w.Body.Bytes(), &answered))
		opened, err := keys.Decode(asked.GetPayloads())
		require.NoError(t, err)
		require.True(t, proto.Equal(listOf(opened...), &answered))
	})
}
