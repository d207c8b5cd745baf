package e2e

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"canvasback/internal/failure"
)

// collector takes spans as an OpenTelemetry collector does, over OTLP/HTTP.
type collector struct {
	*httptest.Server

	mu    sync.Mutex // guards what follows
	spans []received
	all   strings.Builder // everything, as JSON
}

type received struct {
	*tracepb.Span
	service string
}

func (r received) trace() string { return hex.EncodeToString(r.TraceId) }
func (r received) id() string    { return hex.EncodeToString(r.SpanId) }

func (r received) attribute(key string) string { return attribute(r.Attributes, key) }

func attribute(all []*commonpb.KeyValue, key string) string {
	for _, a := range all {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzip, err := gzip.NewReader(body)
			if !assert.NoError(t, err) {
				return
			}
			body = unzip
		}
		data, err := io.ReadAll(body)
		assert.NoError(t, err)
		var req collectorpb.ExportTraceServiceRequest
		assert.NoError(t, proto.Unmarshal(data, &req))
		assert.Equal(t, "/v1/traces", r.URL.Path)
		c.take(&req)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(req *collectorpb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.WriteString(protojson.Format(req))
	for _, r := range req.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				c.spans = append(c.spans, received{span, attribute(r.Resource.Attributes, "service.name")})
			}
		}
	}
}

// of returns the spans of a run's trace, found by those that name the run.
func (c *collector) of(run string) []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	traces := map[string]bool{}
	for _, s := range c.spans {
		if s.attribute("temporalRunID") == run {
			traces[s.trace()] = true
		}
	}
	var spans []received
	for _, s := range c.spans {
		if traces[s.trace()] {
			spans = append(spans, s)
		}
	}
	return spans
}

func (c *collector) has(run, name string) bool {
	for _, s := range c.of(run) {
		if s.Name == name {
			return true
		}
	}
	return false
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.String()
}

// ask has the worker, and the starter of this test, deliver to the collector.
func (c *collector) ask(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2-collector")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
}

// checkTrace holds the spans of a run to being one trace, whole, with one root.
func checkTrace(t *testing.T, spans []received, run, root string) map[string]int {
	t.Helper()
	require.NotEmpty(t, spans)
	names, ids, roots := map[string]int{}, map[string]bool{}, []string{}
	for _, s := range spans {
		assert.Equal(t, spans[0].trace(), s.trace(), "%s is in another trace", s.Name)
		assert.False(t, ids[s.id()], "%s is there twice", s.Name)
		ids[s.id()] = true
		names[s.Name]++
		if of := s.attribute("temporalRunID"); of != "" {
			assert.Equal(t, run, of, "%s is of another run", s.Name)
		}
	}
	for _, s := range spans {
		if len(s.ParentSpanId) == 0 {
			roots = append(roots, s.Name)
		} else {
			assert.True(t, ids[hex.EncodeToString(s.ParentSpanId)], "the parent of %s is missing", s.Name)
		}
	}
	assert.Equal(t, []string{root}, roots)
	return names
}

// Each run is one trace: that of starter run has the starter's span at its root,
// and those of a schedule, which hands no span on, have one each.
func TestEachRunIsOneTrace(t *testing.T) {
	c := newCollector(t)
	c.ask(t)
	w := newWorld(t, shared.HostPort())
	w.create()
	worker := w.startWorker()
	w.waitForWorker()
	var byHand resultDoc
	w.do(&byHand, "run")
	w.do(&scheduleDoc{}, "schedule", "create", "--schedule", "0 3 * * *")
	var first, second resultDoc
	w.do(&first, "run")
	w.do(&second, "run")
	assert.Equal(t, failure.ExitDone, worker.stop(syscall.SIGTERM))
	w.do(&struct{}{}, "schedule", "delete")

	traces := map[string]bool{}
	for _, r := range []struct {
		result resultDoc
		root   string
	}{{byHand, "StartWorkflow:Backup"}, {first, "RunWorkflow:Backup"}, {second, "RunWorkflow:Backup"}} {
		spans := c.of(r.result.RunID)
		names := checkTrace(t, spans, r.result.RunID, r.root)
		for _, name := range []string{"RunWorkflow:Backup", "RunActivity:Checkpoint", "RunActivity:Copy", "RunActivity:Verify", "RunActivity:Prune",
			"StartActivity:Checkpoint", "StartActivity:Copy", "StartActivity:Verify", "StartActivity:Prune"} {
			assert.Equal(t, 1, names[name], "%s of %s", name, r.result.WorkflowID)
		}
		traces[spans[0].trace()] = true
		for _, s := range spans {
			assert.NotEqual(t, tracepb.Status_STATUS_CODE_ERROR, s.Status.GetCode(), s.Name)
			switch s.Name {
			case "StartWorkflow:Backup":
				assert.Equal(t, "canvasback-starter", s.service)
			case "RunActivity:Copy":
				assert.Equal(t, "canvasback-worker", s.service)
				assert.Equal(t, w.name(), s.attribute("canvasback.database"))
				assert.Equal(t, r.result.ID, s.attribute("canvasback.backup"))
				assert.Equal(t, "done", s.attribute("canvasback.outcome"))
				assert.NotEmpty(t, s.attribute("canvasback.rule"))
			}
		}
	}
	assert.Len(t, traces, 3, "one trace for each run")
}

