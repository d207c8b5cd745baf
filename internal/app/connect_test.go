package app

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

// profile makes a profile file the only one that this test sees.
func profile(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	t.Setenv("TEMPORAL_CONFIG_FILE", path)
	for _, name := range []string{
		"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE", "TEMPORAL_API_KEY", "TEMPORAL_TLS", "TEMPORAL_TLS_CLIENT_CERT_PATH",
		"TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_NAME",
	} {
		t.Setenv(name, "") // which puts it back afterwards
		require.NoError(t, os.Unsetenv(name))
	}
}

// nobody is an address at which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestConnectNamesTheAddressThatDoesNotAnswer(t *testing.T) {
	address := nobody(t)
	tests := []struct {
		name    string
		set     func(t *testing.T)
		options ConnectOptions
	}{
		{"from the flag, before all else", func(t *testing.T) {
			profile(t, "[profile.default]\naddress = \"192.0.2.1:1\"\n")
			t.Setenv("TEMPORAL_ADDRESS", "192.0.2.1:2")
		}, ConnectOptions{Address: address}},
		{"from the environment, before the profile", func(t *testing.T) {
			profile(t, "[profile.default]\naddress = \"192.0.2.1:1\"\n")
			t.Setenv("TEMPORAL_ADDRESS", address)
		}, ConnectOptions{}},
		{"from the profile", func(t *testing.T) { profile(t, "[profile.default]\naddress = \""+address+"\"\n") }, ConnectOptions{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.set(t)
			began := time.Now()
			_, err := Connect(t.Context(), tt.options)
			require.Error(t, err)
			assert.Equal(t, failure.TemporalUnreachable, failure.Of(err))
			assert.Contains(t, err.Error(), address)
			assert.Less(t, time.Since(began), 2*dialTimeout)
		})
	}
}

func TestConnectRefusesABrokenProfile(t *testing.T) {
	profile(t, "[profile.default\n")
	_, err := Connect(t.Context(), ConnectOptions{})
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestConnectWaitsUntilItIsInterrupted(t *testing.T) {
	profile(t, "")
	address := nobody(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log lockedBuffer
	done := make(chan error, 1)
	go func() {
		_, err := Connect(ctx, ConnectOptions{Address: address, Wait: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		done <- err
	}()
	require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte(address)) }, time.Minute, 10*time.Millisecond)
	cancel()
	err := <-done
	assert.Equal(t, failure.Interrupted, failure.Of(err))
	assert.Contains(t, err.Error(), address)
}

// TestProfilesOfDeploy reads the profiles that come with the manifests, as they
// are and with what they show for Temporal Cloud.
func TestProfilesOfDeploy(t *testing.T) {
	files, err := filepath.Glob("../../deploy/kubernetes/*/temporal.toml")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		profile(t, string(text))
		address, namespace, tls, err := ConnectOptions{}.Server()
		require.NoError(t, err)
		assert.Equal(t, "temporal-frontend.temporal.svc:7233", address)
		assert.Equal(t, "default", namespace)
		assert.False(t, tls)
		_, settings, found := strings.Cut(string(text), "[profile.default]")
		require.True(t, found)
		profile(t, "[profile.default]"+strings.ReplaceAll(strings.SplitAfter(settings, "\n\n")[0], "\n# api_key", "\napi_key"))
		_, _, tls, err = ConnectOptions{}.Server()
		require.NoError(t, err)
		assert.True(t, tls, "an API key is sent with TLS only")
	}
}
