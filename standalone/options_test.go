package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/standalone/server"
)

func TestNamed(t *testing.T) {
	for _, tc := range []struct{ arg, want string }{
		{"./my.duckdb", "my=./my.duckdb"},
		{"/var/lib/Shop Data.db", "shop-data=/var/lib/Shop Data.db"},
		{"shop=/var/lib/x.duckdb", "shop=/var/lib/x.duckdb"},
		{"plain", "plain=plain"},
		{"archive.2026.duckdb", "archive.2026=archive.2026.duckdb"},
		{".", "."},
		{"/", "/"},
		{".duckdb", "=.duckdb"}, // refused by the configuration's own check
	} {
		assert.Equal(t, tc.want, named(tc.arg), tc.arg)
	}
}

func TestMainRefusesWrongUsage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a-file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	data := filepath.Join(dir, "data")
	for _, tc := range []struct {
		name string
		args []string
		want string
		exit int
	}{
		{"an unknown flag", []string{"--nothing"}, "unknown flag: --nothing", 2},
		{"an argument", []string{"x.duckdb"}, `unknown command "x.duckdb" for "standalone"`, 2},
		{"a configuration and a database", []string{"--config", "x", "--database", "y"}, "--config names the databases and the repository: leave --database and --repository out", 2},
		{"a log format", []string{"--log-format", "xml"}, "--log-format xml: text or json is wanted", 2},
		{"a port that is none", []string{"--ui-port", "65536"}, "--ui-port 65536: a port is a number up to 65535", 2},
		{"a name to listen on", []string{"--listen", "localhost"}, "--listen localhost: an IPv4 address of this machine is wanted, such as 127.0.0.1", 2},
		{"a metrics address", []string{"--data", data, "--metrics-address", "9464"}, `--metrics-address: "9464" is not of the form HOST:PORT`, 2},
		{"one port for both", []string{"--port", "9000", "--ui-port", "9000"}, "--port and --ui-port are both 9000", 2},
		{"a file as data directory", []string{"--data", file}, "--data " + file, 2},
		{"no such configuration", []string{"--data", data, "--config", filepath.Join(dir, "none.yaml")}, "none.yaml", 2},
		{"a name that is none", []string{"--data", data, "--database", ".duckdb"}, "--database =.duckdb", 2},
		{"two databases of one name", []string{"--data", data, "--database", "a/x.duckdb", "--database", "b/x.db"}, "x", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			assert.Equal(t, tc.exit, Main(t.Context(), tc.args, &out, &errOut))
			assert.Contains(t, errOut.String(), "canvasback: error: ")
			assert.Contains(t, errOut.String(), tc.want)
			assert.Empty(t, out.String())
		})
	}
}

func TestDataDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "here")
	first, err := openData(path)
	require.NoError(t, err)
	_, err = openData(path)
	require.ErrorContains(t, err, "another standalone (process ")
	require.ErrorContains(t, err, path)
	assert.Equal(t, failure.Usage, failure.Of(err))
	first.close()
	again, err := openData(path)
	require.NoError(t, err, "free again")
	again.close()

	t.Run("a large log is set aside", func(t *testing.T) {
		d, err := openData(path)
		require.NoError(t, err)
		defer d.close()
		log := filepath.Join(path, "x.log")
		require.NoError(t, os.WriteFile(log, nil, 0o600))
		require.NoError(t, os.Truncate(log, maxLog+1))
		l, err := d.log("x.log", "json")
		require.NoError(t, err)
		l.Info("hello")
		data, err := os.ReadFile(log)
		require.NoError(t, err)
		assert.Contains(t, string(data), `"msg":"hello"`)
		info, err := os.Stat(log + ".1")
		require.NoError(t, err)
		assert.EqualValues(t, maxLog+1, info.Size())
	})
}

func TestPortFailureNamesTheFlag(t *testing.T) {
	err := portFailure(&server.PortError{Port: 8233, UI: true, Err: syscall.EADDRINUSE})
	assert.EqualError(t, err, "--ui-port 8233: address already in use")
	err = portFailure(&server.PortError{Port: 7233, Err: syscall.EADDRINUSE})
	assert.EqualError(t, err, "--port 7233: address already in use")
	assert.Same(t, failure.PortTaken, failure.Of(err))
	other := errors.New("other")
	assert.Equal(t, other, portFailure(other))
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	s.report(&report{
		result: &job.BackupResult{
			ID: "20261123T034600Z-i42-1f3a", Database: "shop", State: "verified", Rule: "A", Attempts: 1,
			Bytes: 5 << 20, Tables: 2, Rows: 1234, CopySeconds: 0.25, DurationSeconds: 1.5,
		},
		database: "shop", repository: "/srv/my backups", page: "http://127.0.0.1:8233/x",
		cron: "0 3 * * 0", timezone: "Europe/Amsterdam",
		next:    time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC),
		commits: &commits{before: 10, during: 60, after: 61, held: 30},
	})
	assert.Equal(t, `Backup 20261123T034600Z-i42-1f3a of shop is verified.
  rule       A, 1 attempt
  size       5.0 MiB in 0.2 s, 1.5 s in all
  contents   2 tables, 1234 rows
  writer     10 commits before, 60 when the backup was done, 61 now
             the backup holds the first 30 of them
  run        http://127.0.0.1:8233/x
  next       Sun 29 Nov 2026 03:00 (0 3 * * 0, Europe/Amsterdam)
  list       starter list --repository '/srv/my backups'
  restore    starter restore --repository '/srv/my backups' --database shop --backup 20261123T034600Z-i42-1f3a --target ./shop-restored.duckdb
`, out.String())
}

func TestOpenTo(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "127.0.0.5"} {
		assert.Empty(t, (&options{listen: listen}).openTo())
	}
	for _, listen := range []string{"0.0.0.0", "192.0.2.1"} {
		assert.Contains(t, (&options{listen: listen}).openTo(), "--listen "+listen+": Temporal and its UI are open to the network")
	}
}

func TestVersion(t *testing.T) {
	for args, want := range map[string]string{"--version": "standalone version devel\n", "version": "temporal server", "version --json": `"storage_copied": "`} {
		var out, errOut bytes.Buffer
		assert.Equal(t, failure.ExitDone, Main(t.Context(), strings.Fields(args), &out, &errOut), errOut.String())
		assert.Contains(t, out.String(), want, args)
		assert.Empty(t, errOut.String())
	}
}
