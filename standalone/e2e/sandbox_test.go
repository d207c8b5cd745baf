package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/standalone/server"
)

// programs builds worker and starter once and returns their directory.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := builtPrograms()
	require.NoError(t, err)
	return dir
}

var builtPrograms = sync.OnceValues(func() (string, error) {
	dir := filepath.Dir(workerProgram)
	out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "canvasback/starter").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the starter: %w: %s", err, out)
	}
	return dir, nil
})

// sandbox is what the commands of one document find: a directory that stands
// for the checkout and, by its subdirectories, for the machine's; a Temporal
// server; the databases, repository and configuration that documents speak of.
type sandbox struct {
	t      *testing.T
	dir    string // absolute, short: sockets lie in it
	host   string
	server *ownServer
	ports  map[string]string // by those of the documents
	stays  []*standing
	hash   string // of the last plan that prune showed
}

// standing is a program that runs on.
type standing struct {
	text   string
	began  time.Time
	cmd    *exec.Cmd
	out    *os.File
	exited chan struct{}
}

// standingTables are those of the database of the documents.
var standingTables = []string{
	"CREATE TABLE orders AS SELECT range id, range % 100 account, 'order ' || range item FROM range(10000)",
	"CREATE TABLE customers AS SELECT range id FROM range(100)",
	"CREATE SCHEMA crm",
	"CREATE TABLE crm.orders AS SELECT range id FROM range(100)",
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	dir, err := os.MkdirTemp("", "docs-")
	require.NoError(t, err)
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	s := &sandbox{t: t, dir: dir, host: host, ports: map[string]string{}}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"bin", "etc", "tmp", "var/lib/shop", "var/backups/canvasback", "var/tmp", "canvasback-data/backups", "internal/livetest"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	for _, name := range []string{"worker", "starter"} {
		require.NoError(t, os.Symlink(filepath.Join(programs(t), name), filepath.Join(dir, "bin", name)))
	}
	root := repositoryRoot(t)
	require.NoError(t, os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))))
	enginetest.CopyFile(t, filepath.Join(root, "internal/livetest/invariants.json"), filepath.Join(dir, "internal/livetest/invariants.json"))
	s.ports["9464"], s.ports["8080"] = freePort(t), freePort(t)
	enginetest.Create(t, filepath.Join(dir, "var/lib/shop/shop.duckdb"), standingTables...)
	enginetest.Create(t, filepath.Join(dir, "canvasback-data/sample.duckdb"), standingTables...)
	s.server = startServer(t, server.Options{})
	t.Cleanup(s.stopAll)

	_, config, found := strings.Cut(textOf(t, "README.md"), "```yaml\n")
	require.True(t, found)
	config, _, _ = strings.Cut(config, "```")
	for _, path := range []string{"canvasback.yaml", "etc/canvasback.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(s.here(config)), 0o600))
	}
	s.must("starter backup --local --database sample=canvasback-data/sample.duckdb --repository canvasback-data/backups")
	return s
}

// freePort is one below those that the kernel hands to outgoing connections, so
// that none of them sits on it before it is used.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(5000)))
		if err == nil {
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, errors.Join(err, l.Close()))
			return port
		}
	}
	require.Fail(t, "there is no free port")
	return ""
}

// settled makes what the documents about running backups take for granted: a
// worker, schedules, backups.
func (s *sandbox) settled() {
	s.begin("worker --config /etc/canvasback.yaml")
	s.must("starter schedule create --database shop --schedule '0 3 * * *'")
	s.must("starter schedule create --drill --database shop --schedule '0 5 * * 0'")
	for range 2 {
		s.must("starter run --database shop")
	}
}

var (
	absolute = regexp.MustCompile(`(^|[\s='":(])/(var|etc|tmp)/`)
	portHere = regexp.MustCompile(`\b(9464|8080)\b`)
	nightly  = regexp.MustCompile(`'0 [35] \* \* `)
	backupID = regexp.MustCompile(`\b20\d{6}T\d{6}Z-i\d+-[0-9a-f]{4}\b`)
	noon     = regexp.MustCompile(`'20\d\d-\d\d-\d\d \d\d:\d\d'`)
)

// here is a text of a document with the sandbox in place of the machine that
// it speaks of.
func (s *sandbox) here(text string) string {
	text = absolute.ReplaceAllString(text, "${1}"+s.dir+"/$2/")
	text = regexp.MustCompile(`\bdb1\b`).ReplaceAllString(text, s.host)
	text = portHere.ReplaceAllStringFunc(text, func(port string) string { return s.ports[port] })
	// No schedule begins while the test runs.
	text = nightly.ReplaceAllString(text, fmt.Sprintf("'0 %d * * ", time.Now().UTC().Add(12*time.Hour).Hour()))
	text = strings.ReplaceAll(text, "go run ./starter", s.dir+"/bin/starter")
	text = strings.ReplaceAll(text, "go build -o bin/", fmt.Sprintf("go build -C '%s' -o '%s/built/'", repositoryRoot(s.t), s.dir))
	text = strings.ReplaceAll(text, "--at-least 1234", "--at-least 1")
	text = noon.ReplaceAllString(text, time.Now().UTC().Add(time.Minute).Format("'2006-01-02 15:04:05'"))
	if backupID.MatchString(text) {
		text = backupID.ReplaceAllString(text, s.newest())
	}
	return regexp.MustCompile(`--confirm=[0-9a-f]{12}`).ReplaceAllString(text, "--confirm="+s.hash)
}

