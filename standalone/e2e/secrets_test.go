package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"

	"canvasback/internal/cli"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/job"
)

// hush is in each secret of this test, and may be in no place.
const hush = "hush7f3a9c1e"

// secret is one that a place may leak.
func secret(from string) string { return hush + "-" + from }

// places are the texts of all places that were looked at, by their names.
type places struct {
	t      *testing.T
	marker string
	texts  map[string]string
}

func (p *places) add(name, text string) { p.texts[name] += text }

// check finds the marker in each place, which is in no way secret, so that it is
// known that something would be found, and no secret in any.
func (p *places) check() {
	p.t.Helper()
	forms := []string{hush, hex.EncodeToString([]byte(hush))}
	for lead := range 3 { // whatever is before it in what was encoded
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", lead) + hush))
		forms = append(forms, text[(lead*8+5)/6:len(hush)*8/6])
	}
	for name, text := range p.texts {
		assert.True(p.t, strings.Contains(text, p.marker), "%s: nothing would be found there", name)
		for _, form := range forms {
			if at := strings.Index(text, form); at >= 0 {
				assert.Fail(p.t, "a secret", "in %s: ...%q...", name, text[max(0, at-300):min(len(text), at+100)])
			}
		}
	}
}

// processes notes the command line of every process, and the environment of those
// that a worker starts, until it is stopped.
type processes struct {
	mu         sync.Mutex // guards what follows
	lines      map[string]bool
	children   strings.Builder // environments of engine children and of hooks
	done, gone chan struct{}
}

