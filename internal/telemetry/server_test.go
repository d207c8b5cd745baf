package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/health"
)

func silentLog(*testing.T) *slog.Logger { return slog.New(slog.DiscardHandler) }

func get(t *testing.T, w *Worker, path string) (int, string) {
	t.Helper()
	res, err := http.Get("http://" + w.Address() + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func start(t *testing.T, address string, out io.Writer) *Worker {
	t.Helper()
	log, err := NewLogger(out, "text")
	require.NoError(t, err)
	w, err := Start(t.Context(), Options{Host: "db1", Databases: []string{"shop"}, Service: "test", Address: address, Log: log, Getenv: func(string) string { return "" }})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

func TestHealth(t *testing.T) {
	w := start(t, "127.0.0.1:0", io.Discard)
	probe := func(path string) string {
		status, text := get(t, w, path)
		if text == "ok\n" {
			assert.Equal(t, http.StatusOK, status)
		} else {
			assert.Equal(t, http.StatusServiceUnavailable, status, text)
		}
		return text
	}
	assert.Equal(t, "ok\n", probe("/healthz"), "a worker that waits for Temporal is alive")
	assert.Equal(t, "not connected to Temporal yet\n", probe("/readyz"))

	report := health.Report{}
	var full error
	w.Watch(func() health.Report { return report }, func() error { return full })
	assert.Equal(t, "ok\n", probe("/healthz"))
	assert.Equal(t, "the worker does not poll its queue\nno answer from Temporal yet\n", probe("/readyz"))
	report = health.Report{At: time.Now(), TemporalSeen: time.Now()}
	w.Polling(true)
	assert.Equal(t, "ok\n", probe("/readyz"))

	full = failure.Errorf(failure.RepoFull, "write to the repository /backups: no space left")
	assert.Equal(t, "write to the repository /backups: no space left\n", probe("/readyz"))
	assert.Equal(t, "ok\n", probe("/healthz"))
	full, report.TemporalSeen = nil, time.Now().Add(-time.Hour)
	assert.Contains(t, probe("/readyz"), "no answer from Temporal since 20")
	report.At = time.Now().Add(-time.Hour)
	assert.Contains(t, probe("/healthz"), "the watch of this host has not reported since 20")
	assert.Contains(t, probe("/readyz"), "the watch of this host has not reported since 20")
	w.Polling(false)
	assert.Contains(t, probe("/readyz"), "does not poll")
}

// A file system that does not answer holds up neither the other probe nor the
// worker, and is tried once, however often it is asked.
func TestHealthOfARepositoryThatHangs(t *testing.T) {
	w := start(t, "127.0.0.1:0", io.Discard)
	hang, tries := make(chan struct{}), atomic.Int64{}
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(release)
	w.Watch(func() health.Report { return health.Report{At: time.Now(), TemporalSeen: time.Now()} }, func() error {
		tries.Add(1)
		<-hang
		return errors.New("it answers, badly")
	})
	w.Polling(true)
	for range 2 {
		assert.ErrorContains(t, w.written(time.Millisecond), "writing to the repository has not come to an end since 20")
	}
	assert.Equal(t, int64(1), tries.Load())
	status, text := get(t, w, "/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, text, "writing to the repository has not come to an end")
	status, _ = get(t, w, "/healthz")
	assert.Equal(t, http.StatusOK, status)
	w.Polling(false)

	release()
	assert.EqualError(t, w.written(time.Minute), "it answers, badly")
}

func TestMetricsAreServed(t *testing.T) {
	w := start(t, ":0", io.Discard)
	host, _, err := net.SplitHostPort(w.Address())
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", host, "loopback, if no host is named")
	w.Metrics.SDK().Counter("temporal_request").Inc(1)
	w.Watch(fullReport, func() error { return nil })
	status, text := get(t, w, "/metrics")
	assert.Equal(t, http.StatusOK, status)
	for _, want := range []string{`canvasback_problem{database="shop",host="db1",kind="paused"} 1`, "temporal_request_total 1", "go_goroutines", "process_start_time_seconds", "promhttp_metric_handler_errors_total"} {
		assert.Contains(t, text, want)
	}
	status, _ = get(t, w, "/debug/pprof/")
	assert.Equal(t, http.StatusNotFound, status)
	res, err := http.Post("http://"+w.Address()+"/metrics", "", nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestAddressThatIsNone(t *testing.T) {
	_, err := Start(t.Context(), Options{Host: "db1", Address: "127.0.0.1", Log: silentLog(t), Getenv: os.Getenv})
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
	assert.ErrorContains(t, err, "metrics address 127.0.0.1")
	var none Worker
	assert.Empty(t, none.Address())
}

// Who has a port does not keep backups from being taken, and when it is free it
// is used.
func TestAddressThatIsTaken(t *testing.T) {
	listenAgain = 5 * time.Millisecond
	t.Cleanup(func() { listenAgain = 5 * time.Second })
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var out bytes.Buffer
	w := start(t, taken.Addr().String(), &out)
	assert.Contains(t, out.String(), "Metrics and health are not served yet, trying again")
	assert.Contains(t, out.String(), "address already in use")
	assert.Empty(t, w.Address())
	require.NoError(t, taken.Close())
	require.Eventually(t, func() bool { return w.Address() != "" }, time.Minute, time.Millisecond)
	assert.Equal(t, taken.Addr().String(), w.Address())
	status, _ := get(t, w, "/healthz")
	assert.Equal(t, http.StatusOK, status)
}

// A worker that ends leaves nothing behind that would take the address later.
func TestAddressThatIsTakenToTheEnd(t *testing.T) {
	listenAgain = time.Millisecond
	t.Cleanup(func() { listenAgain = 5 * time.Second })
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	w, err := Start(t.Context(), Options{Host: "db1", Address: taken.Addr().String(), Log: silentLog(t), Getenv: os.Getenv})
	require.NoError(t, err)
	w.Close()
	assert.Empty(t, w.Address())
}

func TestAddressThatTheNetworkReaches(t *testing.T) {
	var out bytes.Buffer
	start(t, "127.0.0.1:0", &out)
	assert.NotContains(t, out.String(), "level=WARN")
	start(t, "0.0.0.0:0", &out)
	assert.Contains(t, out.String(), "level=WARN msg=\"Metrics are open to the network")
}

func TestErrorLog_says_nothing_of_a_reader_that_went_away(t *testing.T) {
	var said strings.Builder
	l := errorLog{slog.New(slog.NewTextHandler(&said, nil))}
	for _, gone := range []error{
		context.Canceled,
		&net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)},
		&net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ECONNRESET)},
	} {
		l.Println("error encoding and sending metric family:", gone)
	}
	assert.Empty(t, said.String())
	l.Println("error gathering metrics:", errors.New("collected before"))
	assert.Contains(t, said.String(), "Metrics are not whole")
	assert.Contains(t, said.String(), "collected before")
}
