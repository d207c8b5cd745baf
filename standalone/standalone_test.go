package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"canvasback/internal/engine"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/standalone/sample"
)

// programEnv makes this test binary the program itself.
const programEnv = "CANVASBACK_TEST_STANDALONE"

func TestMain(m *testing.M) {
	engine.RunIfChild()
	sample.RunIfChild()
	if os.Getenv(programEnv) != "" {
		syscall.Umask(0) // which keeps out nobody
		main()
	}
	os.Exit(m.Run())
}

// program is a running standalone.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	mu     sync.Mutex
	out    strings.Builder
	errOut bytes.Buffer
	ended  chan struct{}
}

func launch(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"--port=0", "--ui-port=0"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), programEnv+"=1")
	p := &program{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &p.errOut
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.mu.Lock()
			p.out.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", p.text(), p.errOut.String())
		}
	})
	return p
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// wait returns what the first group of the pattern matches in the output.
func (p *program) wait(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if m := re.FindStringSubmatch(p.text()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-p.ended:
			if m := re.FindStringSubmatch(p.text()); m != nil {
				return m[len(m)-1]
			}
			require.Fail(p.t, "the program ended", "without %q", pattern)
		case <-tick.C:
			require.True(p.t, time.Now().Before(deadline), "nothing like %q", pattern)
		}
	}
}

// interrupt stops it as a person would, and returns the exit status.
func (p *program) interrupt() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt))
	return p.exit()
}

func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(2 * time.Minute):
		require.Fail(p.t, "the program does not end")
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	require.NoError(t, err)
	return n
}

// TestSample is what somebody sees who types the command without anything.
func TestSample(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "canvasback-data")
	p := launch(t, dir)
	p.wait(`Ctrl-C stops it`)
	text := p.text()
	assert.Contains(t, text, "No --database was given, so this is a sample")
	assert.Regexp(t, `(?m)^Backup \S+ of sample is verified\.$`, text)

	before, during, after := number(t, p.wait(`writer +(\d+) commits`)), number(t, p.wait(`before, (\d+) when`)), number(t, p.wait(`done, (\d+) now`))
	held := number(t, p.wait(`holds the first (\d+) of them`))
	assert.Less(t, before, during, "writing went on during the backup")
	assert.Less(t, during, after, "and after it")
	assert.GreaterOrEqual(t, held, before, "what was committed before it is in it")
	assert.LessOrEqual(t, held, during)

	id := p.wait(`Backup (\S+) of sample`)
	r, err := repo.Open(vfs.OS(), filepath.Join(data, "backups"))
	require.NoError(t, err)
	m, err := r.Get("sample", id)
	require.NoError(t, err)
	assert.Equal(t, repo.StateVerified, m.State)

	t.Run("the run's page and the next backup are announced", func(t *testing.T) {
		assert.Regexp(t, `run +http://127\.0\.0\.1:\d+/namespaces/default/workflows/canvasback-backup-sample-\S+/timeline`, text)
		assert.Regexp(t, `next +Sun \d+ \w+ \d+ 03:00 \(0 3 \* \* 0, UTC\)`, text)
		assert.Contains(t, text, "restore --repository "+filepath.Join(data, "backups")+" --database sample --backup "+id)
	})

	t.Run("a second one on the same data is refused", func(t *testing.T) {
		second := launch(t, dir)
		assert.Equal(t, 2, second.exit())
		assert.Contains(t, second.errOut.String(), fmt.Sprintf("--data canvasback-data: another standalone (process %d) works there", p.cmd.Process.Pid))
	})

	t.Run("killed and started again it goes on where it was", func(t *testing.T) {
		runs := func(p *program) int {
			c := dial(t, p)
			defer c.Close()
			d, err := c.ScheduleClient().GetHandle(t.Context(), job.BackupID("sample")).Describe(t.Context())
			require.NoError(t, err)
			return d.Info.NumActions
		}
		require.Equal(t, 1, runs(p))
		require.NoError(t, p.cmd.Process.Kill())
		p.exit()

		again := launch(t, dir)
		again.wait(`Ctrl-C stops it`)
		assert.Equal(t, 2, runs(again), "the schedule is the old one")
		c := dial(t, again)
		var first job.BackupResult
		require.NoError(t, c.GetWorkflow(t.Context(), workflowOf(t, text), "").Get(t.Context(), &first))
		c.Close()
		assert.Equal(t, id, first.ID, "and so are the histories")
		assert.Greater(t, number(t, again.wait(`writer +(\d+) commits`)), int64(0))
		list, err := r.List("sample")
		require.NoError(t, err)
		assert.Len(t, list, 2)
		assert.Equal(t, 0, again.interrupt(), "an orderly stop")
		closed(t, data)
	})
}

// closed finds nothing in the directory that others have any right to.
func closed(t *testing.T, dir string) {
	t.Helper()
	seen := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, "%s is %s", path, info.Mode())
		seen++
		return nil
	}))
	assert.Greater(t, seen, 10)
}

func workflowOf(t *testing.T, text string) string {
	t.Helper()
	m := regexp.MustCompile(`/workflows/(canvasback-backup-[^/]+)/`).FindStringSubmatch(text)
	require.NotNil(t, m)
	return strings.ReplaceAll(m[1], "%3A", ":")
}

func dial(t *testing.T, p *program) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{
		HostPort: p.wait(`temporal +(\S+)`),
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	return c
}

func TestPortsAndDatabases(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port

	t.Run("a taken port is refused by the flag's name", func(t *testing.T) {
		p := launch(t, dir, fmt.Sprintf("--ui-port=%d", taken))
		assert.Equal(t, 1, p.exit())
		assert.Contains(t, p.errOut.String(), fmt.Sprintf("--ui-port %d: ", taken))
	})

	t.Run("a bad cron expression ends it", func(t *testing.T) {
		p := launch(t, dir, "--cron=every now and then")
		assert.Equal(t, 2, p.exit())
		assert.Contains(t, p.errOut.String(), "every now and then")
	})

	t.Run("with --once a database that is not there is a failure", func(t *testing.T) {
		p := launch(t, dir, "--once", "--no-ui", "--database", "notes.duckdb")
		p.wait(`Backing up notes`)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM), "a missing file may appear: the run goes on trying")
		assert.Equal(t, 130, p.exit())
		assert.Contains(t, p.errOut.String(), "the backup of notes goes on at the next start")
	})
}
