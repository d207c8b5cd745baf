package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// secretPart is in every URL of these tests, and may be in no text.
const secretPart = "5d3b8f0e-secret"

var began = time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)

// request is what a server was asked.
type request struct {
	method, path, query, body string
	header                    http.Header
}

func (r request) payload(t *testing.T) Payload {
	t.Helper()
	var p Payload
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&p), r.body)
	return p
}

// server answers as it is told to and remembers what it was asked.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []request
	answer func(n int, w http.ResponseWriter, r *http.Request) // n counts from 1
}

func newServer(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *server {
	s := &server{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.asked = append(s.asked, request{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
	n, answer := len(s.asked), s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(n, w, r)
	}
}

func (s *server) setAnswer(answer func(n int, w http.ResponseWriter, r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request{}, s.asked...)
}

// url has the secret in its path.
func (s *server) url() config.SecretURL { return config.SecretURL(s.URL + "/" + secretPart) }

func code(code int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// world is a repository, and what a configuration says of the database shop.
type world struct {
	t        *testing.T
	config   *config.Config
	now      time.Time
	observed []string
}

func newWorld(t *testing.T, set config.Notify) *world {
	w := &world{t: t, now: began.Add(4 * time.Minute)}
	w.config = &config.Config{Host: "db1", Repository: t.TempDir(), Databases: []config.Database{{Name: "shop", Notify: set}}}
	return w
}

// notifier is that of a process of its own, which does not wait long between
// attempts.
func (w *world) notifier() *Notifier {
	n := New(w.config)
	n.clock = func() time.Time { return w.now }
	n.pace = pace{first: time.Millisecond, longest: time.Millisecond, start: time.Minute, end: time.Minute, claim: time.Minute, poll: time.Millisecond}
	var mu sync.Mutex
	n.Observe = func(event, channel, outcome string) {
		mu.Lock()
		defer mu.Unlock()
		w.observed = append(w.observed, event+" "+channel+" "+outcome)
	}
	return n
}

// announce makes an announcement by a process of its own and checks that no
// secret is in what comes of it.
func (w *world) announce(in job.AnnounceInput) job.AnnounceResult {
	w.t.Helper()
	return w.announceBy(w.notifier(), in)
}

func (w *world) announceBy(n *Notifier, in job.AnnounceInput) job.AnnounceResult {
	w.t.Helper()
	complaints := ""
	n.Complain = func(database, event, channel string, err error) { complaints += err.Error() }
	result, err := n.Announce(context.Background(), in)
	require.NoError(w.t, err)
	text, err := json.Marshal(result)
	require.NoError(w.t, err)
	record, err := os.ReadFile(w.record())
	if !os.IsNotExist(err) {
		require.NoError(w.t, err)
	}
	assert.NotContains(w.t, string(text)+complaints+string(record), secretPart)
	return result
}

func (w *world) record() string { return filepath.Join(w.config.Repository, "shop", ".told") }

// letters are those that wait.
func (w *world) letters() []letter {
	w.t.Helper()
	data, err := os.ReadFile(w.record())
	require.NoError(w.t, err)
	return decode(data).Letters
}

// starts, failed and verified are announcements about a run.
func starts(run string) job.AnnounceInput {
	return job.AnnounceInput{Database: "shop", Task: job.AnnounceBackup, WorkflowID: "w-" + run, Run: run, Started: began}
}

func failed(run string) job.AnnounceInput {
	in := starts(run)
	in.End, in.Kind, in.Message, in.Hint = job.AnnounceFailed, "NoSuchFile", "shop.duckdb: no such file", "check the path"
	return in
}

func verified(run string) job.AnnounceInput {
	in := starts(run)
	in.End, in.Backup, in.State = job.AnnouncePassed, "b1", "verified"
	return in
}

// backup commits a backup that was finished a minute after the start.
func (w *world) backup(started time.Time, state repo.State) string {
	w.t.Helper()
	r, err := repo.Open(vfs.OS(), w.config.Repository)
	require.NoError(w.t, err)
	run := "run-" + started.Format("150405")
	s, err := r.Stage("shop", run)
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(filepath.Join(s.Dir(), "shop.duckdb"), []byte("duck"), 0o600))
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, 41, run), Database: "shop", State: state, Run: run, Started: started, Finished: started.Add(time.Minute),
		Files: []repo.File{{Name: "shop.duckdb", Bytes: 4, SHA256: strings.Repeat("0a", 32)}}, Tool: "test",
	}
	require.NoError(w.t, s.Commit(m))
	return m.ID
}