func watchProcesses() *processes {
	p := &processes{lines: map[string]bool{}, done: make(chan struct{}), gone: make(chan struct{})}
	go func() {
		defer close(p.gone)
		for {
			p.look()
			select {
			case <-p.done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return p
}

func (p *processes) look() {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err != nil || len(line) == 0 {
			continue
		}
		text := strings.ReplaceAll(string(line), "\x00", " ")
		p.lines[text] = true
		if strings.HasPrefix(text, "canvasback-engine ") {
			if env, err := os.ReadFile(filepath.Join(filepath.Dir(name), "environ")); err == nil && len(env) > 0 {
				p.children.WriteString(text + string(env) + "\n")
			}
		}
	}
}

// engine says whether a child that reads the database was seen.
func (p *processes) engine(database string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.children.String(), "canvasback-engine "+database)
}

func (p *processes) stop() (lines, children string) {
	close(p.done)
	<-p.gone
	var b strings.Builder
	for line := range p.lines {
		b.WriteString(line + "\n")
	}
	return b.String(), p.children.String()
}

// plant writes a file of mode 0600 that holds text.
func (w *world) plant(name, text string) string {
	w.t.Helper()
	file := filepath.Join(w.dir, "secrets", name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(w.t, os.WriteFile(file, []byte(text+"\n"), 0o600))
	return file
}

// everywhere is a configuration with a secret wherever one can be. The receiver
// answers to all of it; events go to a command as well, which notes what it sees.
func (w *world) everywhere(to *httptest.Server, seen string) string {
	address := strings.TrimPrefix(to.URL, "http://")
	with := func(from string) string {
		return fmt.Sprintf("http://%s@%s/%s/hook?token=%s#%s", secret(from), address, secret(from), secret(from), secret(from))
	}
	return w.slow("1GB",
		"key_file: "+w.plant("key", secret("duckdb-key")),
		fmt.Sprintf("checkpoint: {mode: http, url: '%s/checkpoint?token=%s', timeout: 20s}", to.URL, secret("checkpoint")),
		fmt.Sprintf("hold: {mode: http, url: '%s/hold?token=%s', timeout: 20s}", to.URL, secret("hold")),
		fmt.Sprintf("restore: {targets: {spare: %s/spare.duckdb}}", w.dir),
		fmt.Sprintf("notify: {ping: {url_file: %s}, webhook: {url_file: %s, token_file: %s, secret_file: %s}, command: [/bin/sh, -c, 'env >> %s; cat >> %s']}",
			w.plant("ping", with("ping")), w.plant("webhook", with("webhook")), w.plant("token", secret("token")), w.plant("hmac", secret("hmac")), seen, seen))
}

// TestSecretsStayWhereTheyAre plants secrets in every place that one may come from,
// does everything that is done with a database, well and badly, and looks for them
// wherever something is written.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	collector := newCollector(t)
	collector.ask(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization="+secret("otel"))
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret("environment"))
	if !setting.TLS() {
		t.Setenv("TEMPORAL_API_KEY", secret("api-key"))
		t.Setenv("TEMPORAL_TLS", "false")
	}
	w := newWorld(t, shared.HostPort())
	t.Setenv("TMPDIR", filepath.Join(w.dir, "tmp"))
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "tmp"), 0o700))
	enginetest.CreateEncrypted(t, w.database, secret("duckdb-key"), "GCM", "CREATE TABLE orders AS SELECT range id FROM range(10000)")
	whole, err := os.ReadFile(w.database)
	require.NoError(t, err)

	code := http.StatusOK
	var mu sync.Mutex // guards code
	to := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		rw.WriteHeader(code)
		_, _ = rw.Write(body) // what a hold wants to be answered
		if code != http.StatusOK {
			_, _ = io.WriteString(rw, r.URL.Path)
		}
	}))
	defer to.Close()
	answer := func(c int) { mu.Lock(); defer mu.Unlock(); code = c }

	p := &places{t: t, marker: w.name(), texts: map[string]string{}}
	seen := filepath.Join(w.dir, "command.seen")
	config := w.everywhere(to, seen)
	watched := watchProcesses()
	var runs []runDoc
	for _, form := range []string{"text", "json"} { // the second time, what the server keeps is encrypted
		answer(http.StatusOK)
		if form == "json" {
			key := (secret("codec-key") + strings.Repeat("-", 32))[:32]
			w.keys = w.plant("codec.keys", "k1 "+base64.StdEncoding.EncodeToString([]byte(key)))
			p.add("codec server", w.name()+w.askCodecServer())
		}
		worker := w.startWorker("--config", config, "--log-format", form, "--metrics-address", "127.0.0.1:0")
		w.waitForWorker()
		said := func(args ...string) runDoc {
			o := w.starter(append(args, "--database", w.name(), "--json")...)
			p.add("starter "+strings.Join(args, " "), strings.Join(args, " ")+w.name()+o.out+o.errOut)
			return lastRun(t, w)
		}
		runs = append(runs, said("run"))
		said("drill")
		said("restore-on-host", "--to", "spare", "--keep-old")
		answer(http.StatusForbidden)
		runs = append(runs, said("run"))
		require.NoError(t, os.WriteFile(w.database, []byte(strings.Repeat("no duck ", 4096)), 0o600))
		runs = append(runs, said("run"))
		require.NoError(t, os.WriteFile(w.database, whole, 0o600))
		said("schedule", "create", "--schedule", "0 3 1 1 *")
		said("schedule", "describe")
		said("status")
		said("history")
		said("schedule", "delete")
		for _, args := range [][]string{{"doctor", "--config", config, "--json"}, {"notify", "test", "--config", config}, {"backup", "--local", "--config", config, "--database", w.name(), "--log-format", form}, {"list", "--repository", w.repository, "--json"}} {
			var out, errOut strings.Builder
			if args[0] == "doctor" {
				args = append(args, "--address", w.address)
				if w.keys != "" {
					args = append(args, "--codec-key-file", w.keys)
				}
			}
			cli.Main(t.Context(), args, strings.NewReader(""), &out, &errOut)
			p.add("starter "+args[0]+" "+args[1], w.name()+out.String()+errOut.String())
		}
		eventually(t, "an engine child is seen", func() bool { runs = append(runs, said("drill")); return watched.engine(w.name()) })
		p.add("metrics", w.scrape(worker))
		require.Zero(t, worker.stop(os.Interrupt))
		p.add("log as "+form, worker.said())
	}
	eventually(t, "spans are delivered", func() bool { return strings.Contains(collector.text(), w.name()) })
	p.add("traces", collector.text())
	lines, children := watched.stop()
	p.add("command lines", lines)
	p.add("environments of engine children", children)
	w.temporalHolds(p, "as kept", w.client(), runs)
	w.temporalHolds(p, "decrypted", w.decrypting(), runs)
	w.filesHold(p)
	p.check()
}

// lastRun is a run of the world's database that the server knows.
func lastRun(t *testing.T, w *world) runDoc {
	t.Helper()
	d, err := w.client().DescribeWorkflowExecution(t.Context(), job.BackupID(w.name())+"-now", "")
	require.NoError(t, err)
	e := d.GetWorkflowExecutionInfo().GetExecution()
	return runDoc{WorkflowID: e.GetWorkflowId(), RunID: e.GetRunId()}
}

