package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func hookTo(s *server) config.Notify { return config.Notify{Webhook: &config.Webhook{URL: s.url()}} }

// events are what a webhook got.
func (s *server) events(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, r := range s.requests() {
		all = append(all, r.payload(t).Event)
	}
	return all
}

func TestNobody(t *testing.T) {
	w := newWorld(t, config.Notify{})
	assert.Equal(t, job.AnnounceResult{Nobody: true}, w.announce(starts("r1")))
	assert.Equal(t, job.AnnounceResult{Nobody: true}, w.announce(failed("r1")))
	assert.NoDirExists(t, filepath.Dir(w.record()))
}

// The documented example is what is sent for such a run, and the documented
// keys are those that there are.
func TestPayloadIsTheDocumentedOne(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "notifications.md"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(doc), "```json\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	s := newServer(t, nil)
	w := newWorld(t, hookTo(s))
	w.backup(began.AddDate(0, 0, -1), repo.StateVerified)
	w.backup(began.Add(-time.Hour), repo.StateStructure)
	in := failed("0198c1b2-9a3e-7d52-8a4b-2f1c5e6d7a80")
	in.WorkflowID = "canvasback-backup-shop-2026-11-23T03:46:00Z"
	in.Message, in.Hint = "checkpoint of shop: /var/lib/shop/shop.duckdb: no such file or directory", failure.NoSuchFile.Hint
	w.announce(in)
	require.Len(t, s.requests(), 1)
	var want, got map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &want))
	require.NoError(t, json.Unmarshal([]byte(s.requests()[0].body), &got))
	want["id"], want["tool"] = s.requests()[0].payload(t).ID, tool()
	assert.Equal(t, want, got)

	shape := reflect.TypeFor[Payload]()
	for i := range shape.NumField() {
		name, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
		assert.Contains(t, string(doc), "| `"+name+"` |")
	}
}

func TestFailureAndRecoveryAcrossProcesses(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, hookTo(s))
	w.announce(failed("r1"))
	w.announce(failed("r2"))
	w.announce(failed("r2"))
	w.announce(verified("r3"))
	w.announce(verified("r4"))
	require.Equal(t, []string{"failure", "recovery"}, s.events(t))
	p := s.requests()[1].payload(t)
	assert.Equal(t, 2, p.Failures)
	assert.Equal(t, began, p.Since)
	assert.Equal(t, "b1", p.Backup)
	assert.Nil(t, p.Newest)
	r, err := repo.Open(vfs.OS(), w.config.Repository)
	require.NoError(t, err)
	strays, err := r.Strays("shop")
	require.NoError(t, err)
	assert.Empty(t, strays)
}

// Both are told in their order when the receiver is back, though it was away
// when either happened.
func TestReceiverIsAwayForRuns(t *testing.T) {
	s := newServer(t, code(http.StatusServiceUnavailable))
	w := newWorld(t, hookTo(s))
	short := func() *Notifier {
		n := w.notifier()
		n.pace.first = time.Hour
		return n
	}
	for _, in := range []job.AnnounceInput{failed("r1"), failed("r2"), verified("r3")} {
		result := w.announceBy(short(), in)
		require.Len(t, result.Untold, 1)
		assert.Equal(t, job.Undelivered{Event: "failure", Channel: "webhook", Error: s.URL + " answers 503 Service Unavailable"}, result.Untold[0])
	}
	require.Len(t, w.letters(), 2)
	id := w.letters()[0].ID
	s.setAnswer(nil)

	n := w.notifier()
	n.sweep(context.Background())
	before := len(s.requests())
	assert.Len(t, w.letters(), 2, "not due yet")
	w.now = w.now.Add(longestPause)
	n.sweep(context.Background())
	assert.Empty(t, w.letters())
	got := s.events(t)[before:]
	assert.Equal(t, []string{"failure", "recovery"}, got)
	assert.Equal(t, id, s.requests()[before].payload(t).ID, "the ID is that of the attempts before")
	n.sweep(context.Background())
	assert.Len(t, s.requests(), before+2)
}

// What is refused for good is tried again by the next run, and holds up nothing.
func TestRefusedForGood(t *testing.T) {
	s := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Canvasback-Event") == EventFailure {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	w := newWorld(t, hookTo(s))
	assert.Len(t, w.announce(failed("r1")).Untold, 1)
	assert.Len(t, w.announce(failed("r2")).Untold, 1)
	assert.Len(t, s.requests(), 2)
	result := w.announce(verified("r3"))
	assert.Len(t, result.Untold, 1)
	assert.Equal(t, []job.Told{{Event: "recovery", Channel: "webhook"}}, result.Told)
	assert.Empty(t, w.letters(), "a failure that is over is old news")
}

func TestTooOldIsGivenUp(t *testing.T) {
	s := newServer(t, code(http.StatusForbidden))
	w := newWorld(t, config.Notify{Webhook: &config.Webhook{URL: s.url()}, Ping: &config.Ping{URL: s.url()}})
	w.announce(failed("r1"))
	require.Len(t, w.letters(), 2)
	s.setAnswer(nil)
	w.now = w.now.Add(pingExpires + time.Second)
	n := w.notifier()
	n.sweep(context.Background())
	assert.Len(t, s.requests(), 3, "the event only")
	assert.Contains(t, w.observed, "fail ping dropped")
	assert.Empty(t, w.letters())
}

