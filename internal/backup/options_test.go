package backup

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
)

func TestCopyOptionsWithoutHold(t *testing.T) {
	cfg, err := config.FromFlags([]string{"shop=/srv/shop.duckdb"}, "/backups", "h")
	require.NoError(t, err)
	d := &cfg.Databases[0]
	d.Hold.OnError = config.OnErrorFail
	options, err := (&Runner{Config: cfg}).copyOptions(d, "/backups/x")
	require.NoError(t, err)
	assert.True(t, options.Hold == nil)
	assert.False(t, options.HoldRequired)
	assert.Equal(t, "/srv/shop.duckdb", options.Path)
	assert.Equal(t, 5*time.Second, options.Settle)
}

func TestCopyOptionsWithHold(t *testing.T) {
	called := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = r.URL.Path
		http.Error(w, "no", http.StatusConflict)
	}))
	defer server.Close()
	cfg, err := config.FromFlags([]string{"shop=/srv/shop.duckdb"}, "/backups", "h")
	require.NoError(t, err)
	d := &cfg.Databases[0]
	d.Hold.Mode, d.Hold.URL = config.HoldHTTP, server.URL+"/hold"
	r := &Runner{Config: cfg}
	options, err := r.copyOptions(d, "/backups/x")
	require.NoError(t, err)
	assert.False(t, options.HoldRequired)
	require.NotNil(t, options.Hold)
	_, err = options.Hold.Begin(t.Context())
	require.ErrorContains(t, err, "begin a hold of /srv/shop.duckdb by http: another hold is active")
	assert.Equal(t, "/hold/begin", called)
	d.Hold.OnError = config.OnErrorFail
	options, err = r.copyOptions(d, "/backups/x")
	require.NoError(t, err)
	assert.True(t, options.HoldRequired)
}
