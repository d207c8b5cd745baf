package notify

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

func TestCommandGetsTheEvent(t *testing.T) {
	t.Setenv("CANVASBACK_TEST_SECRET", secretPart)
	dir := t.TempDir()
	w := newWorld(t, config.Notify{Command: []string{"/bin/sh", "-c", `cat > "$1/in"; env > "$1/env"`, "tell", dir}})
	assert.Len(t, w.announce(failed("r1")).Told, 1)
	in, err := os.ReadFile(filepath.Join(dir, "in"))
	require.NoError(t, err)
	var p Payload
	require.NoError(t, json.Unmarshal(in, &p))
	assert.Equal(t, "failure shop NoSuchFile r1", p.Event+" "+p.Database+" "+p.Kind+" "+p.RunID)
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	require.NoError(t, err)
	for _, line := range []string{
		"CANVASBACK_EVENT=failure", "CANVASBACK_EVENT_ID=" + p.ID, "CANVASBACK_HOST=db1", "CANVASBACK_DATABASE=shop",
		"CANVASBACK_STEP=backup", "CANVASBACK_RUN=r1", "CANVASBACK_KIND=NoSuchFile",
	} {
		assert.Contains(t, strings.Split(string(env), "\n"), line)
	}
	assert.NotContains(t, string(env), secretPart)
}

func TestCommandThatFailsIsTriedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tries")
	w := newWorld(t, config.Notify{Command: []string{"/bin/sh", "-c", `echo x >> "$1"; test "$(wc -l < "$1")" -ge 3`, "tell", file}})
	assert.Len(t, w.announce(failed("r1")).Told, 1)
	tries, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "x\nx\nx\n", string(tries))
}

func TestCommandsThatDoNotTell(t *testing.T) {
	for name, tt := range map[string]struct {
		command []string
		says    string
	}{
		"fails":              {[]string{"/bin/sh", "-c", "echo no luck >&2; exit 3"}, `exit status 3; it said "no luck\n"`},
		"is not there":       {[]string{"/no/such/program"}, "no such file or directory"},
		"hangs":              {[]string{"/bin/sh", "-c", "sleep 600 & wait"}, "(stopped after 100ms)"},
		"prints a URL":       {[]string{"/bin/sh", "-c", `echo "cannot reach $1" >&2; exit 1`, "tell", "https://hc.example/" + secretPart}, "cannot reach ..."},
		"prints its path":    {[]string{"/bin/sh", "-c", `echo "no $2" >&2; exit 1`, "tell", "--url=https://hc.example/" + secretPart, "/" + secretPart}, "no ..."},
		"prints without end": {[]string{"/bin/sh", "-c", "yes >&2"}, "(stopped after 100ms)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config.Notify{Command: tt.command, Timeout: config.Duration(100 * time.Millisecond)})
			if !strings.Contains(tt.says, "stopped") {
				w.config.Databases[0].Notify.Timeout = config.Duration(time.Minute)
			}
			n := w.notifier()
			n.pace.first = time.Hour
			result := w.announceBy(n, failed("r1"))
			require.Len(t, result.Untold, 1)
			assert.Contains(t, result.Untold[0].Error, tt.says)
			assert.Less(t, len(result.Untold[0].Error), 10_000)
		})
	}
}

func TestTry(t *testing.T) {
	s := newServer(t, nil)
	bad := newServer(t, code(404))
	w := newWorld(t, config.Notify{
		Ping: &config.Ping{URL: s.url()}, Webhook: &config.Webhook{URL: bad.url()}, Command: []string{"/bin/sh", "-c", `grep -q '"event":"test"'`},
	})
	tried := w.notifier().Try(context.Background(), "shop")
	require.Len(t, tried, 3)
	assert.Equal(t, Tried{Channel: "ping", To: s.URL}, tried[0])
	assert.EqualError(t, tried[1].Err, bad.URL+" answers 404 Not Found")
	assert.Equal(t, Tried{Channel: "command", To: "/bin/sh"}, tried[2])
	require.Len(t, s.requests(), 1)
	assert.Equal(t, "/"+secretPart+"/log", s.requests()[0].path, "neither ok nor a failure")
	assert.NoFileExists(t, w.record())

	w = newWorld(t, config.Notify{Ping: &config.Ping{OKURL: s.url()}})
	assert.NotEmpty(t, w.notifier().Try(context.Background(), "shop")[0].Skipped)
	assert.Len(t, s.requests(), 1)
}

// The result of a run is the same whatever becomes of those who are told.
func TestWatch(t *testing.T) {
	s := newServer(t, nil)
	down := newServer(t, code(404))
	for name, set := range map[string]config.Notify{
		"told": {Ping: &config.Ping{URL: s.url()}}, "not told": {Ping: &config.Ping{URL: down.url()}, Webhook: &config.Webhook{URL: down.url()}}, "nobody": {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, set)
			bad := failure.Errorf(failure.NoSuchFile, "it is gone")
			assert.Equal(t, bad, w.notifier().Watch(context.Background(), "shop", job.AnnounceBackup, func(*job.AnnounceInput) error { return bad }))
			assert.NoError(t, w.notifier().Watch(context.Background(), "shop", job.AnnounceBackup, func(in *job.AnnounceInput) error {
				in.Backup, in.State = "b1", "verified"
				return nil
			}))
			ctx, cancel := context.WithCancel(context.Background())
			stopped := errors.New("stopped")
			assert.Equal(t, stopped, w.notifier().Watch(ctx, "shop", job.AnnounceBackup, func(*job.AnnounceInput) error { cancel(); return stopped }))
		})
	}
	var said []string
	for _, r := range s.requests() {
		said = append(said, strings.TrimPrefix(r.path, "/"+secretPart))
	}
	require.GreaterOrEqual(t, len(said), 4)
	assert.Equal(t, []string{"/start", "/fail", "/start", ""}, said[:4])
	assert.NotContains(t, said[4:], "", "a run that was stopped is not ok")
	assert.NotContains(t, said[4:], "/fail")
}
