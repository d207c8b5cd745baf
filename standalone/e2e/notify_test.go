package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"canvasback/internal/cli"
	"canvasback/internal/failure"
	"canvasback/internal/notify"
)

// secretPart is in the URLs of these tests, and may be in no text.
const secretPart = "5d3b8f0e-1c1f-4a55-9a0e-secret"

// receiver is a dead-man service and a webhook. It notes what it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	told   []string // "start", "ok", "fail", or "failure backup"
	events []notify.Payload
}

func newReceiver(t *testing.T, code int) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		what := strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, "/"+secretPart), "/")
		switch what {
		case "":
			what = "ok"
		case "hook":
			var p notify.Payload
			assert.NoError(t, json.Unmarshal(body, &p))
			r.events = append(r.events, p)
			what = p.Event + " " + p.Step
		}
		r.told = append(r.told, what)
		w.WriteHeader(code)
	}))
	t.Cleanup(r.Close)
	return r
}

// heard returns what was told since the last time.
func (r *receiver) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

// notified writes a configuration that tells r.
func (w *world) notified(r *receiver) string {
	file := filepath.Join(w.dir, "ping-url")
	require.NoError(w.t, os.WriteFile(file, []byte(r.URL+"/"+secretPart+"\n"), 0o600))
	return w.slow("1GB", fmt.Sprintf("notify: {ping: {url_file: %s}, webhook: {url: '%s/%s/hook'}}", file, r.URL, secretPart))
}

// spoil puts something else in the place of the database.
func (w *world) spoil() {
	require.NoError(w.t, os.WriteFile(w.database, bytes.Repeat([]byte("no duck "), 4096), 0o600))
}

func (w *world) repair() {
	require.NoError(w.t, os.Remove(w.database))
	w.create()
}

// local takes a backup without Temporal.
func (w *world) local(config string) outcome {
	var out, errOut bytes.Buffer
	status := cli.Main(w.t.Context(), []string{"backup", "--local", "--config", config, "--database", w.name(), "--json"}, strings.NewReader(""), &out, &errOut)
	return outcome{status, out.String(), errOut.String()}
}

// TestNotifications goes through backups that fail and are well again, by
// several workers and without Temporal, and looks for the secret everywhere.
func TestNotifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	r := newReceiver(t, http.StatusOK)
	config := w.notified(r)
	first := w.startWorker("--config", config)
	w.waitForWorker()
	var runs []runDoc

	var good resultDoc
	w.do(&good, "run")
	assert.Equal(t, []string{"start", "ok"}, r.heard())
	runs = append(runs, good.runDoc)
	w.record("backup_announced_verified", good.runDoc)

	w.spoil()
	runs = append(runs, w.failed("run"))
	assert.Equal(t, []string{"start", "fail", "failure backup"}, sorted(r.heard()))
	w.record("backup_announced_failed", runs[1])
	p := r.events[0]
	assert.Equal(t, "NotDuckDB", p.Kind)
	assert.Equal(t, runs[1], runDoc{p.WorkflowID, p.RunID})
	assert.Equal(t, w.host, p.Host)
	require.NotNil(t, p.Newest)
	assert.Equal(t, good.ID, p.Newest.ID)

	require.Zero(t, first.stop(os.Interrupt))
	second := w.startWorker("--config", config)
	w.waitForWorker()
	runs = append(runs, w.failed("run"))
	assert.Equal(t, []string{"start", "fail"}, r.heard(), "told once, whoever meets it")
	local := w.local(config)
	assert.Equal(t, failure.NotDuckDB.Exit, local.status, local.errOut)
	assert.Equal(t, []string{"start", "fail"}, r.heard())

	w.repair()
	var again resultDoc
	w.do(&again, "run")
	runs = append(runs, again.runDoc)
	assert.Equal(t, []string{"start", "ok", "recovery backup"}, sorted(r.heard()))
	assert.Equal(t, 3, r.events[1].Failures)
	assert.Equal(t, p.Since, r.events[1].Since)
	assert.Equal(t, again.ID, r.events[1].Backup)

	w.flip(again.ID)
	runs = append(runs, w.failed("drill"))
	assert.Equal(t, []string{"failure drill"}, r.heard())
	assert.Equal(t, "DrillFailed", r.events[2].Kind)
	w.record("drill_announced_failed", runs[len(runs)-1])
	o := w.local(config)
	require.Equal(t, failure.ExitDone, o.status, o.errOut)
	assert.Equal(t, []string{"start", "ok"}, r.heard())
	var drill runDoc
	w.do(&drill, "drill")
	runs = append(runs, drill)
	assert.Equal(t, []string{"recovery drill"}, r.heard())

	var test bytes.Buffer
	assert.Zero(t, cli.Main(t.Context(), []string{"notify", "test", "--config", config}, strings.NewReader(""), &test, &test))
	assert.Equal(t, []string{"log", "test backup"}, r.heard())

	record, err := os.ReadFile(filepath.Join(w.repository, w.name(), ".told"))
	require.NoError(t, err)
	texts := map[string]string{
		"first log": first.said(), "second log": second.said(), "record": string(record), "local": local.out + local.errOut + o.out + o.errOut, "test": test.String(),
	}
	for i, run := range runs {
		data, err := proto.Marshal(w.history(run))
		require.NoError(t, err)
		texts[fmt.Sprintf("history %d", i)] = string(data)
		assert.Contains(t, string(data), "Announce")
	}
	for name, text := range texts {
		assert.NotContains(t, text, secretPart, name)
		assert.NotContains(t, text, "/hook", name)
	}
	assert.Contains(t, texts["test"], r.URL)
}

// sorted puts events, which go beside the pings, behind them.
func sorted(told []string) []string {
	var pings, events []string
	for _, what := range told {
		if strings.Contains(what, " ") {
			events = append(events, what)
		} else {
			pings = append(pings, what)
		}
	}
	return append(pings, events...)
}

// TestReceiversThatRefuse: the backups end as they would, and the worker's log says who was
// not told, by scheme and host.
func TestReceiversThatRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	w.create()
	r := newReceiver(t, http.StatusForbidden)
	config := w.notified(r)
	p := w.startWorker("--config", config)
	w.waitForWorker()
	var good resultDoc
	w.do(&good, "run")
	assert.Equal(t, "verified", good.State)
	w.spoil()
	assert.Contains(t, w.refused(failure.NotDuckDB, "run"), w.database)
	run := w.failed("run")
	w.repair()
	w.do(&good, "run")
	assert.Equal(t, "verified", good.State)
	assert.Equal(t, failure.ExitDone, w.local(config).status)
	data, err := proto.Marshal(w.history(run))
	require.NoError(t, err)
	assert.Contains(t, string(data), r.URL+" answers 403 Forbidden")
	assert.Contains(t, p.said(), r.URL+" answers 403 Forbidden")
	assert.NotContains(t, string(data)+p.said(), secretPart)
	assert.Contains(t, r.heard(), "recovery backup")
}
