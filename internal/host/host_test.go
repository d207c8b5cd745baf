package host

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/telemetry"
)

// What hangs is left behind, so that a worker that is told to stop does.
func TestRestDoesNotWaitForWhatHangs(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	tel, err := telemetry.Start(t.Context(), telemetry.Options{Host: "db1", Log: log, Getenv: os.Getenv})
	require.NoError(t, err)
	defer tel.Close()
	stopped := false
	h := &Host{telemetry: tel, log: log, stop: func() { stopped = true }}
	h.keeping.Go(func() {})
	h.rest()
	assert.True(t, stopped)
	assert.Empty(t, out.String())

	hang := make(chan struct{})
	defer close(hang)
	h.keeping.Go(func() { <-hang })
	h.rest()
	assert.Contains(t, out.String(), "is left behind")
}
