package doctor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
)

// TestOwnersVersionByItsModules looks at a real program of the driver's, while it
// waits for its input.
func TestOwnersVersionByItsModules(t *testing.T) {
	program := filepath.Join(t.TempDir(), "owner")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "livetest", "owners", "duckdb15")
	build.Env = append(os.Environ(), "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(program, "shell")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	assert.Equal(t, known{"1.5.6", "the modules of its program"}, processVersion(cmd.Process.Pid))
	require.NoError(t, in.Close())
	_ = cmd.Wait() // what it says of an empty script is not asked
	assert.Equal(t, known{}, processVersion(os.Getpid()), "a test's program does not say what it is made of")
}

func TestOwnersVersionByItsHook(t *testing.T) {
	c := setUp(t)
	db := &c.Config.Databases[0]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/hold/status" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, `{"holding":false,"engine_version":"1.4.4"}`)
	}))
	defer server.Close()
	db.Hold.Mode, db.Hold.URL = config.HoldHTTP, server.URL+"/hold"
	f := shop(c).ownerVersion(t.Context())
	is(t, f, OK, "DuckDB 1.4.4 by its hold hook")
	assert.Contains(t, f.Found, "engine_version: 1.4.4")
	db.EngineVersion = "1.1.3"
	is(t, shop(c).ownerVersion(t.Context()), Fail, "the owner is DuckDB 1.4.4")
	c.Version = "v1.3.2"
	db.EngineVersion = ""
	is(t, shop(c).engineReads(t.Context()), Warn, "the owner 1.4")
}

func TestEngineVersionAgainstTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.CreateStorage(t, path, "v1.5.0", "CREATE TABLE t(i INT)")
	c := setUpFor(t, path)
	c.Config.Databases[0].EngineVersion = "1.4.1"
	is(t, shop(c).ownerVersion(t.Context()), Fail, "takes DuckDB 1.5 or newer")
	c.Config.Databases[0].EngineVersion = "1.5.1"
	is(t, shop(c).ownerVersion(t.Context()), OK, "nothing here contradicts it")

	c = setUp(t) // made by the engine inside, in the format of every DuckDB
	c.Config.Databases[0].EngineVersion = "1.4.1"
	is(t, shop(c).ownerVersion(t.Context()), Warn, "the file was made by DuckDB v1.5.6")
	require.NoError(t, os.WriteFile(c.Config.Databases[0].Path+".wal.checkpoint", nil, 0o600))
	is(t, shop(c).ownerVersion(t.Context()), Fail, "only DuckDB 1.5 or newer does")
}

func TestEngineReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.CreateStorage(t, path, "v1.5.0", "CREATE TABLE t(i INT)")
	c := setUpFor(t, path)
	is(t, shop(c).engineReads(t.Context()), OK, "reads the file")
	c.Version = "v1.4.1"
	is(t, shop(c).engineReads(t.Context()), Fail, "and do not count")
	c.Config.Databases[0].Retention.CountStructure = true
	is(t, shop(c).engineReads(t.Context()), Warn, "count all the same")
	c.Version = ""
	is(t, shop(c).engineReads(t.Context()), Skipped, "not known")
	c.Config.Databases[0].Engine.Command = []string{"/bin/true"}
	is(t, shop(c).engineReads(t.Context()), Skipped, "/bin/true")
}

func TestPackageVersions(t *testing.T) {
	root := t.TempDir()
	python := "/usr/lib/python3/site-packages"
	node := "/srv/node_modules/@duckdb/node-bindings-linux-x64"
	for _, dir := range []string{python + "/duckdb", python + "/duckdb-1.4.1.dist-info", node, "/srv/other/duckdb"} {
		require.NoError(t, os.MkdirAll(root+dir, 0o700))
	}
	require.NoError(t, os.WriteFile(root+node+"/package.json", []byte(`{"name":"@duckdb/node-bindings-linux-x64","version":"1.5.5-r.1"}`), 0o600))
	require.NoError(t, os.WriteFile(root+"/srv/other/package.json", []byte(`{"name":"other","version":"9.9.9"}`), 0o600))
	for lib, want := range map[string]string{
		python + "/duckdb/duckdb.cpython-312.so": "1.4.1",
		python + "/_duckdb.cpython-312.so":       "1.4.1",
		node + "/duckdb.node":                    "1.5.5",
		"/srv/other/duckdb/libduckdb.so":         "",
		"/nowhere/libduckdb.so":                  "",
	} {
		assert.Equal(t, want, packageVersion(root, lib), lib)
	}
}

// TestMappedLibrary maps a file as the loader does.
func TestMappedLibrary(t *testing.T) {
	name := filepath.Join(t.TempDir(), "libduckdb.so")
	require.NoError(t, os.WriteFile(name, make([]byte, 4096), 0o600))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	assert.NotContains(t, mapped("/proc/self"), name)
	at, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	require.NoError(t, err)
	assert.Contains(t, mapped("/proc/self"), name)
	require.NoError(t, unix.Munmap(at))
}

func TestBindings(t *testing.T) {
	assert.Equal(t, []string{"v0.10506.0", "1", "05", "06"}, bindings.FindStringSubmatch("v0.10506.0"))
	assert.Nil(t, bindings.FindStringSubmatch("v0.1.21"))
	assert.Empty(t, goVersion("/bin/sh"), "no Go program")
}
