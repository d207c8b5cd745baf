package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"canvasback/internal/app"
	"canvasback/internal/cli"
	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/standalone/server"
	"canvasback/standalone/server/pgtest"
	"canvasback/standalone/server/servertest"
)

// What all tests share: the worker's program and one server. Tests keep apart
// by their host and database.
var (
	workerProgram string
	shared        *server.Server
	worlds        atomic.Int64
)

func TestMain(m *testing.M) {
	engine.RunIfChild()
	enginetest.RunIfChild()
	pgtest.RunIfTool()
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "canvasback-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := servertest.Isolate(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	workerProgram = filepath.Join(dir, "worker")
	if out, err := exec.Command("go", "build", "-o", workerProgram, "canvasback/worker").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	ctx := context.Background()
	setting, err = servertest.New(ctx, dir)
	defer func() {
		if err := setting.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err == nil {
		shared, err = startShared(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Stop()
	return m.Run()
}

func startShared(ctx context.Context) (*server.Server, error) {
	o, err := setting.Options(ctx, server.Options{})
	if err != nil {
		return nil, err
	}
	return server.Start(ctx, o)
}

// world is a host with a database and a repository.
type world struct {
	t          *testing.T
	address    string
	host       string
	dir        string
	database   string // the file
	repository string
	env        []string // of the worker and the starter, a process then; nil: this process's
	keys       string   // file of the keys that encrypt what Temporal keeps; empty: it is not encrypted
}

func newWorld(t *testing.T, address string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, address: address, host: fmt.Sprintf("host%d", worlds.Add(1)),
		dir: dir, database: filepath.Join(dir, "live", "shop.duckdb"), repository: filepath.Join(dir, "backups"),
	}
	require.NoError(t, os.Mkdir(filepath.Dir(w.database), 0o700))
	require.NoError(t, os.Mkdir(w.repository, 0o700))
	return w
}

// name is the database's, which no other test has.
func (w *world) name() string { return w.host }

// create makes a small database that nobody holds.
func (w *world) create() {
	enginetest.Create(w.t, w.database, "CREATE TABLE orders AS SELECT range id, 'order ' || range item FROM range(10000)")
}

// createLarge makes one of at least size bytes that nothing compresses.
func (w *world) createLarge(size int64) int64 {
	w.t.Helper()
	enginetest.Create(w.t, w.database, fmt.Sprintf(`CREATE TABLE noise AS SELECT hash(range) a, hash(range + 1_000_000_000) b,
		hash(range + 2_000_000_000) c, hash(range + 3_000_000_000) d FROM range(%d)`, size/32*11/10))
	info, err := os.Stat(w.database)
	require.NoError(w.t, err)
	require.GreaterOrEqual(w.t, info.Size(), size)
	return info.Size()
}

// slow writes a configuration that reads so many bytes per second, with what
// else is given for the database.
func (w *world) slow(bandwidth string, more ...string) string {
	path := filepath.Join(w.dir, "canvasback.yaml")
	text := fmt.Sprintf("host: %s\nrepository: %s\ndatabases:\n  - name: %s\n    path: %s\n    copy: {bandwidth: %s}\n",
		w.host, w.repository, w.name(), w.database, bandwidth)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// process is a running worker.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    *os.File
	exited chan struct{}
}

// startWorker starts the worker's program, with flags for the simple case or
// with those given.
func (w *world) startWorker(args ...string) *process {
	w.t.Helper()
	if len(args) == 0 {
		args = []string{"--database", w.name() + "=" + w.database, "--repository", w.repository, "--host", w.host}
	}
	if w.keys != "" {
		args = append(args, "--codec-key-file", w.keys)
	}
	log, err := os.CreateTemp(w.dir, "worker-*.log")
	require.NoError(w.t, err)
	p := &process{t: w.t, cmd: exec.Command(workerProgram, append(args, "--address", w.address)...), log: log, exited: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Env = log, w.env
	require.NoError(w.t, p.cmd.Start())
	go func() {
		defer close(p.exited)
		p.cmd.Wait()
	}()
	w.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if w.t.Failed() {
			w.t.Logf("the worker said:\n%s", p.said())
		}
		log.Close()
	})
	return p
}

func (p *process) said() string {
	text, err := os.ReadFile(p.log.Name())
	require.NoError(p.t, err)
	return string(text)
}

// stop ends the worker with the signal and returns its exit status.
func (p *process) stop(signal os.Signal) int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(signal))
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		require.Fail(p.t, "the worker does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// outcome is what a command of the starter printed and returned.
type outcome struct {
	status      int
	out, errOut string
}

// starter runs a command against the world's server and host.
func (w *world) starter(args ...string) outcome {
	return w.starterUntil(w.t.Context(), args...)
}

func (w *world) starterUntil(ctx context.Context, args ...string) outcome {
	return w.starterAt(ctx, 0, args...)
}

// starterAt has a clock that is ahead by so much.
func (w *world) starterAt(ctx context.Context, ahead time.Duration, args ...string) outcome {
	var out, errOut bytes.Buffer
	args = append(args, "--address", w.address, "--host", w.host)
	if w.keys != "" {
		args = append(args, "--codec-key-file", w.keys)
	}
	if w.env == nil {
		clock := func() time.Time { return time.Now().Add(ahead) }
		status := cli.MainAt(ctx, clock, args, strings.NewReader(""), &out, &errOut)
		return outcome{status, out.String(), errOut.String()}
	}
	require.Zero(w.t, ahead, "a process has the machine's clock")
	cmd := exec.CommandContext(ctx, filepath.Join(programs(w.t), "starter"), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env, &out, &errOut
	err := cmd.Run()
	require.NotNil(w.t, cmd.ProcessState, "%v", err)
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// do runs a command about the world's database that must succeed, and reads
// its one JSON document.
func (w *world) do(into any, args ...string) {
	w.t.Helper()
	o := w.starter(append(args, "--database", w.name(), "--json")...)
	require.Equal(w.t, failure.ExitDone, o.status, "%v: %s", args, o.errOut)
	dec := json.NewDecoder(strings.NewReader(o.out))
	require.NoError(w.t, dec.Decode(into), o.out)
	_, err := dec.Token()
	require.ErrorIs(w.t, err, io.EOF, "one document")
}

// refused runs a command about the world's database that must fail as kind.
func (w *world) refused(kind *failure.Kind, args ...string) string {
	w.t.Helper()
	o := w.starter(append(args, "--database", w.name(), "--json")...)
	var doc struct {
		Error struct{ Kind, Message string }
	}
	require.NoError(w.t, json.Unmarshal([]byte(o.out), &doc), "%v: %s %s", args, o.out, o.errOut)
	assert.Equal(w.t, kind.Name, doc.Error.Kind, "%v: %s", args, doc.Error.Message)
	assert.Equal(w.t, kind.Exit, o.status, "%v", args)
	assert.Contains(w.t, o.errOut, "canvasback: error: ")
	return doc.Error.Message
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	within(t, 3*time.Minute, what, f)
}

func within(t *testing.T, limit time.Duration, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !f(); <-tick.C {
		require.True(t, time.Now().Before(end), "%s", what)
	}
}

// waitForWorker returns when the server has seen a worker of the host.
func (w *world) waitForWorker() {
	w.t.Helper()
	eventually(w.t, "the worker polls", func() bool {
		s := w.told(0)
		if s.exit != failure.ExitNotFound {
			return s.Worker
		}
		if w.env != nil {
			return false // only a process connects as this host does
		}
		// A worker that does not have the database.
		polled, err := app.Polled(w.t.Context(), w.client(), w.host)
		return err == nil && polled
	})
}

func (w *world) client() client.Client {
	w.t.Helper()
	o, err := envconfig.LoadDefaultClientOptions()
	require.NoError(w.t, err)
	o.HostPort, o.Identity, o.Logger = w.address, "canvasback-starter@"+w.host, quiet{}
	c, err := client.Dial(o)
	require.NoError(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