// A start says what is true now: what was not said of the run before goes.
func TestStartDropsOlderPings(t *testing.T) {
	s := newServer(t, code(http.StatusForbidden))
	w := newWorld(t, config.Notify{Ping: &config.Ping{URL: s.url()}})
	w.announce(verified("r1"))
	require.Len(t, w.letters(), 1)
	assert.Len(t, w.announce(starts("r2")).Untold, 1)
	assert.Empty(t, w.letters())
}

// Each channel by itself: one that hangs or refuses holds up no other.
func TestChannelsDoNotWaitForEachOther(t *testing.T) {
	hang := make(chan struct{})
	hanging := newServer(t, func(int, http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	file := filepath.Join(t.TempDir(), "told")
	w := newWorld(t, config.Notify{
		Webhook: &config.Webhook{URL: hanging.url()}, Command: []string{"/bin/sh", "-c", "cat > " + file}, Timeout: config.Duration(time.Minute),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan job.AnnounceResult)
	go func() {
		result, err := w.notifier().Announce(ctx, failed("r1"))
		assert.ErrorIs(t, err, context.Canceled)
		done <- result
	}()
	require.Eventually(t, func() bool {
		data, _ := os.ReadFile(w.record())
		return strings.Count(string(data), `"channel"`) == 1
	}, 3*time.Minute, time.Millisecond)
	cancel()
	result := <-done
	assert.Equal(t, []job.Told{{Event: "failure", Channel: "command"}}, result.Told)
	require.Len(t, w.letters(), 1)
	assert.Equal(t, ChannelWebhook, w.letters()[0].Channel)
	assert.True(t, w.letters()[0].Claimed.IsZero(), "whoever goes on need not wait")
}

// The process dies after the event was taken and before that was recorded: the
// next one sends it again, under the same ID, when the claim has ended.
func TestCrashAfterSending(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, hookTo(s))
	n := w.notifier()
	n.edit("shop", func(st *state) bool {
		changed, _ := st.ended(end{AnnounceInput: failed("r1"), id: newID(), now: w.now, set: w.config.NotifyOf("shop")})
		return changed
	})
	l, _ := n.claim("shop", ChannelWebhook, nil, false)
	require.NotNil(t, l)
	require.Nil(t, n.send(context.Background(), w.config.NotifyOf("shop"), l))

	other := w.notifier()
	other.sweep(context.Background())
	assert.Len(t, s.requests(), 1, "it is claimed")
	w.now = w.now.Add(3 * time.Minute)
	w.announceBy(other, failed("r1"))
	require.Len(t, s.requests(), 2)
	assert.Equal(t, s.requests()[0].payload(t), s.requests()[1].payload(t))
	assert.Empty(t, w.letters())
}

// Many processes announce the same run at once: it is told once.
func TestManyWorkers(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, hookTo(s))
	w.config.Notify.Timeout = config.Duration(time.Minute)
	var all sync.WaitGroup
	for range 8 {
		n := w.notifier()
		n.Observe = nil
		all.Go(func() {
			_, err := n.Announce(context.Background(), failed("r1"))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.Equal(t, []string{"failure"}, s.events(t))
	assert.Empty(t, w.letters())
}

// The disk that is gone is what is to be told.
func TestRepositoryIsGone(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, hookTo(s))
	require.NoError(t, os.Remove(w.config.Repository))
	n := w.notifier()
	w.announceBy(n, failed("r1"))
	w.announceBy(n, failed("r2"))
	assert.Equal(t, []string{"failure"}, s.events(t))
	w.announceBy(w.notifier(), failed("r3"))
	assert.Equal(t, []string{"failure", "failure"}, s.events(t), "a process that knows nothing tells it again")
	require.NoError(t, os.Mkdir(w.config.Repository, 0o700))
	w.announceBy(n, verified("r4"))
	assert.Equal(t, []string{"failure", "failure", "recovery"}, s.events(t))
	assert.Equal(t, 2, s.requests()[2].payload(t).Failures)
	w.announce(verified("r5"))
	assert.Len(t, s.requests(), 3, "it is stored again")
}

// Whatever operation of the disk fails, what happens is told, in its order, and
// by a process that lives on, once.
func TestDiskFaults(t *testing.T) {
	for n := 1; ; n++ {
		s := newServer(t, nil)
		w := newWorld(t, hookTo(s))
		mem := vfstest.NewMem()
		w.config.Repository = "/repository"
		require.NoError(t, mem.Mkdir(w.config.Repository, 0o700))
		bad := vfstest.FailNth(mem, n, syscall.ENOSPC)
		notifier := w.notifier()
		notifier.fs = bad
		for _, in := range []job.AnnounceInput{failed("r1"), failed("r2"), verified("r3"), verified("r4")} {
			w.announceBy(notifier, in)
		}
		assert.Equal(t, []string{"failure", "recovery"}, s.events(t), "operation %d", n)
		notifier.fs = mem // the disk is well again
		w.announceBy(notifier, verified("r5"))
		later := w.notifier()
		later.fs = mem
		w.announceBy(later, verified("r6"))
		assert.Len(t, s.requests(), 2, "operation %d: what is stored is true", n)
		if !bad.Fired() {
			require.Greater(t, n, 10)
			break
		}
	}
}

func TestDamagedRecord(t *testing.T) {
	s := newServer(t, nil)
	w := newWorld(t, hookTo(s))
	w.announce(failed("r1"))
	require.NoError(t, os.WriteFile(w.record(), []byte("{"), 0o600))
	w.announce(failed("r2"))
	w.announce(verified("r3"))
	assert.Equal(t, []string{"failure", "failure", "recovery"}, s.events(t))
}
