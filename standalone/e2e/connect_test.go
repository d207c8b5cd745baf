package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/tlstest"
	"canvasback/standalone/server"
)

// with is this process's environment with these of Temporal's variables alone.
func with(variables ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TEMPORAL_") || strings.HasPrefix(v, "TEMPORAL_CONFIG_FILE=") {
			env = append(env, v)
		}
	}
	return append(env, variables...)
}

// papers are authorities, of which servers know the first, and certificates.
type papers struct {
	t            *testing.T
	ours, theirs *tlstest.Authority
	frontend     tlstest.Pair
}

func newPapers(t *testing.T) *papers {
	t.Helper()
	dir := t.TempDir()
	p := &papers{t: t}
	var err error
	p.ours, err = tlstest.NewAuthority(dir, "ours")
	require.NoError(t, err)
	p.theirs, err = tlstest.NewAuthority(dir, "theirs")
	require.NoError(t, err)
	p.frontend = p.sign(p.ours, tlstest.Leaf{Name: "frontend", Hosts: []string{"127.0.0.1", "temporal.internal"}})
	return p
}

func (p *papers) sign(a *tlstest.Authority, l tlstest.Leaf) tlstest.Pair {
	p.t.Helper()
	pair, err := a.Sign(l)
	require.NoError(p.t, err)
	return pair
}

// trusting are the variables of a client that knows the servers' authority, and
// shows a certificate if there is one.
func (p *papers) trusting(pair tlstest.Pair, more ...string) []string {
	v := append([]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + p.ours.File}, more...)
	if pair.CertFile != "" {
		v = append(v, "TEMPORAL_TLS_CLIENT_CERT_PATH="+pair.CertFile, "TEMPORAL_TLS_CLIENT_KEY_PATH="+pair.KeyFile)
	}
	return v
}

// A server with mutual TLS takes those that it should, and what is wrong with the
// others is said.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	p := newPapers(t)
	s := startServer(t, server.Options{TLS: &server.TLS{CertFile: p.frontend.CertFile, KeyFile: p.frontend.KeyFile, ClientCAFile: p.ours.File}})
	good, none := p.sign(p.ours, tlstest.Leaf{Name: "good"}), tlstest.Pair{}
	tests := []struct {
		name      string
		variables []string
		want      string // "": it is taken
	}{
		{"as it should be", p.trusting(good), ""},
		{"by the server's other name", p.trusting(good, "TEMPORAL_TLS_SERVER_NAME=temporal.internal"), ""},
		{"no certificate", p.trusting(none), "it asks for a client certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH"},
		{"of another authority", p.trusting(p.sign(p.theirs, tlstest.Leaf{Name: "foreign"})), "it refuses the client certificate"},
		{"expired", p.trusting(p.sign(p.ours, tlstest.Leaf{Name: "old", Expired: true})), "the client certificate of CN=old expired at "},
		{"the server by a wrong name", p.trusting(good, "TEMPORAL_TLS_SERVER_NAME=elsewhere"), "set TEMPORAL_TLS_SERVER_NAME"},
		{"the server's authority is unknown", []string{"TEMPORAL_TLS=true"}, "name the authority's file with TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		{"plain text", nil, "it speaks TLS and this client does not: set TEMPORAL_TLS=true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, s.HostPort())
			w.env = with(tt.variables...)
			if tt.want == "" {
				assert.False(t, w.status().Worker)
				return
			}
			message := w.refused(failure.TemporalTLS, "status")
			assert.Contains(t, message, tt.want)
			assert.Contains(t, message, s.HostPort())
		})
	}
	t.Run("TLS to a plain server", func(t *testing.T) {
		plain, err := server.Start(t.Context(), server.Options{NoUI: true})
		require.NoError(t, err)
		defer plain.Stop()
		w := newWorld(t, plain.HostPort())
		w.env = with(p.trusting(good)...)
		assert.Contains(t, w.refused(failure.TemporalTLS, "status"), "it does not speak TLS, and this client does")
	})
	t.Run("a certificate is renewed", func(t *testing.T) { renewed(t, s, p) })
}

