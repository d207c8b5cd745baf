package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
)

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	version, err := engine.Probe(t.Context(), engine.ProbeRequest{TempDir: dir, MemoryLimit: "200MB", Threads: 1, Timeout: time.Minute})
	require.NoError(t, err)
	assert.Regexp(t, `^v[0-9]+\.[0-9]+\.[0-9]+`, version)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "the probe leaves nothing")
}

func TestProbe_of_a_shell(t *testing.T) {
	command := versionShell(t, "duckdb14")
	version, err := engine.Probe(t.Context(), engine.ProbeRequest{TempDir: t.TempDir(), Command: command, Timeout: time.Minute})
	require.NoError(t, err)
	assert.Equal(t, shellVersions["duckdb14"], version)
}

func TestProbe_says_what_is_wrong(t *testing.T) {
	tests := []struct {
		name string
		req  engine.ProbeRequest
		want string
	}{
		{"a memory limit that is none", engine.ProbeRequest{MemoryLimit: "much"}, "SET memory_limit = 'much'"},
		{"a directory that is not there", engine.ProbeRequest{TempDir: filepath.Join(t.TempDir(), "none")}, "make a directory to spill to"},
		{"a shell that is not there", engine.ProbeRequest{Command: []string{"/nonexistent/duckdb"}}, "/nonexistent/duckdb"},
		{"a program that is no shell", engine.ProbeRequest{Command: []string{"/bin/true"}}, "/bin/true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.Timeout = time.Minute
			version, err := engine.Probe(t.Context(), tt.req)
			require.ErrorContains(t, err, tt.want)
			assert.Empty(t, version)
		})
	}
}
