package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

// What is wrong here is said before a server is looked for.
func TestWorkerRefuses(t *testing.T) {
	dir := t.TempDir()
	repository := filepath.Join(dir, "backups")
	require.NoError(t, os.Mkdir(repository, 0o700))
	config := filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.WriteFile(config, []byte("repository: "+repository+"\ndatabasis: []\n"), 0o600))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	shop := "--database=shop=" + filepath.Join(dir, "shop.duckdb")
	tests := []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"no flags", nil, failure.ExitUsage, []string{"--repository", "--database"}},
		{"an unknown flag", []string{"--databse=x"}, failure.ExitUsage, []string{"--databse"}},
		{"an argument", []string{"shop"}, failure.ExitUsage, []string{`"shop"`}},
		{"a faulty file", []string{"--config", config}, failure.ExitUsage, []string{`:2: unknown key "databasis"`, "name at least one database"}},
		{"no such file", []string{"--config", filepath.Join(dir, "none.yaml")}, failure.ExitUsage, []string{"none.yaml"}},
		{"a file and flags", []string{"--config", config, shop}, failure.ExitUsage, []string{"leave --database and --repository out"}},
		{"two databases with one name", []string{shop, "--database=shop=/srv/other.duckdb", "--repository", repository}, failure.ExitUsage, []string{"is the name of"}},
		{"a log format", []string{shop, "--repository", repository, "--log-format", "xml"}, failure.ExitUsage, []string{"text or json"}},
		{"a repository that is not there", []string{shop, "--repository", filepath.Join(dir, "none")}, failure.ExitNotFound, []string{filepath.Join(dir, "none"), "hint: create the repository"}},
		{"a repository that is a file", []string{shop, "--repository", file}, failure.ExitNotFound, []string{file}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			status := Main(t.Context(), tt.args, &out, &errOut)
			assert.Equal(t, tt.status, status, errOut.String())
			for _, want := range tt.want {
				assert.Contains(t, errOut.String(), want)
			}
			assert.Empty(t, out.String())
		})
	}
}

func TestHelp(t *testing.T) {
	var out, errOut bytes.Buffer
	assert.Equal(t, failure.ExitDone, Main(t.Context(), []string{"--help"}, &out, &errOut))
	assert.Contains(t, out.String(), "Exit status:")
	assert.Empty(t, errOut.String())
}

func TestWorkerThatWaitsCanBeInterrupted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	dir, shop := t.TempDir(), filepath.Join(t.TempDir(), "shop.duckdb")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errOut noticing
	errOut.notice, errOut.call = []byte(l.Addr().String()), cancel
	status := Main(ctx, []string{"--database=shop=" + shop, "--repository", dir, "--address", l.Addr().String()}, &bytes.Buffer{}, &errOut)
	assert.Equal(t, failure.ExitInterrupted, status, errOut.String())
}

// noticing calls a function when something is written.
type noticing struct {
	bytes.Buffer
	notice []byte
	call   func()
}

func (n *noticing) Write(p []byte) (int, error) {
	if bytes.Contains(p, n.notice) {
		n.call()
	}
	return n.Buffer.Write(p)
}
