package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/job"
)

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
	return path
}

func TestWebhookIsSignedAndAuthorised(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, config.Notify{Webhook: &config.Webhook{
		URLFile: secretFile(t, string(s.url())), TokenFile: secretFile(t, "tok-1"), SecretFile: secretFile(t, "key-1"),
	}})
	result := w.announce(failed("r1"))
	assert.Equal(t, job.AnnounceResult{Told: []job.Told{{Event: "failure", Channel: "webhook"}}}, result)
	asked := s.requests()
	require.Len(t, asked, 1)
	mac := hmac.New(sha256.New, []byte("key-1"))
	mac.Write([]byte(asked[0].body))
	h := asked[0].header
	assert.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), h.Get("X-Canvasback-Signature"))
	assert.Equal(t, "Bearer tok-1", h.Get("Authorization"))
	assert.Equal(t, "application/json", h.Get("Content-Type"))
	assert.Equal(t, "failure", h.Get("X-Canvasback-Event"))
	assert.Equal(t, asked[0].payload(t).ID, h.Get("X-Canvasback-Delivery"))
	assert.Equal(t, "POST /"+secretPart, asked[0].method+" "+asked[0].path)
	assert.Equal(t, []string{"failure webhook sent"}, w.observed)
}

func TestSecretsThatCannotBeReadAreFinalAndSayWhichFile(t *testing.T) {
	s := newServer(t, nil)
	open := secretFile(t, "x")
	require.NoError(t, os.Chmod(open, 0o644))
	for name, hook := range map[string]*config.Webhook{
		"url":         {URLFile: open},
		"no url":      {URLFile: secretFile(t, secretPart)},
		"token":       {URL: s.url(), TokenFile: open},
		"secret":      {URL: s.url(), SecretFile: open},
		"two lines":   {URL: s.url(), TokenFile: secretFile(t, "a\nb")},
		"no such one": {URL: s.url(), TokenFile: open + "-gone"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config.Notify{Webhook: hook})
			result := w.announce(failed("r1"))
			require.Len(t, result.Untold, 1)
			assert.Contains(t, result.Untold[0].Error, "secret file ")
		})
	}
	assert.Empty(t, s.requests())
}

func TestPingsByTheConvention(t *testing.T) {
	const run = "0198c1b2-9a3e-7d52-8a4b-2f1c5e6d7a80"
	s := newServer(t, nil)
	w := newWorld(t, config.Notify{Ping: &config.Ping{URL: s.url() + "?a=b"}})
	w.announce(starts(run))
	w.announce(verified(run))
	w.announce(starts("no-uuid"))
	w.announce(failed("no-uuid"))
	drill := failed("d1")
	drill.Task = job.AnnounceDrill
	w.announce(drill)
	var got []string
	for _, r := range s.requests() {
		got = append(got, r.method+" "+r.path+"?"+r.query+" "+r.body)
	}
	assert.Equal(t, []string{
		"POST /" + secretPart + "/start?a=b&rid=" + run + " ",
		"POST /" + secretPart + "?a=b&rid=" + run + " backup b1 of shop is verified",
		"POST /" + secretPart + "/start?a=b ",
		"POST /" + secretPart + "/fail?a=b NoSuchFile: shop.duckdb: no such file",
	}, got)
	assert.Equal(t, []string{"start ping sent", "ok ping sent", "start ping sent", "fail ping sent"}, w.observed)
}

func TestPingsOfNamedURLs(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, config.Notify{Ping: &config.Ping{OKURLFile: secretFile(t, string(s.url())+"?status=up&msg=a%20b"), Method: "GET"}})
	assert.Empty(t, w.announce(starts("r1")))
	w.announce(failed("r1"))
	w.announce(verified("0198c1b2-9a3e-7d52-8a4b-2f1c5e6d7a80"))
	require.Len(t, s.requests(), 1)
	r := s.requests()[0]
	assert.Equal(t, "GET /"+secretPart+"?status=up&msg=a%20b", r.method+" "+r.path+"?"+r.query)
	assert.Empty(t, r.body)
}

