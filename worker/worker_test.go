package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
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

func TestMain(m *testing.M) {
	engine.RunIfChild()
	os.Exit(m.Run())
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

func TestMetricsAddressThatIsNone(t *testing.T) {
	shop := "--database=shop=" + filepath.Join(t.TempDir(), "shop.duckdb")
	var errOut bytes.Buffer
	status := Main(t.Context(), []string{"--metrics-address", "9464", shop, "--repository", t.TempDir()}, &bytes.Buffer{}, &errOut)
	assert.Equal(t, failure.ExitUsage, status)
	assert.Equal(t, "canvasback: error: --metrics-address: \"9464\" is not of the form HOST:PORT, such as 127.0.0.1:9464\ncanvasback: hint: see --help\n", errOut.String())
}

// A worker that waits for Temporal is alive, not ready, and says so.
func TestWorkerThatWaitsAnswersProbes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer writer.Close()
		done <- Main(ctx, []string{"--database=shop=" + filepath.Join(t.TempDir(), "shop.duckdb"), "--repository", t.TempDir(), "--address", l.Addr().String(),
			"--metrics-address", "127.0.0.1:0", "--log-format", "json"}, &bytes.Buffer{}, writer)
	}()
	address := ""
	lines := bufio.NewScanner(reader)
	for address == "" && lines.Scan() {
		var said struct{ Msg, Address string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &said), lines.Text())
		if said.Msg == "Serving metrics" {
			address = said.Address
		}
	}
	go io.Copy(io.Discard, reader)
	healthcheck := func(args ...string) (int, string) {
		var out, errOut bytes.Buffer
		status := Main(t.Context(), append([]string{"healthcheck"}, args...), &out, &errOut)
		assert.Empty(t, out.String())
		return status, errOut.String()
	}
	status, said := healthcheck("--metrics-address", address)
	assert.Equal(t, failure.ExitDone, status, said)
	t.Setenv("CANVASBACK_METRICS_ADDRESS", address)
	status, said = healthcheck("--ready")
	assert.Equal(t, failure.ExitFailed, status)
	assert.Equal(t, "canvasback: error: http://"+address+"/readyz answers 503 Service Unavailable: not connected to Temporal yet\n", said)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "not connected to Temporal yet", "/metrics": "canvasback_temporal_connected{host="} {
		res, err := http.Get("http://" + address + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Contains(t, string(body), want, path)
		assert.Equal(t, path == "/readyz", res.StatusCode == http.StatusServiceUnavailable, path)
	}
	cancel()
	assert.Equal(t, failure.ExitInterrupted, <-done)
	status, said = healthcheck()
	assert.Equal(t, failure.ExitFailed, status)
	assert.Contains(t, said, "no worker answers: ")
}

func TestHealthcheckThatKnowsNoAddress(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.WriteFile(file, []byte("repository: "+dir+"/backups\ndatabases: [{name: shop, path: /srv/shop.duckdb}]\n"), 0o600))
	for _, args := range []string{"healthcheck", "healthcheck --config " + file, "healthcheck --config " + file + ".none", "healthcheck --metrics-address 9464", "healthcheck --nothing", "healthcheck now"} {
		var out, errOut bytes.Buffer
		assert.Equal(t, failure.ExitUsage, Main(t.Context(), strings.Fields(args), &out, &errOut), args)
		assert.Contains(t, errOut.String(), "canvasback: error: ", args)
		assert.Empty(t, out.String(), args)
	}
}

func TestVersion(t *testing.T) {
	for args, want := range map[string]string{"--version": "worker version devel\n", "version": "copies storage  ", "version --json": `"storage_copied": "`} {
		var out, errOut bytes.Buffer
		assert.Equal(t, failure.ExitDone, Main(t.Context(), strings.Fields(args), &out, &errOut), errOut.String())
		assert.Contains(t, out.String(), want, args)
		assert.Empty(t, errOut.String())
	}
}
