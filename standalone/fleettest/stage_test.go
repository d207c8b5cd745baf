package fleettest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"canvasback/internal/cli"
	"canvasback/internal/engine/enginetest"
)

// stage is a Temporal server in a process of its own, with hosts.
type stage struct {
	t       *testing.T
	dir     string
	file    string // Temporal's
	address string
	server  *process
	client  client.Client
	hosts   []*host
	rhythm  rhythm
	mu      sync.Mutex // of events
	events  []string
}

// host is a worker with its databases and its repository.
type host struct {
	name, dir, config, repository string
	metrics                       string // HOST:PORT
	address                       string // Temporal's, as seen from the host
	cable                         *cable // nil: it is this machine
	databases                     []string
	owners                        map[string]*enginetest.Owner
	mu                            sync.Mutex // of workers
	workers                       []*process // the last one is at work
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), rhythm: rhythm{every: *every}}
	s.file = filepath.Join(s.dir, "temporal.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+s.file)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	s.server = start(t, "server", filepath.Join(s.dir, "server.log"), cmd)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, s.server.said())
	s.address = strings.TrimSpace(line)
	t.Cleanup(func() {
		stdin.Close()
		<-s.server.exited
	})
	s.client, err = client.Dial(client.Options{HostPort: s.address, Logger: quiet{}})
	require.NoError(t, err)
	t.Cleanup(s.client.Close)
	return s
}

// note keeps and shows what happened.
func (s *stage) note(format string, args ...any) {
	line := time.Now().UTC().Format("15:04:05 ") + fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, line)
	fmt.Println(line)
}

// addHost makes a host with n databases, the first live ones of which a process
// holds and writes.
func (s *stage) addHost(name string, n, live int, c *cable) *host {
	s.t.Helper()
	h := &host{
		name: name, dir: filepath.Join(s.dir, name), address: s.address, cable: c,
		metrics: fmt.Sprintf("127.0.0.1:%d", freePort(s.t)), owners: map[string]*enginetest.Owner{},
	}
	if c != nil {
		h.metrics, h.address = c.there+":9464", c.forward(s.address)
	}
	h.config, h.repository = filepath.Join(h.dir, "canvasback.yaml"), filepath.Join(h.dir, "backups")
	require.NoError(s.t, os.MkdirAll(filepath.Join(h.dir, "live"), 0o700))
	require.NoError(s.t, os.Mkdir(h.repository, 0o700))
	var text strings.Builder
	fmt.Fprintf(&text, "host: %s\nrepository: %s\ncopies: %d\ndatabases:\n", name, h.repository, *copies)
	seed := filepath.Join(h.dir, "seed.duckdb")
	enginetest.Create(s.t, seed, "CREATE TABLE orders AS SELECT range id, 'order ' || range item FROM range(1000)")
	for i := range n {
		db := fmt.Sprintf("%s-%04d", name, i)
		h.databases = append(h.databases, db)
		more := ""
		if c != nil && i >= live && i%2 == 0 { // a run that lasts for seconds
			more = ", copy: {bandwidth: 128KB}"
		}
		fmt.Fprintf(&text, "  - {name: %s, path: %s, verify: {threads: 1}, retention: {keep_last: 1000}%s}\n", db, h.path(db), more)
		if i < live {
			h.owners[db] = enginetest.StartOwner(s.t, h.path(db), enginetest.OwnerOptions{
				Pause: 500 * time.Millisecond, BulkRows: 500, CheckpointThreshold: "64KB", Seed: uint64(i + 1),
			})
			continue
		}
		enginetest.CopyFile(s.t, seed, h.path(db))
	}
	require.NoError(s.t, os.WriteFile(h.config, []byte(text.String()), 0o600))
	s.hosts = append(s.hosts, h)
	return h
}

func (h *host) path(database string) string {
	return filepath.Join(h.dir, "live", database+".duckdb")
}

// startWorker starts a build of the worker on the host.
func (s *stage) startWorker(h *host, program string) {
	s.t.Helper()
	args := []string{"--config", h.config, "--address", h.address, "--log-format", "json"}
	if program != *oldWorker { // which may be from before there were metrics
		args = append(args, "--metrics-address", h.metrics)
	}
	cmd := exec.Command(program, args...)
	if h.cable != nil {
		cmd = h.cable.command(program, args...)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.workers = append(h.workers, start(s.t, "worker of "+h.name, filepath.Join(h.dir, fmt.Sprintf("worker-%d.log", len(h.workers))), cmd))
}

func (h *host) worker() *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.workers[len(h.workers)-1]
}

// cpu is what all workers of the host took, with their children.
func (h *host) cpu() (seconds float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.workers {
		seconds += p.cpu()
	}
	return seconds
}

// schedule has starter apply make the schedule of every database, and returns
// how long that took.
func (s *stage) schedule() time.Duration {
	s.t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "fleet: test\ndefaults: {schedule: '%s', jitter: %s}\ndatabases:\n", s.rhythm.cron(), *jitter)
	for _, h := range s.hosts {
		for _, db := range h.databases {
			fmt.Fprintf(&text, "  - {name: %s, host: %s}\n", db, h.name)
		}
	}
	file := filepath.Join(s.dir, "fleet.yaml")
	require.NoError(s.t, os.WriteFile(file, []byte(text.String()), 0o600))
	began := time.Now()
	s.starter("apply", "-f", file, "--yes", "--address", s.address)
	return time.Since(began).Round(time.Millisecond)
}

// starter runs a command.
func starter(args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = cli.Main(context.Background(), args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

// starter runs a command that must succeed.
func (s *stage) starter(args ...string) string {
	s.t.Helper()
	status, out, errOut := starter(args...)
	require.Zero(s.t, status, "starter %v: %s%s", args, out, errOut)
	return out
}

// eventually waits as long as it takes on a machine that is short of everything.
func (s *stage) eventually(what string, limit time.Duration, f func() bool) {
	s.t.Helper()
	require.True(s.t, s.check(what, limit, f), what)
}

// check is eventually of what the test goes on after, to find out more.
func (s *stage) check(what string, limit time.Duration, f func() bool) bool {
	s.t.Helper()
	for end := time.Now().Add(limit); !f(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			return assert.Fail(s.t, "has not come about in "+limit.String(), what)
		}
	}
	return true
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
