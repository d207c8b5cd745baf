package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// serveEnv makes this test binary a server on the file it names, see serve.
const serveEnv = "CANVASBACK_TEST_SERVE"

func TestMain(m *testing.M) {
	if file := os.Getenv(serveEnv); file != "" {
		os.Exit(serve(file))
	}
	os.Exit(m.Run())
}

// serve runs a server until standard input ends, and prints its addresses.
func serve(file string) int {
	s, err := Start(context.Background(), Options{DBFile: file})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.HostPort(), s.UIAddress())
	io.Copy(io.Discard, os.Stdin)
	s.Stop()
	return 0
}

// child is a server in another process.
type child struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	hostPort string
	ui       string
}

func startChild(t *testing.T, file string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+file)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd, stdin: stdin}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "the child prints its addresses")
	_, err = fmt.Sscan(line, &c.hostPort, &c.ui)
	require.NoError(t, err)
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Kill())
	require.Error(t, c.cmd.Wait())
}

func dial(t *testing.T, hostPort string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: hostPort, Namespace: Namespace, Logger: quiet{}})
	require.NoError(t, err)
	return c
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

func greet(ctx workflow.Context, name string) (string, error) {
	return "hello " + name, workflow.Sleep(ctx, 10*time.Millisecond)
}

func runGreet(ctx context.Context, t *testing.T, c client.Client, id string) string {
	t.Helper()
	w := worker.New(c, "test", worker.Options{})
	w.RegisterWorkflowWithOptions(greet, workflow.RegisterOptions{Name: "greet"})
	require.NoError(t, w.Start())
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: "test"}, "greet", id)
	require.NoError(t, err)
	var got string
	require.NoError(t, run.Get(ctx, &got))
	return got
}

func TestServer(t *testing.T) {
	ctx := t.Context()

	t.Run("state survives stop and start on a path with odd characters", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "50% of #1? yes & no")
		require.NoError(t, os.Mkdir(dir, 0o700))
		file := filepath.Join(dir, FileName())
		s, err := Start(ctx, Options{DBFile: file, LogFile: filepath.Join(dir, "server.log")})
		require.NoError(t, err)
		c, err := s.Client(client.Options{})
		require.NoError(t, err)
		assert.Equal(t, "hello one", runGreet(ctx, t, c, "one"))
		ns, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: Namespace})
		require.NoError(t, err)
		assert.Equal(t, 30*24*time.Hour, ns.Config.WorkflowExecutionRetentionTtl.AsDuration())
		c.Close()
		require.NoError(t, s.Stop())
		require.NoError(t, s.Stop(), "a second time")
		log, err := os.ReadFile(filepath.Join(dir, "server.log"))
		require.NoError(t, err)
		assert.NotEmpty(t, log)

		s, err = Start(ctx, Options{DBFile: file})
		require.NoError(t, err)
		defer s.Stop()
		c, err = s.Client(client.Options{})
		require.NoError(t, err)
		defer c.Close()
		var got string
		require.NoError(t, c.GetWorkflow(ctx, "one", "").Get(ctx, &got))
		assert.Equal(t, "hello one", got)
		assert.Equal(t, "hello two", runGreet(ctx, t, c, "two"))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			assert.False(t, strings.HasPrefix(e.Name(), ".schema-"), "left behind: %s", e.Name())
		}
	})

	t.Run("two in memory at once do not meet", func(t *testing.T) {
		a, err := Start(ctx, Options{NoUI: true})
		require.NoError(t, err)
		defer a.Stop()
		b, err := Start(ctx, Options{NoUI: true})
		require.NoError(t, err)
		defer b.Stop()
		assert.Empty(t, a.UIAddress())
		ca, err := a.Client(client.Options{})
		require.NoError(t, err)
		defer ca.Close()
		cb, err := b.Client(client.Options{})
		require.NoError(t, err)
		defer cb.Close()
		assert.Equal(t, "hello only-a", runGreet(ctx, t, ca, "only-a"))
		_, err = cb.DescribeWorkflowExecution(ctx, "only-a", "")
		assert.ErrorContains(t, err, "not found")
	})

	t.Run("stop closes every port and ends our goroutines and the UI's", func(t *testing.T) {
		s, err := Start(ctx, Options{DBFile: filepath.Join(t.TempDir(), FileName())})
		require.NoError(t, err)
		addresses := listening(t, os.Getpid())
		require.Len(t, addresses, 5, "frontend, history, matching, worker, UI: %v", addresses)
		require.NotEmpty(t, goroutines("standalone/server.startUI"))
		require.NoError(t, s.Stop())
		assert.Empty(t, listening(t, os.Getpid()))
		// Temporal's own services leave background goroutines that end with
		// the process; they hold no port. What this package starts is gone.
		assert.Empty(t, goroutines("standalone/server.startUI"))
		assert.Eventually(t, func() bool { return len(goroutines("labstack/echo")) == 0 }, 10*time.Second, 20*time.Millisecond)
	})

	t.Run("a port lost at the last moment is an error with its cause", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		o := Options{NoUI: true, Retention: time.Hour, Logger: slog.New(slog.DiscardHandler)}
		p, err := choosePorts(o)
		require.NoError(t, err)
		p.release()
		p.history = l.Addr().(*net.TCPAddr).Port
		db, err := sqliteStores(o)
		require.NoError(t, err)
		options, err := serverOptions(o, db, p)
		require.NoError(t, err)
		_, err = startTemporal(options)
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	})

	t.Run("another address than 127.0.0.1 for the frontend and the UI", func(t *testing.T) {
		s, err := Start(ctx, Options{Listen: "127.0.0.2"})
		require.NoError(t, err)
		defer s.Stop()
		assert.True(t, strings.HasPrefix(s.HostPort(), "127.0.0.2:"), s.HostPort())
		assert.True(t, strings.HasPrefix(s.UIAddress(), "http://127.0.0.2:"), s.UIAddress())
		open := 0
		for _, a := range listening(t, os.Getpid()) {
			if a.IP.String() == "127.0.0.2" {
				open++
			}
			assert.True(t, a.IP.IsLoopback(), a)
		}
		assert.Equal(t, 2, open, "the frontend and the UI, and no other service")
		assert.NoError(t, s.Stop())

		for _, bad := range []string{"localhost", "::1"} {
			_, err = Start(ctx, Options{Listen: bad, NoUI: true})
			assert.EqualError(t, err, "server: "+bad+" is no IPv4 address to listen on")
		}
		assert.Equal(t, "127.0.0.1", reach("0.0.0.0"))
		assert.Equal(t, "192.0.2.1", reach("192.0.2.1"))
	})

	t.Run("a taken port is named and a free one works", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		taken := l.Addr().(*net.TCPAddr).Port
		var portErr *PortError
		_, err = Start(ctx, Options{FrontendPort: taken, NoUI: true})
		require.ErrorAs(t, err, &portErr)
		assert.False(t, portErr.UI)
		_, err = Start(ctx, Options{UIPort: taken})
		require.ErrorAs(t, err, &portErr)
		assert.True(t, portErr.UI)
		assert.Equal(t, taken, portErr.Port)
		assert.EqualError(t, portErr, fmt.Sprintf("port %d for the Web UI cannot be used: listen tcp 127.0.0.1:%d: bind: address already in use", taken, taken))
	})
}