// A worker that is killed in the middle of a run takes its memory with it; the
// next one goes on in the same trace.
func TestTraceOutlivesItsWorker(t *testing.T) {
	c := newCollector(t)
	c.ask(t)
	w := newWorld(t, shared.HostPort())
	w.createLarge(24 << 20)
	first := w.startWorker("--config", w.slow("4MB"))
	w.waitForWorker()
	w.do(&scheduleDoc{}, "schedule", "create", "--schedule", "0 3 * * *")
	var started runDoc
	w.do(&started, "schedule", "trigger")
	w.copied(1)
	eventually(t, "the spans of the first step are delivered", func() bool { return c.has(started.RunID, "RunActivity:Checkpoint") })
	assert.Equal(t, failure.ExitDone, first.stop(syscall.SIGTERM))
	second := w.startWorker("--config", w.slow("1GB"))
	eventually(t, "the run ends", func() bool { s := w.status(); return s.Last != nil && s.Last.RunID == started.RunID })
	assert.Equal(t, failure.ExitDone, second.stop(syscall.SIGTERM))
	w.do(&struct{}{}, "schedule", "delete")

	names := checkTrace(t, c.of(started.RunID), started.RunID, "RunWorkflow:Backup")
	assert.Equal(t, 1, names["RunWorkflow:Backup"], "told once, by the worker that ended it")
	assert.Equal(t, 2, names["RunActivity:Copy"], "each attempt")
	assert.Equal(t, 1, names["RunActivity:Prune"])
}

// What fails is marked, with its kind; and no secret leaves, by spans or by lines.
func TestFailedStepsAreMarkedAndSecretsStay(t *testing.T) {
	c := newCollector(t)
	c.ask(t)
	const token = "hunter2-token"
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer hook.Close()
	w := newWorld(t, shared.HostPort())
	w.create()
	key := filepath.Join(w.dir, "shop.key")
	require.NoError(t, os.WriteFile(key, []byte("hunter2-key\n"), 0o600))
	worker := w.startWorker("--log-format", "json", "--config", w.slow("1GB",
		"key_file: "+key, "checkpoint: {mode: http, url: '"+hook.URL+"/fold?token="+token+"', on_error: fail}"))
	w.waitForWorker()
	w.refused(failure.Hook, "run")
	assert.Equal(t, failure.ExitDone, worker.stop(syscall.SIGTERM))

	c.mu.Lock()
	spans := c.spans
	c.mu.Unlock()
	marked := map[string]int{}
	for _, s := range spans {
		if s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			marked[s.Name]++
			assert.Equal(t, "Hook", s.attribute("canvasback.kind"), s.Name)
			assert.Contains(t, s.Status.Message, "403", s.Name)
		}
	}
	assert.Equal(t, 1, marked["RunWorkflow:Backup"])
	assert.Equal(t, 5, marked["RunActivity:Checkpoint"], "each attempt")
	said := worker.said()
	assert.Equal(t, 4, strings.Count(said, `"outcome":"retry","kind":"Hook"`), said)
	assert.Equal(t, 1, strings.Count(said, `"outcome":"failed","kind":"Hook"`), said)
	for _, where := range []string{said, c.text()} {
		assert.Contains(t, where, "/fold")
		assert.NotContains(t, where, "hunter2")
	}
}
