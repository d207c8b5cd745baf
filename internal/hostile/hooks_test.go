package hostile

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

// lie is what a hook answers in place of the truth. The path ends with begin or
// end for a hold.
type lie func(w http.ResponseWriter, r *http.Request)

// answer says what a hold should.
func answer(w http.ResponseWriter, r *http.Request, version string) {
	var said struct{ Token string }
	_ = json.NewDecoder(r.Body).Decode(&said)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": said.Token, "engine_version": version, "pid": 1})
}

func isEnd(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/end") }

var (
	idle  lie = func(w http.ResponseWriter, r *http.Request) { answer(w, r, "1.5.6") }
	flood lie = func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for range 1 << 10 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	silent lie = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or its end is not noticed
		<-r.Context().Done()
	}
	drip lie = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte(" "))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}
	breaksOff lie = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"token":`)
	}
	hangsUp lie = func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	redirects lie = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://203.0.113.1/elsewhere", http.StatusTemporaryRedirect)
	}
	// endless sends headers without end.
	endless lie = func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\n")
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(buf, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}
	// Of a hold.
	expires lie = func(w http.ResponseWriter, r *http.Request) {
		if isEnd(r) {
			http.Error(w, "it expired", http.StatusGone)
			return
		}
		answer(w, r, "1.5.6")
	}
	taken    lie = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "another is active", http.StatusConflict) }
	stranger lie = func(w http.ResponseWriter, r *http.Request) {
		if !isEnd(r) {
			_, _ = io.WriteString(w, `{"token":"00000000000000000000000000000000","engine_version":"1.5.6"}`)
		}
	}
	older     lie = func(w http.ResponseWriter, r *http.Request) { answer(w, r, "1.1.3") }
	noVersion lie = func(w http.ResponseWriter, r *http.Request) { answer(w, r, "1.5.6\nhold: true") }
	endHangs  lie = func(w http.ResponseWriter, r *http.Request) {
		if isEnd(r) {
			silent(w, r)
			return
		}
		answer(w, r, "1.5.6")
	}
)

// asked are the calls of a hook by mode http. What is not believed may end the
// backup of a database that requires its hook; where it does not, the copy is
// proved without it.
var asked = []struct {
	name     string
	hook     string // checkpoint or hold
	lie      lie
	believed bool
}{
	{"a checkpoint that is none", "checkpoint", idle, true},
	{"a checkpoint that answers with a GiB", "checkpoint", flood, true},
	{"a checkpoint that never answers", "checkpoint", silent, false},
	{"a checkpoint that answers byte by byte", "checkpoint", drip, false},
	{"a checkpoint that breaks off", "checkpoint", breaksOff, false},
	{"a checkpoint that hangs up", "checkpoint", hangsUp, false},
	{"a checkpoint that sends on", "checkpoint", redirects, false},
	{"a checkpoint with headers without end", "checkpoint", endless, false},
	{"a hold that is none", "hold", idle, true},
	{"a hold of another engine", "hold", older, true},
	{"a hold that ended before", "hold", expires, false},
	{"a hold that is begun already", "hold", taken, false},
	{"a hold of somebody else", "hold", stranger, false},
	{"a hold with a GiB", "hold", flood, false},
	{"a hold that never answers", "hold", silent, false},
	{"a hold that answers byte by byte", "hold", drip, false},
	{"a hold with a version of two lines", "hold", noVersion, false},
	{"a hold whose end never answers", "hold", endHangs, false},
}

// TestHooksThatLie takes backups of a database whose owner writes and
// checkpoints all the time, and proves each that was made.
func TestHooksThatLie(t *testing.T) {
	w := busy(t)
	for _, c := range asked {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(c.lie))
			t.Cleanup(server.Close)
			hook := fmt.Sprintf("    %s: {mode: http, url: '%s/hook', timeout: 500ms, on_error: ON_ERROR}\n", c.hook, server.URL)
			w.t = t
			w.proved(strings.Replace(hook, "ON_ERROR", "continue", 1))
			if !c.believed {
				w.refusedBy(strings.Replace(hook, "ON_ERROR", "fail", 1), c.hook)
			}
		})
	}
}

// started are hooks by mode command.
var started = []struct {
	name, script string
	believed     bool
}{
	{"does nothing", "exit 0", true},
	{"answers with 512 MiB", "head -c 536870912 /dev/zero", true},
	{"never ends", "exec sleep 1000", false},
	{"never ends with its children", "sleep 1000 & echo $! > PID; wait", false},
	{"ends before its children", "sleep 5 >/dev/null 2>&1 & exit 0", true},
	{"fails with 512 MiB on stderr", "head -c 536870912 /dev/zero >&2; exit 1", false},
	{"dies", "kill -SEGV $$", false},
}

func TestCommandsThatLie(t *testing.T) {
	w := busy(t)
	for _, c := range started {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			pid := filepath.Join(t.TempDir(), "pid")
			script := filepath.Join(t.TempDir(), "hook")
			require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"+strings.ReplaceAll(c.script, "PID", pid)+"\n"), 0o700))
			hook := fmt.Sprintf("    checkpoint: {mode: command, command: [%s], timeout: 5s, on_error: ON_ERROR}\n", script)
			w.proved(strings.Replace(hook, "ON_ERROR", "continue", 1))
			if !c.believed {
				w.refusedBy(strings.Replace(hook, "ON_ERROR", "fail", 1), script)
			}
			if text, err := os.ReadFile(pid); err == nil {
				child, err := strconv.Atoi(strings.TrimSpace(string(text)))
				require.NoError(t, err)
				require.Eventually(t, func() bool { return gone(child) }, time.Minute, 10*time.Millisecond, "what the hook started is ended with it")
			}
		})
	}
}

// gone is true of a process that is not there or only waits to be reaped.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// busyWorld is a world whose database a process writes.
type busyWorld struct {
	*world
	owner *enginetest.Owner
}

func busy(t *testing.T) *busyWorld {
	t.Helper()
	w := at(t, t.TempDir())
	for _, dir := range []string{filepath.Dir(w.database), w.repo, w.spare} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	owner := enginetest.StartOwner(t, w.database, enginetest.OwnerOptions{CheckpointThreshold: "64KB", Pause: time.Millisecond})
	owner.WaitCommits(t, 50)
	return &busyWorld{w, owner}
}

// proved takes a backup that must be made, and holds what is in it against what
// the owner had committed.
func (w *busyWorld) proved(hook string) {
	w.t.Helper()
	before := w.owner.Committed()
	o := w.backup(hook)
	require.Empty(w.t, o.Kind, o.Message)
	require.Equal(w.t, repo.StateVerified, o.State)
	made := w.backups()
	newest := made[len(made)-1]
	i := slices.IndexFunc(newest.Files, func(f repo.File) bool { return filepath.Ext(f.Name) == ".duckdb" })
	require.GreaterOrEqual(w.t, i, 0)
	last := enginetest.CheckPrefix(w.t, filepath.Join(w.repo, "shop", newest.ID, newest.Files[i].Name), before)
	w.t.Logf("rule %s, %d of at least %d commits", o.Rule, last, before)
}

// refusedBy takes a backup that must fail for the hook's sake.
func (w *busyWorld) refusedBy(hook, text string) {
	w.t.Helper()
	count := len(w.backups())
	o := w.backup(hook)
	assert.Equal(w.t, failure.Hook.Name, o.Kind, "%+v", o)
	assert.Contains(w.t, o.Message, text)
	assert.Less(w.t, len(o.Message), 10<<10, "some bytes take four to be shown")
	assert.Len(w.t, w.backups(), count)
}