// renewed has the server trust another authority, and a worker that has run all
// the while get a certificate of that one.
func renewed(t *testing.T, s *ownServer, p *papers) {
	pair := p.sign(p.ours, tlstest.Leaf{Name: "renewed"})
	w := newWorld(t, s.HostPort())
	w.env = with(p.trusting(pair)...)
	w.create()
	worker := w.startWorker()
	w.waitForWorker()
	require.NoError(t, s.Stop())
	s.options.TLS = &server.TLS{CertFile: p.frontend.CertFile, KeyFile: p.frontend.KeyFile, ClientCAFile: p.theirs.File}
	s.start()
	assert.Contains(t, w.refused(failure.TemporalTLS, "status"), "it refuses the client certificate")
	fresh := p.sign(p.theirs, tlstest.Leaf{Name: "fresh"})
	require.NoError(t, os.Rename(fresh.KeyFile, pair.KeyFile))
	require.NoError(t, os.Rename(fresh.CertFile, pair.CertFile))
	var result resultDoc
	w.waitForWorker()
	w.do(&result, "run")
	assert.Equal(t, "verified", result.State)
	select {
	case <-worker.exited:
		assert.Fail(t, "the worker did not go on")
	default:
	}
}

// tokens signs API keys.
type tokens struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newTokens(t *testing.T) *tokens {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &tokens{t, key}
}

// set is the address of the file with the public half.
func (k *tokens) set() string {
	k.t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.key.Public(), KeyID: "first", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(k.t, err)
	path := filepath.Join(k.t.TempDir(), "keys.json")
	require.NoError(k.t, os.WriteFile(path, text, 0o600))
	return "file://" + path
}

func (k *tokens) sign(ends time.Time, permissions ...string) string {
	k.t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "canvasback", "exp": ends.Unix(), "permissions": permissions})
	token.Header["kid"] = "first"
	text, err := token.SignedString(k.key)
	require.NoError(k.t, err)
	return text
}

// A server that goes by API keys, as Temporal Cloud does, takes the right one
// for all there is to do, and no other.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	p, keys := newPapers(t), newTokens(t)
	s := startServer(t, server.Options{
		TLS: &server.TLS{CertFile: p.frontend.CertFile, KeyFile: p.frontend.KeyFile}, TokenKeys: []string{keys.set()},
	})
	tomorrow := time.Now().Add(24 * time.Hour)
	right := keys.sign(tomorrow, "default:write")
	using := func(key string) []string {
		return with(p.trusting(tlstest.Pair{}, "TEMPORAL_API_KEY="+key)...)
	}
	tests := map[string][]string{
		"no key":                 with(p.trusting(tlstest.Pair{})...),
		"no key at all":          using("hunter2"),
		"another issuer's":       using(newTokens(t).sign(tomorrow, "default:write")),
		"expired":                using(keys.sign(time.Now().Add(-time.Hour), "default:write")),
		"of another namespace":   using(keys.sign(tomorrow, "elsewhere:write")),
		"without any permission": using(keys.sign(tomorrow)),
	}
	for name, env := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, s.HostPort())
			w.env = env
			message := w.refused(failure.TemporalDenied, "status")
			assert.Contains(t, message, s.HostPort())
			assert.Contains(t, message, `"default"`)
			assert.NotContains(t, message, "hunter2")
		})
	}
	t.Run("the right one, after a worker had a wrong one", func(t *testing.T) {
		w := newWorld(t, s.HostPort())
		w.create()
		// A key in a file can be replaced while the worker waits, one in the
		// environment cannot.
		profile := filepath.Join(w.dir, "temporal.toml")
		write := func(key string) {
			require.NoError(t, os.WriteFile(profile, fmt.Appendf(nil, "[profile.default]\napi_key = %q\n[profile.default.tls]\nserver_ca_cert_path = %q\n", key, p.ours.File), 0o600))
		}
		write("hunter2")
		w.env = with("TEMPORAL_CONFIG_FILE=" + profile)
		worker := w.startWorker()
		eventually(t, "the worker says why it waits", func() bool { return strings.Contains(worker.said(), "does not take this client") })
		assert.Contains(t, worker.said(), "Request unauthorized")
		assert.NotContains(t, worker.said(), "hunter2")
		write(right)
		w.waitForWorker()
		var result resultDoc
		w.do(&result, "run")
		assert.Equal(t, "verified", result.State)
		var d scheduleDoc
		w.do(&d, "schedule", "create", "--schedule", "0 3 * * *")
		w.do(&struct{}{}, "schedule", "delete")
		assert.NotContains(t, worker.said(), right)
	})
	t.Run("one that may only read", func(t *testing.T) {
		w := newWorld(t, s.HostPort())
		w.env = using(keys.sign(tomorrow, "default:read"))
		assert.False(t, w.status().Worker)
		assert.Contains(t, w.refused(failure.TemporalDenied, "schedule", "create", "--schedule", "0 3 * * *"), "does not let this client do that")
	})
	t.Run("a namespace that is not there", func(t *testing.T) {
		w := newWorld(t, s.HostPort())
		w.env = using(keys.sign(tomorrow, "nowhere:write"))
		assert.Contains(t, w.refused(failure.NoNamespace, "status", "--namespace", "nowhere"), `"nowhere"`)
	})
}