var servingInAnyForm = regexp.MustCompile(`Serving metrics"[ ,]"?address"?[=:]"?([0-9.:]+)`)

// scrape reads the worker's metrics.
func (w *world) scrape(p *process) string {
	w.t.Helper()
	var found []string
	eventually(w.t, "the worker serves metrics", func() bool {
		found = servingInAnyForm.FindStringSubmatch(p.said())
		return found != nil
	})
	res, err := http.Get("http://" + found[1] + "/metrics")
	require.NoError(w.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return string(text)
}

// askCodecServer asks one for an answer with the right token and with a wrong one,
// and returns all that it said.
func (w *world) askCodecServer() string {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	defer end()
	out, to := io.Pipe()
	var errOut strings.Builder
	ended := make(chan int, 1)
	tokenFile := w.plant("codec-token", secret("codec-token"))
	go func() {
		ended <- cli.Main(ctx, []string{"codec", "serve", "--codec-key-file", w.keys, "--token-file", tokenFile,
			"--ui-origin", "http://127.0.0.1:8233", "--listen", "127.0.0.1:0", "--json"}, strings.NewReader(""), to, &errOut)
		to.Close()
	}()
	var doc struct{ Address string }
	require.NoError(w.t, json.NewDecoder(out).Decode(&doc))
	said := doc.Address
	for token, status := range map[string]int{secret("codec-token"): http.StatusBadRequest, secret("wrong-token"): http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, doc.Address+"/decode", strings.NewReader(`{"payloads":[{"metadata":{"encoding":"!"}}]}`))
		require.NoError(w.t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		require.NoError(w.t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(w.t, err)
		require.NoError(w.t, res.Body.Close())
		require.Equal(w.t, status, res.StatusCode, string(body))
		said += string(body) + fmt.Sprint(res.Header)
	}
	end()
	require.Zero(w.t, <-ended)
	return said + errOut.String()
}

// temporalHolds adds all that the server keeps of the runs, of the host and of the
// database's last drill and restore: events, memos, search attributes, heartbeats
// and answers to queries.
func (w *world) temporalHolds(p *places, how string, c client.Client, runs []runDoc) {
	w.t.Helper()
	for _, id := range []string{job.DrillID(w.name()) + "-now", job.RestoreID(w.name()), job.HostID(w.host)} {
		d, err := c.DescribeWorkflowExecution(w.t.Context(), id, "")
		if err == nil {
			e := d.GetWorkflowExecutionInfo().GetExecution()
			runs = append(runs, runDoc{WorkflowID: e.GetWorkflowId(), RunID: e.GetRunId()})
		}
	}
	for _, run := range runs {
		text, err := proto.Marshal(historyOf(w.t, c, run))
		require.NoError(w.t, err)
		p.add("history of "+run.WorkflowID+" "+how, string(text))
		if how == "decrypted" {
			assert.Contains(w.t, string(text), `{"`, "an input that can be read")
		}
		d, err := c.DescribeWorkflowExecution(w.t.Context(), run.WorkflowID, run.RunID)
		require.NoError(w.t, err)
		text, err = proto.Marshal(d)
		require.NoError(w.t, err)
		p.add("description of "+run.WorkflowID+" "+how, string(text))
	}
}

// filesHold adds every file of the world but those that the secrets are in and the
// encrypted database itself.
func (w *world) filesHold(p *places) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "tmp", "control"), []byte(w.name()), 0o600))
	require.NoError(w.t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == filepath.Join(w.dir, "secrets") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || filepath.Ext(path) == ".log" {
			return nil
		}
		text, err := os.ReadFile(path)
		if path == filepath.Join(w.dir, "canvasback.yaml") {
			// Two hooks are called by URLs that stand in it.
			text = []byte(strings.NewReplacer(secret("checkpoint"), "", secret("hold"), "").Replace(string(text)))
		}
		place := "files elsewhere"
		for _, dir := range []string{"tmp", "backups"} {
			if strings.HasPrefix(path, filepath.Join(w.dir, dir)+"/") {
				place = "files of " + dir
			}
		}
		p.add(place, path+string(text))
		return err
	}))
}