// newest is the newest backup in the repository of the documents.
func (s *sandbox) newest() string {
	s.t.Helper()
	var all []struct{ ID string }
	out := s.must("starter list --repository /var/backups/canvasback --database shop --json")
	require.NoError(s.t, json.Unmarshal([]byte(out), &all), out)
	require.NotEmpty(s.t, all)
	return all[len(all)-1].ID
}

// answer is what a command printed and returned.
type answer struct {
	status      int
	out, errOut string
}

// shell prepares a command as a shell in the sandbox runs it, after those
// before it: their directory and exported variables hold.
func (s *sandbox) shell(ctx context.Context, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", `. "$STATE"; cd "$(cat "$STATE.dir")" || exit 99
`+text+`
status=$?
export -p > "$STATE"; pwd > "$STATE.dir"
exit $status`)
	state := filepath.Join(s.dir, ".state")
	if _, err := os.Stat(state); err != nil {
		require.NoError(s.t, os.WriteFile(state, nil, 0o600))
		require.NoError(s.t, os.WriteFile(state+".dir", []byte(s.dir), 0o600))
	}
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "STATE="+state, "TEMPORAL_ADDRESS="+s.server.HostPort(), "TZ=UTC",
		"PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"))
	return cmd
}

func (s *sandbox) run(text string) answer {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	var a answer
	var out, errOut bytes.Buffer
	cmd := s.shell(ctx, s.here(text))
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Minute
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		require.NoError(s.t, err, text)
	}
	a.status, a.out, a.errOut = cmd.ProcessState.ExitCode(), out.String(), errOut.String()
	if m := regexp.MustCompile(`\b[0-9a-f]{12}\b`).FindString(a.out); m != "" && strings.Contains(text, "starter prune") {
		s.hash = m
	}
	return a
}

// must runs a command of the test's own.
func (s *sandbox) must(text string) string {
	s.t.Helper()
	a := s.run(text)
	require.Zero(s.t, a.status, "%s\n%s%s", text, a.out, a.errOut)
	return a.out
}

// begin starts a program that stays, in place of one of the same name, and
// waits until it does its work.
func (s *sandbox) begin(text string) {
	s.t.Helper()
	program := regexp.MustCompile(`worker|service\.mjs`).FindString(text)
	for _, p := range s.stays {
		if strings.Contains(p.text, program) && !p.ended() {
			s.stop(p)
		}
	}
	p := s.launch(text)
	eventually(s.t, text+" is at work", func() bool {
		if p.ended() {
			said, _ := os.ReadFile(p.out.Name())
			// On a machine that is busy a server can be too slow for a worker that
			// starts. What supervises it starts it again.
			require.Contains(s.t, string(said), "Temporal does not answer", "it has ended: %s", text)
			p = s.launch(text)
		}
		if program == "worker" {
			return s.answers("9464", "/readyz") && s.pulses(p.began)
		}
		return s.answers("8080", "/status")
	})
}

// launch starts a program that stays.
func (s *sandbox) launch(text string) *standing {
	out, err := os.CreateTemp(s.dir, "stays-")
	require.NoError(s.t, err)
	p := &standing{text: text, began: time.Now(), cmd: s.shell(context.Background(), "exec "+s.here(text)), out: out, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	require.NoError(s.t, p.cmd.Start())
	s.stays = append(s.stays, p)
	go func() {
		defer close(p.exited)
		p.cmd.Wait()
	}()
	return p
}

func (p *standing) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// pulses tells whether Temporal has heard of a worker that began at the time:
// all of it is at work then.
func (s *sandbox) pulses(began time.Time) bool {
	var all []struct {
		Worker bool
		Pulse  *struct{ Heard time.Time }
	}
	a := s.run("starter status --database shop --json")
	return json.Unmarshal([]byte(a.out), &all) == nil && len(all) == 1 && all[0].Worker && all[0].Pulse != nil && all[0].Pulse.Heard.After(began)
}

func (s *sandbox) answers(port, path string) bool {
	resp, err := http.Get("http://127.0.0.1:" + s.ports[port] + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// stop ends a program that stays as an operator would.
func (s *sandbox) stop(p *standing) {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		<-p.exited
		s.t.Errorf("%s does not end", p.text)
	}
	p.out.Close()
}

func (s *sandbox) stopAll() {
	for _, p := range s.stays {
		if !p.ended() {
			s.stop(p)
		}
		if s.t.Failed() {
			said, _ := os.ReadFile(p.out.Name())
			s.t.Logf("%s said:\n%s", p.text, said)
		}
	}
}
