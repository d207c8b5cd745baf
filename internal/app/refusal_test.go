package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/tlstest"
)

// What two sides that do not agree about TLS are told apart by. The same is
// tried with Temporal's own server in the end-to-end tests.
func TestMistrustIsExplained(t *testing.T) {
	dir := t.TempDir()
	ours, err := tlstest.NewAuthority(dir, "ours")
	require.NoError(t, err)
	theirs, err := tlstest.NewAuthority(dir, "theirs")
	require.NoError(t, err)
	sign := func(a *tlstest.Authority, l tlstest.Leaf) tlstest.Pair {
		pair, err := a.Sign(l)
		require.NoError(t, err)
		return pair
	}
	loopback := []string{"127.0.0.1"}
	mutual, _ := listenTLS(t, sign(ours, tlstest.Leaf{Name: "server", Hosts: loopback}), ours)
	oneSided, _ := listenTLS(t, sign(ours, tlstest.Leaf{Name: "one-sided", Hosts: loopback}), nil)
	stale, _ := listenTLS(t, sign(ours, tlstest.Leaf{Name: "stale", Hosts: loopback, Expired: true}), ours)
	other, _ := listenTLS(t, sign(ours, tlstest.Leaf{Name: "other", Hosts: []string{"temporal.internal"}}), ours)
	unknown, _ := listenTLS(t, sign(theirs, tlstest.Leaf{Name: "unknown", Hosts: loopback}), ours)
	good, old, foreign := sign(ours, tlstest.Leaf{Name: "good"}), sign(ours, tlstest.Leaf{Name: "old", Expired: true}), sign(theirs, tlstest.Leaf{Name: "foreign"})
	plain := plainServer(t)

	trust := "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + ours.File
	shows := func(p tlstest.Pair) []string {
		return []string{trust, "TEMPORAL_TLS_CLIENT_CERT_PATH=" + p.CertFile, "TEMPORAL_TLS_CLIENT_KEY_PATH=" + p.KeyFile}
	}
	tests := []struct {
		name, address string
		variables     []string
		want          string // "": nothing can be said
	}{
		{"they agree", mutual, shows(good), ""},
		{"they agree without a certificate", oneSided, []string{trust}, ""},
		{"they agree not to", plain, nil, ""},
		{"nobody is there", nobody(t), nil, ""},
		{"nobody is there with TLS", nobody(t), []string{trust}, ""},
		{"no certificate", mutual, []string{trust}, "it asks for a client certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH"},
		{"a certificate of another authority", mutual, shows(foreign), "it refuses the client certificate"},
		{"an expired certificate", mutual, shows(old), "the client certificate of CN=old expired at "},
		{"the server's has expired", stale, shows(good), "its certificate is not valid: renew it"},
		{"the server's is for another name", other, shows(good), "set TEMPORAL_TLS_SERVER_NAME"},
		{"the other name is given", other, append(shows(good), "TEMPORAL_TLS_SERVER_NAME=temporal.internal"), ""},
		{"the server's is of another authority", unknown, shows(good), "name the authority's file with TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		{"plain text to a server that asks for a certificate", mutual, nil, "it speaks TLS and this client does not: set TEMPORAL_TLS=true"},
		{"plain text to a server that asks for none", oneSided, nil, "it speaks TLS and this client does not"},
		{"TLS to a plain server", plain, []string{"TEMPORAL_TLS=true"}, "it does not speak TLS, and this client does"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			profile(t, "")
			for _, v := range tt.variables {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			opts, err := ConnectOptions{Address: tt.address}.settings()
			require.NoError(t, err)
			why := mistrust(t.Context(), opts)
			if tt.want == "" {
				require.NoError(t, why)
				return
			}
			require.ErrorContains(t, why, tt.want)
			err = refusal(t.Context(), opts, errors.New("unavailable"))
			assert.Equal(t, failure.TemporalTLS, failure.Of(err))
			assert.Contains(t, err.Error(), tt.address)
		})
	}
}