// What a server answers to decides whether it is asked again, within the run.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name   string
		answer func(n int, w http.ResponseWriter, r *http.Request)
		asked  int
		says   string // empty: told
	}{
		{"201", code(201), 1, ""},
		{"500 then 200", func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 4 {
				w.WriteHeader(500)
			}
		}, 4, ""},
		{"429 with a short Retry-After, then 200", func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 2 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(429)
			}
		}, 2, ""},
		{"429 with a Retry-After beyond the patience", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}, 1, "answers 429 Too Many Requests"},
		{"a connection that breaks off, then 200", func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 3 {
				panic(http.ErrAbortHandler)
			}
		}, 3, ""},
		{"404 is final, and what it says is not repeated", func(_ int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			fmt.Fprintf(w, "no %s here", r.URL)
		}, 1, "answers 404 Not Found"},
		{"a redirect is not followed", func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere/"+secretPart, http.StatusTemporaryRedirect)
		}, 1, "answers 307 Temporary Redirect, a redirect, which is not followed"},
		{"a body without end", func(_ int, w http.ResponseWriter, r *http.Request) {
			for block := make([]byte, 1<<20); r.Context().Err() == nil; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, 1, ""},
		{"a check that is not there", func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK (not found)") }, 1, "knows no such check"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tt.answer)
			w := newWorld(t, config.Notify{Ping: &config.Ping{OKURL: s.url()}})
			result := w.announce(verified("r1"))
			assert.Len(t, s.requests(), tt.asked)
			if tt.says == "" {
				assert.Equal(t, []job.Told{{Event: "ok", Channel: "ping"}}, result.Told)
				assert.Empty(t, w.letters())
				return
			}
			require.Len(t, result.Untold, 1)
			assert.Equal(t, s.URL+" "+tt.says, result.Untold[0].Error)
			assert.Len(t, w.letters(), 1, "it is tried again later")
			assert.Equal(t, []string{"ok ping failed"}, w.observed)
		})
	}
}

func TestServersThatDoNotAnswer(t *testing.T) {
	hang := make(chan struct{})
	hanging := newServer(t, func(int, http.ResponseWriter, *http.Request) { <-hang })
	slow := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-hang
	})
	t.Cleanup(func() { close(hang) }) // first: the servers wait for those they answer
	gone := newServer(t, nil)
	gone.Close()
	for name, tt := range map[string]struct {
		url  config.SecretURL
		says string
	}{
		"hangs":         {hanging.url(), hanging.URL + " does not answer in time"},
		"stops halfway": {slow.url(), slow.URL + " does not answer in time"},
		"is not there":  {gone.url(), gone.URL + ": dial tcp "},
		"has no name":   {config.SecretURL("http://no-such-host.invalid/" + secretPart), "http://no-such-host.invalid: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config.Notify{Webhook: &config.Webhook{URL: tt.url}, Timeout: config.Duration(50 * time.Millisecond)})
			n := w.notifier()
			n.pace.end = 120 * time.Millisecond
			result := w.announceBy(n, failed("r1"))
			require.Len(t, result.Untold, 1)
			if name != "has no name" || !strings.Contains(result.Untold[0].Error, "in time") {
				assert.Contains(t, result.Untold[0].Error, tt.says)
			}
			assert.Len(t, w.letters(), 1)
		})
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	asked := 0
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(s.Close)
	w := newWorld(t, config.Notify{Webhook: &config.Webhook{URL: config.SecretURL(s.URL + "/" + secretPart)}})
	n := w.notifier()
	n.pace.end = 10 * time.Millisecond
	result := w.announceBy(n, failed("r1"))
	require.Len(t, result.Untold, 1)
	assert.Contains(t, result.Untold[0].Error, "certificate")
	assert.Zero(t, asked)

	n.roots = x509.NewCertPool()
	n.roots.AddCert(s.Certificate())
	n.pace.end = time.Minute
	assert.Len(t, w.announceBy(n, failed("r2")).Told, 1)
	assert.Equal(t, 1, asked)
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "999999": longestAfter, "99999999999999999999": 0,
		began.Add(time.Minute).Format(http.TimeFormat): time.Minute, began.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		assert.Equal(t, want, retryAfter(value, began), value)
	}
}

func TestConceal(t *testing.T) {
	const u = "https://user:pass-word@hc.example/ping/5d3b8f0e?key=hidden-1#frag-2"
	for _, text := range []string{u, "/ping/5d3b8f0e?key=hidden-1", "malformed 5d3b8f0e", "hidden-1", "pass-word", "frag-2"} {
		got := conceal("it said "+text+" to hc.example", u)
		for _, secret := range []string{"5d3b8f0e", "hidden-1", "pass-word", "frag-2"} {
			assert.NotContains(t, got, secret)
		}
		assert.Contains(t, got, "hc.example")
	}
}

// Parts of a few bytes are hidden where they stand as parts of a URL, and leave
// words alone.
func TestConcealOfShortParts(t *testing.T) {
	const u = "https://me:pw@hc.example:8443/ab/z9?k=xy#q"
	got := conceal(`Post "https://me:pw@hc.example:8443/ab/z9?k=xy#q": ab-sent, /ab/z9, "z9" and xyz of hc.example:8443`, u)
	for _, secret := range []string{"me:", "pw", "/ab", "z9", "=xy", "#q"} {
		assert.NotContains(t, got, secret)
	}
	assert.Contains(t, got, "ab-sent")
	assert.Contains(t, got, "xyz of hc.example:8443")
	assert.Equal(t, "see /......", conceal("see /ab/ab/z9?k=xy", "https://hc.example/ab/z9?k=xy"))
}
