package telemetry

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAsk(t *testing.T) {
	w := start(t, "127.0.0.1:0", io.Discard)
	_, port, err := net.SplitHostPort(w.Address())
	require.NoError(t, err)
	for _, address := range []string{w.Address(), ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		assert.NoError(t, Ask(t.Context(), address, "/healthz"), address)
		assert.EqualError(t, Ask(t.Context(), w.Address(), "/readyz"), "http://"+w.Address()+"/readyz answers 503 Service Unavailable: not connected to Temporal yet", address)
	}
	w.Close()
	assert.ErrorContains(t, Ask(t.Context(), w.Address(), "/healthz"), "no worker answers: ")
	assert.ErrorContains(t, Ask(t.Context(), "9464", "/healthz"), "metrics address 9464: ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, Ask(ctx, w.Address(), "/healthz"), context.Canceled)
}

func TestAskIsNotFloodedAndGoesToNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 1<<20)))
	}))
	defer s.Close()
	err := Ask(t.Context(), strings.TrimPrefix(s.URL, "http://"), "/healthz")
	assert.ErrorContains(t, err, "answers 500")
	assert.Less(t, len(err.Error()), 5<<10)
}