// goroutines lists the stacks of all goroutines but the caller's that contain
// the text.
func goroutines(text string) []string {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for _, stack := range strings.Split(string(buf), "\n\n")[1:] {
		if strings.Contains(stack, text) {
			found = append(found, stack)
		}
	}
	return found
}

func TestServerProcess(t *testing.T) {
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), FileName())
	one := startChild(t, file)

	t.Run("listens on loopback only", func(t *testing.T) {
		addresses := listening(t, one.cmd.Process.Pid)
		require.NotEmpty(t, addresses)
		for _, a := range addresses {
			assert.True(t, a.IP.IsLoopback(), "%s", a)
		}
	})

	t.Run("the UI serves HTML and its API answers", func(t *testing.T) {
		body := get(t, one.ui+"/namespaces/default/workflows")
		assert.Contains(t, strings.ToLower(body), "<!doctype html>")
		assert.Contains(t, get(t, one.ui+"/api/v1/namespaces/default"), `"2592000s"`)
	})

	t.Run("a second process on the file is refused", func(t *testing.T) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), serveEnv+"="+file)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		assert.Equal(t, "another process runs a Temporal server on "+file+"\n", string(out))
	})

	t.Run("kill -9 loses neither schedule nor history", func(t *testing.T) {
		c := dial(t, one.hostPort)
		require.Equal(t, "hello before", runGreet(ctx, t, c, "before"))
		_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
			ID:     "weekly",
			Spec:   client.ScheduleSpec{CronExpressions: []string{"0 3 * * 0"}},
			Action: &client.ScheduleWorkflowAction{ID: "weekly", Workflow: "greet", TaskQueue: "test", Args: []any{"weekly"}},
		})
		require.NoError(t, err)
		open, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "open", TaskQueue: "test"}, "greet", "open")
		require.NoError(t, err)
		c.Close()
		one.kill(t)

		two := startChild(t, file)
		c = dial(t, two.hostPort)
		defer c.Close()
		var got string
		require.NoError(t, c.GetWorkflow(ctx, "before", "").Get(ctx, &got))
		assert.Equal(t, "hello before", got)
		d, err := c.ScheduleClient().GetHandle(ctx, "weekly").Describe(ctx)
		require.NoError(t, err)
		require.NotEmpty(t, d.Info.NextActionTimes)
		assert.Equal(t, time.Sunday, d.Info.NextActionTimes[0].UTC().Weekday())
		info, err := c.DescribeWorkflowExecution(ctx, "open", open.GetRunID())
		require.NoError(t, err)
		assert.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, info.WorkflowExecutionInfo.Status)
		require.Equal(t, "hello after", runGreet(ctx, t, c, "after"), "and it goes on working")
		require.NoError(t, c.GetWorkflow(ctx, "open", "").Get(ctx, &got), "the open run is finished by the next worker")
		assert.Equal(t, "hello open", got)

		two.stdin.Close()
		require.NoError(t, two.cmd.Wait(), "an orderly stop")
	})
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", url, body)
	return string(body)
}
