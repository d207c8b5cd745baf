package app

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/tlstest"
)

func TestAddress(t *testing.T) {
	for written, want := range map[string]string{
		"":                       "localhost:7233",
		"localhost":              "localhost:7233",
		"10.0.0.7":               "10.0.0.7:7233",
		"::1":                    "[::1]:7233",
		"[::1]:7000":             "[::1]:7000",
		"temporal.internal":      "temporal.internal:7233",
		"temporal.internal:443":  "temporal.internal:443",
		"dns:///temporal.x:7233": "dns:///temporal.x:7233",
	} {
		got, err := address(written)
		require.NoError(t, err, written)
		assert.Equal(t, want, got, written)
	}
	_, err := address("https://temporal.internal:7233")
	assert.Equal(t, failure.Usage, failure.Of(err))
	assert.ErrorContains(t, err, "HOST:PORT")
}

func TestPlain(t *testing.T) {
	tests := []struct {
		name, address string
		variables     map[string]string
		want          string // "" is none
	}{
		{"this machine", "localhost:7233", nil, ""},
		{"this machine by its address", "127.0.0.2:7233", nil, ""},
		{"this machine by its other address", "[::1]:7233", nil, ""},
		{"another machine", "temporal.internal:7233", nil, "temporal.internal:7233 is on another machine and spoken to without TLS"},
		{"another machine by its address", "192.0.2.1", nil, "192.0.2.1:7233 is on another machine"},
		{"another machine, and it is meant", "temporal.internal:7233", map[string]string{"TEMPORAL_TLS": "false"}, ""},
		{"another machine with TLS", "temporal.internal:7233", map[string]string{"TEMPORAL_TLS": "true"}, ""},
		{"an API key has TLS on", "temporal.internal:7233", map[string]string{"TEMPORAL_API_KEY": "hunter2"}, ""},
		{"an API key and no TLS", "temporal.internal:7233", map[string]string{"TEMPORAL_API_KEY": "hunter2", "TEMPORAL_TLS": "false"}, "the API key goes to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			profile(t, "")
			for name, value := range tt.variables {
				t.Setenv(name, value)
			}
			got := ConnectOptions{Address: tt.address}.Plain()
			assert.NotContains(t, got, "hunter2")
			if tt.want == "" {
				assert.Empty(t, got)
				return
			}
			assert.Contains(t, got, tt.want)
		})
	}
}

func TestSettingsThatNameMissingFiles(t *testing.T) {
	profile(t, "")
	t.Setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere/client.pem")
	t.Setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", "/nowhere/client.key")
	_, err := Connect(t.Context(), ConnectOptions{Wait: true})
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
	assert.ErrorContains(t, err, "/nowhere/client.pem")
}

// A certificate that is renewed on disk is shown from the next connection on,
// and a renewal that is half done changes nothing.
func TestRenewedCertificateIsShown(t *testing.T) {
	dir := t.TempDir()
	authority, err := tlstest.NewAuthority(dir, "authority")
	require.NoError(t, err)
	frontend, err := authority.Sign(tlstest.Leaf{Name: "frontend", Hosts: []string{"127.0.0.1"}})
	require.NoError(t, err)
	pair, err := authority.Sign(tlstest.Leaf{Name: "client"})
	require.NoError(t, err)
	address, shown := listenTLS(t, frontend, authority)

	profile(t, "")
	t.Setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", pair.CertFile)
	t.Setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", pair.KeyFile)
	t.Setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", authority.File)
	opts, err := ConnectOptions{Address: address}.settings()
	require.NoError(t, err)
	dial := func() string {
		conn, err := tls.Dial("tcp", address, opts.ConnectionOptions.TLS)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.Handshake())
		return <-shown
	}
	first := dial()
	assert.Equal(t, first, dial())
	key, err := os.ReadFile(pair.KeyFile)
	require.NoError(t, err)
	_, err = authority.Sign(tlstest.Leaf{Name: "client"})
	require.NoError(t, err)
	fresh, err := os.ReadFile(pair.KeyFile)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(pair.KeyFile, key, 0o600)) // the new certificate, and still the old key
	assert.Equal(t, first, dial())
	require.NoError(t, os.WriteFile(pair.KeyFile, fresh, 0o600))
	assert.NotEqual(t, first, dial())
}

// listenTLS accepts clients of the authority and tells the serial number of each
// certificate.
func listenTLS(t *testing.T, pair tlstest.Pair, authority *tlstest.Authority) (address string, shown <-chan string) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	require.NoError(t, err)
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	if authority != nil {
		pem, err := os.ReadFile(authority.File)
		require.NoError(t, err)
		conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		require.True(t, conf.ClientCAs.AppendCertsFromPEM(pem))
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	serials := make(chan string, 16)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func(c *tls.Conn) {
				defer c.Close()
				if c.Handshake() != nil {
					return
				}
				if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
					serials <- certs[0].SerialNumber.String()
				}
				_, _ = c.Write([]byte{0}) // a server's first frame
			}(conn.(*tls.Conn))
		}
	}()
	return l.Addr().String(), serials
}

// plainServer accepts and answers in plain text.
func plainServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // an empty SETTINGS frame
			conn.Close()
		}
	}()
	return l.Addr().String()
}
