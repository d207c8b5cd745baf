package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// grow makes a tree in the order given, with the mode.
func grow(t *testing.T, mode os.FileMode, names ...string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "canvasback-1.2.3")
	for _, name := range names {
		file := filepath.Join(tree, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte("content of "+name), mode))
	}
	return tree
}

func TestArchiveDependsOnContentsOnly(t *testing.T) {
	p := &plan{epoch: 1_700_000_000}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.tar.gz"), filepath.Join(dir, "two.tar.gz")
	require.NoError(t, p.pack(grow(t, 0o600, "bin/worker", "README.md", "man/man1/x.1"), one))
	require.NoError(t, p.pack(grow(t, 0o755, "man/man1/x.1", "README.md", "bin/worker"), two))
	first, err := sumOf(one)
	require.NoError(t, err)
	second, err := sumOf(two)
	require.NoError(t, err)
	assert.Equal(t, first, second)

	f, err := os.Open(one)
	require.NoError(t, err)
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	require.NoError(t, err)
	modes := map[string]int64{}
	var names []string
	for archive := tar.NewReader(unpacked); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		assert.Equal(t, time.Unix(p.epoch, 0).UTC(), h.ModTime.UTC())
		assert.Zero(t, h.Uid+h.Gid)
		assert.Empty(t, h.Uname+h.Gname)
		names, modes[h.Name] = append(names, h.Name), h.Mode
	}
	assert.Equal(t, []string{"canvasback-1.2.3/", "canvasback-1.2.3/README.md", "canvasback-1.2.3/bin/", "canvasback-1.2.3/bin/worker",
		"canvasback-1.2.3/man/", "canvasback-1.2.3/man/man1/", "canvasback-1.2.3/man/man1/x.1"}, names)
	assert.EqualValues(t, 0o755, modes["canvasback-1.2.3/bin/worker"])
	assert.EqualValues(t, 0o644, modes["canvasback-1.2.3/README.md"])
}

func TestListOfContents(t *testing.T) {
	p := &plan{epoch: 1_700_000_000}
	text := `{"bomFormat":"CycloneDX","serialNumber":"urn:uuid:1","metadata":{"timestamp":"2026-11-26T00:00:00Z"},"components":[{"name":"a"}]}`
	got, err := p.complete([]byte(text), "v1.5.6")
	require.NoError(t, err)
	var bom struct {
		SerialNumber string
		Metadata     struct{ Timestamp string }
		Components   []struct{ Name, Version string }
	}
	require.NoError(t, json.Unmarshal(got, &bom))
	assert.Empty(t, bom.SerialNumber)
	assert.Equal(t, "2023-11-14T22:13:20Z", bom.Metadata.Timestamp)
	require.Len(t, bom.Components, 2)
	assert.Equal(t, "duckdb", bom.Components[1].Name)
	assert.Equal(t, "1.5.6", bom.Components[1].Version)
	_, err = p.complete([]byte(`{"metadata":{},"components":[]}`), "v1.5.6")
	assert.ErrorContains(t, err, "no components")
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	commands := [][]string{{"init", "-q"}, {"config", "user.email", "someone@example.com"}, {"config", "user.name", "Someone"}, {"commit", "-q", "--allow-empty", "-m", "first"}}
	for _, args := range commands {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2023-11-14T22:13:20Z", "GIT_AUTHOR_DATE=2023-11-14T22:13:20Z")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	t.Chdir(dir)
	t.Setenv("SOURCE_DATE_EPOCH", "")
	p, err := newPlan(t.Context(), "", []string{"worker"})
	require.NoError(t, err)
	assert.EqualValues(t, 1_700_000_000, p.epoch)
	assert.Equal(t, "devel-"+p.revision[:12], p.version)
	t.Setenv("SOURCE_DATE_EPOCH", "5")
	p, err = newPlan(t.Context(), "1.2.3", nil)
	require.NoError(t, err)
	assert.EqualValues(t, 5, p.epoch)
	assert.Equal(t, "1.2.3", p.version)
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	_, err = newPlan(t.Context(), "", nil)
	assert.ErrorContains(t, err, "seconds since 1970")
	require.NoError(t, os.WriteFile("file", nil, 0o600))
	_, err = newPlan(t.Context(), "", nil)
	assert.ErrorContains(t, err, "not committed")
}
