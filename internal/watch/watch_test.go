package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/config"
	"canvasback/internal/health"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// world is a repository on disk, whose operations are counted or held up.
type world struct {
	t      *testing.T
	repo   *repo.Repo
	config *config.Config
	fs     vfs.FS
	opened atomic.Int64 // manifests
	hangs  atomic.Pointer[chan struct{}]
	fails  atomic.Bool // to list directories
	log    *strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "canvasback.yaml")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "backups"), 0o700))
	require.NoError(t, os.WriteFile(file, []byte("host: db1\nrepository: backups\ndatabases:\n- {name: shop, path: shop.duckdb, max_age: 26h}\n"), 0o600))
	cfg, err := config.Load(file)
	require.NoError(t, err)
	w := &world{t: t, config: cfg, log: &strings.Builder{}}
	w.fs = vfstest.Intercept(vfs.OS(), func(op vfstest.Op) error {
		if hang := w.hangs.Load(); hang != nil {
			<-*hang
		}
		if op.Kind == vfstest.OpReadDir && w.fails.Load() {
			return syscall.EIO
		}
		if op.Kind == vfstest.OpOpen && filepath.Base(op.Name) == "manifest.json" {
			w.opened.Add(1)
		}
		return nil
	})
	w.repo, err = repo.Open(w.fs, cfg.Repository)
	require.NoError(t, err)
	return w
}

// put stores a backup of so many bytes.
func (w *world) put(run string, started time.Time, state repo.State, size int, evidence map[string]string) *repo.Manifest {
	w.t.Helper()
	s, err := w.repo.Stage("shop", run)
	require.NoError(w.t, err)
	defer s.Close()
	data := make([]byte, size)
	require.NoError(w.t, os.WriteFile(filepath.Join(s.Dir(), "shop.duckdb"), data, 0o600))
	sum := sha256.Sum256(data)
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, 7, run), Database: "shop", State: state, Run: run,
		Started: started, Finished: started.Add(time.Minute), Tool: "canvasback test",
		Acceptance: repo.Acceptance{Rule: "A", Attempts: 1, Evidence: evidence},
		Files:      []repo.File{{Name: "shop.duckdb", Bytes: int64(size), SHA256: hex.EncodeToString(sum[:])}},
	}
	require.NoError(w.t, s.Commit(m))
	return m
}

func (w *world) reader() *reader { return &reader{repo: w.repo, database: w.config.Databases[0]} }

// watch looks at the world by a clock that tests set, and asks nobody.
func (w *world) watch(now *atomic.Pointer[time.Time]) *Watch {
	watch := New(Options{Config: w.config, Repo: w.repo, FS: w.fs, Log: slog.New(slog.NewTextHandler(w.log, nil)), Version: "v1.2.3"})
	watch.now = func() time.Time { return *now.Load() }
	return watch
}

var start = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)

func TestOnlyWhatChangedIsReadAgain(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.put("run"+string(rune('a'+i)), start.AddDate(0, 0, i), repo.StateVerified, 1000*(i+1), nil)
	}
	r := w.reader()
	later := time.Now().Add(time.Minute) // by when no directory's time is young
	read := func(want int64) []backup {
		t.Helper()
		before := w.opened.Load()
		all, _, err := r.read(later)
		require.NoError(t, err)
		assert.Equal(t, want, w.opened.Load()-before, "manifests that were opened")
		return all
	}
	assert.Len(t, read(5), 5)
	assert.Len(t, read(0), 5)

	m := w.put("more", start.AddDate(0, 0, 9), repo.StateVerified, 10, nil)
	assert.Len(t, read(1), 6)
	require.NoError(t, w.repo.AddDrill("shop", m.ID, repo.Drill{At: start, Run: "d", Passed: true, RestoreSeconds: 2}))
	all := read(1)
	require.NotNil(t, all[5].drill, "a note is a change")
	assert.True(t, all[5].drill.Passed)
	require.NoError(t, os.RemoveAll(w.repo.BackupDir("shop", m.ID)))
	assert.Len(t, read(0), 5, "one that is gone is not remembered")

}

// Within a tick of the file system's clock a directory can change without its
// time doing so.
func TestWhatHasJustChangedIsReadAgain(t *testing.T) {
	w := newWorld(t)
	m := w.put("a", start, repo.StateVerified, 1, nil)
	stamps, err := w.repo.Stamps("shop")
	require.NoError(t, err)
	changed := stamps[m.ID].ModTime
	r := w.reader()
	for _, after := range []time.Duration{time.Second, settledAfter, settledAfter + 1, time.Hour} {
		before := w.opened.Load()
		_, _, err := r.read(changed.Add(after))
		require.NoError(t, err)
		assert.Equal(t, after < time.Hour, w.opened.Load() > before, "%s after the change", after)
	}
}

func TestSummary(t *testing.T) {
	w := newWorld(t)
	now := start.AddDate(0, 0, 3)
	r := w.reader()
	summary := func() (string, int, int64) {
		t.Helper()
		all, _, err := r.read(now)
		require.NoError(t, err)
		d, bytes := r.summary(all, now)
		assert.Equal(t, 26*time.Hour, d.MaxAge)
		if d.Newest == nil {
			return "", d.Backups, bytes
		}
		return d.Newest.ID, d.Backups, bytes
	}
	id, n, bytes := summary()
	assert.Empty(t, id)
	assert.Zero(t, n+int(bytes))

	first := w.put("a", start, repo.StateVerified, 1000, nil)
	second := w.put("b", start.Add(48*time.Hour), repo.StateVerified, 3000, nil)
	w.put("c", start.Add(50*time.Hour), repo.StateFailed, 100, nil)
	structure := w.put("d", start.Add(51*time.Hour), repo.StateStructure, 100, map[string]string{"hold_lost": "no end within 30s"})
	id, n, bytes = summary()
	assert.Equal(t, second.ID, id, "neither a failed one nor one of structure counts")
	assert.Equal(t, 2, n)
	assert.Equal(t, int64(4200), bytes)
	all, _, err := r.read(now)
	require.NoError(t, err)
	d, _ := r.summary(all, now)
	assert.InDelta(t, 1000, d.GrowthPerDay, 0.01, "2000 bytes in two days")
	assert.Equal(t, "no end within 30s", d.Hook, "of the newest")

	r.database.Retention.CountStructure = true
	id, n, _ = summary()
	assert.Equal(t, structure.ID, id)
	assert.Equal(t, 3, n)
	r.database.Retention.CountStructure = false

	future := w.put("e", now.Add(skew+time.Minute), repo.StateVerified, 1, nil)
	id, _, _ = summary()
	assert.Equal(t, second.ID, id, "one of the future does not hide the others")
	for _, m := range []*repo.Manifest{first, second} {
		require.NoError(t, os.RemoveAll(w.repo.BackupDir("shop", m.ID)))
	}
	id, _, _ = summary()
	assert.Equal(t, future.ID, id, "unless there is no other: then it is told, and judged")
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	w := newWorld(t)
	good := w.put("a", start, repo.StateVerified, 1, nil)
	for _, run := range []string{"b", "c"} {
		m := w.put(run, start.Add(time.Hour), repo.StateVerified, 1, nil)
		require.NoError(t, os.WriteFile(filepath.Join(w.repo.BackupDir("shop", m.ID), "manifest.json"), []byte("{"), 0o600))
	}
	all, _, err := w.reader().read(time.Now())
	assert.ErrorContains(t, err, "manifest.json")
	assert.ErrorContains(t, err, "(and 1 more)")
	require.Len(t, all, 1)
	assert.Equal(t, good.ID, all[0].ID)
}

// A backup whose files are gone, or were cut short where they are, does not count.
func TestBackupsWithoutTheirFiles(t *testing.T) {
	w := newWorld(t)
	var all []*repo.Manifest
	for i, run := range []string{"a", "b", "c"} {
		all = append(all, w.put(run, start.Add(time.Duration(i)*time.Hour), repo.StateVerified, 1000, nil))
	}
	file := func(i int) string { return filepath.Join(w.repo.BackupDir("shop", all[i].ID), "shop.duckdb") }
	r, later := w.reader(), time.Now().Add(time.Minute) // by when no directory's time is young
	newest := func(want int, problem string) {
		t.Helper()
		read, listed, err := r.read(later)
		assert.True(t, listed)
		if problem == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, problem)
		}
		d, _ := r.summary(read, later)
		require.NotNil(t, d.Newest)
		assert.Equal(t, all[want].ID, d.Newest.ID)
		assert.Equal(t, want+1, d.Backups)
	}
	newest(2, "")
	require.NoError(t, os.Truncate(file(2), 999))
	newest(1, "is no file of 1000 bytes any more")
	newest(1, "is no file of 1000 bytes any more")
	require.NoError(t, os.Remove(file(1)))
	newest(0, "(and 1 more)")
	require.NoError(t, os.RemoveAll(w.repo.BackupDir("shop", all[2].ID)))
	newest(0, "shop.duckdb of backup "+all[1].ID+" is gone")
}

// A directory that cannot be listed is not taken for an empty one.
func TestBackupsThatCannotBeListed(t *testing.T) {
	w := newWorld(t)
	m := w.put("a", start, repo.StateVerified, 1000, nil)
	var clock atomic.Pointer[time.Time]
	set(&clock, start.Add(time.Hour))
	watch := w.watch(&clock)
	do := watch.looker()
	do(t.Context())
	w.fails.Store(true)
	set(&clock, start.Add(2*time.Hour))
	do(t.Context())
	watch.refresh()
	r := watch.Report()
	require.NotNil(t, r.Databases[0].Backups.Newest, "it is not known to be gone")
	assert.Equal(t, m.ID, r.Databases[0].Backups.Newest.ID)
	assert.Equal(t, start.Add(time.Hour), r.Pulse.Looked, "nothing was seen since")
	assert.Contains(t, r.Pulse.Problem, "input/output error")
	assert.True(t, health.Has(r.Databases[0].Problems, health.Repository))
	assert.False(t, health.Has(r.Databases[0].Problems, health.NoBackup))

	w.fails.Store(false)
	do(t.Context())
	watch.refresh()
	assert.Equal(t, start.Add(2*time.Hour), watch.Report().Pulse.Looked)
	assert.Empty(t, watch.Report().Pulse.Problem)
}

// set makes now the time of the watch.
func set(clock *atomic.Pointer[time.Time], now time.Time) { clock.Store(&now) }

// look waits for one look at the repository.
func look(t *testing.T, w *Watch) {
	t.Helper()
	w.begin(t.Context(), looking, w.looker())
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.busy[looking].IsZero()
	}, 2*time.Minute, time.Millisecond)
}

func TestReport(t *testing.T) {
	w := newWorld(t)
	m := w.put("a", start, repo.StateVerified, 1000, nil)
	var clock atomic.Pointer[time.Time]
	set(&clock, start.Add(27*time.Hour))
	watch := w.watch(&clock)
	first := watch.Report()
	require.Len(t, first.Databases, 1, "those of the configuration, before anything was looked at")
	assert.Empty(t, first.Databases[0].Problems, "what is not known is no problem")
	assert.True(t, first.Pulse.Looked.IsZero())

	look(t, watch)
	r := watch.Report()
	assert.Equal(t, start.Add(27*time.Hour), r.At)
	p := r.Pulse
	assert.Equal(t, []any{"db1", "v1.2.3", os.Getpid(), w.config.Sum(), int64(1000), false}, []any{p.Host, p.Version, p.PID, p.Config, p.RepositoryBytes, p.ConfigChanged})
	assert.Positive(t, p.FreeBytes)
	assert.Equal(t, r.At, p.Looked)
	d := r.Databases[0]
	assert.Equal(t, m.ID, d.Backups.Newest.ID)
	require.Len(t, d.Problems, 1)
	assert.Equal(t, health.TooOld, d.Problems[0].Kind)
	assert.Nil(t, first.Databases[0].Backups.Newest, "an older report stays as it was")

	require.NoError(t, os.WriteFile(w.config.File(), []byte("host: db2\n"), 0o600))
	look(t, watch)
	assert.True(t, watch.Report().Pulse.ConfigChanged)
	assert.True(t, health.Has(watch.Report().Databases[0].Problems, health.OldConfig))
	look(t, watch)
	assert.Equal(t, 1, strings.Count(w.log.String(), "not the one that this worker runs with"), "it is logged once")
}

// A file system that does not answer holds up the look, and nothing else.
func TestRepositoryThatHangs(t *testing.T) {
	w := newWorld(t)
	w.put("a", start, repo.StateVerified, 1000, nil)
	var clock atomic.Pointer[time.Time]
	set(&clock, start.Add(time.Hour))
	watch := w.watch(&clock)
	do := watch.looker()
	look(t, watch)
	answer := make(chan struct{})
	w.hangs.Store(&answer)
	watch.begin(t.Context(), looking, do)
	for _, after := range []time.Duration{slowLook / 2, 2 * slowLook, time.Hour} {
		set(&clock, start.Add(time.Hour+after))
		watch.begin(t.Context(), looking, func(context.Context) time.Duration {
			assert.Fail(t, "a second look beside the one that hangs")
			return 0
		})
		watch.refresh()
		r := watch.Report()
		assert.Equal(t, *clock.Load(), r.Pulse.At, "the pulse goes on")
		assert.Equal(t, start.Add(time.Hour), r.Pulse.Looked)
		assert.Equal(t, after > slowLook, strings.Contains(r.Pulse.Problem, "has not come to an end since"), "after %s: %s", after, r.Pulse.Problem)
		assert.NotNil(t, r.Databases[0].Backups.Newest, "what was seen before is told still")
	}
	assert.True(t, health.Has(watch.Report().Databases[0].Problems, health.Repository))
	w.hangs.Store(nil)
	close(answer)
	require.Eventually(t, func() bool { return watch.Report().Pulse.Problem == "" }, 2*time.Minute, time.Millisecond)
	watch.next[looking] = time.Time{}
	look(t, watch)
	assert.Equal(t, *clock.Load(), watch.Report().Pulse.Looked)
	assert.False(t, health.Has(watch.Report().Databases[0].Problems, health.Repository))
}

func TestTemporalDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	var clock atomic.Pointer[time.Time]
	began := time.Now().UTC()
	set(&clock, began)
	watch := w.watch(&clock)
	known := health.Database{Name: "shop", Host: "db1", Worker: health.Worker{Polls: true}, Temporal: &health.Temporal{Begins: health.BySchedule, Paused: true}}
	watch.answered(&answered{databases: map[string]health.Database{"shop": known}}, nil)
	problems := func(after time.Duration) []health.Problem {
		set(&clock, began.Add(after))
		watch.refresh()
		return watch.Report().Databases[0].Problems
	}
	assert.True(t, health.Has(problems(0), health.Paused))
	watch.answered(nil, errors.New("connection refused"))
	assert.True(t, health.Has(problems(unansweredFor), health.Paused), "what it said last holds for a while")
	assert.False(t, health.Has(problems(unansweredFor), health.Unreachable))
	found := problems(unansweredFor + time.Second)
	assert.False(t, health.Has(found, health.Paused), "and not for ever")
	require.True(t, health.Has(found, health.Unreachable))
	assert.Contains(t, found[0].Text, "connection refused")
	assert.Equal(t, began, watch.Report().TemporalSeen)

	watch.answered(nil, nil) // it is there again, and was asked no more than that
	assert.False(t, health.Has(problems(unansweredFor+time.Second), health.Unreachable))
	assert.True(t, health.Has(problems(unansweredFor+time.Second), health.Paused))
	assert.Equal(t, 1, strings.Count(w.log.String(), "connection refused"))

	t.Run("a question that gets no answer at all", func(t *testing.T) {
		watch := w.watch(&clock)
		set(&clock, began)
		release := make(chan struct{})
		watch.begin(t.Context(), asking, func(context.Context) time.Duration { <-release; return 0 })
		set(&clock, began.Add(unansweredFor+time.Second))
		watch.refresh()
		assert.True(t, health.Has(watch.Report().Databases[0].Problems, health.Unreachable))
		close(release)
	})
}

// A schedule that asks this host for what it does not have is a database of the
// report, too.
func TestStrangers(t *testing.T) {
	w := newWorld(t)
	var clock atomic.Pointer[time.Time]
	set(&clock, time.Now())
	watch := w.watch(&clock)
	stranger := health.Database{Name: "crm", Host: "db1", Temporal: &health.Temporal{Begins: health.BySchedule}}
	watch.answered(&answered{databases: map[string]health.Database{"crm": stranger}, strangers: []string{"crm"}}, nil)
	watch.refresh()
	r := watch.Report()
	require.Len(t, r.Databases, 2)
	assert.Equal(t, "crm", r.Databases[1].Name)
	assert.True(t, health.Has(r.Databases[1].Problems, health.OldConfig))
	assert.Len(t, r.Pulse.Databases, 1)
}

func TestGrowth(t *testing.T) {
	of := func(sizes ...int64) []backup {
		all := make([]backup, len(sizes))
		for i, n := range sizes {
			all[i].Started, all[i].Bytes = start.Add(time.Duration(i)*12*time.Hour), n
		}
		return all
	}
	assert.Zero(t, growth(nil))
	assert.Zero(t, growth(of(5)))
	assert.InDelta(t, 20, growth(of(100, 110, 120)), 1e-9)
	assert.InDelta(t, -20, growth(of(120, 100, 100)), 1e-9)
	assert.InDelta(t, 2, growth(of(1000, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10)), 1e-9, "of the last ten")
	close := of(1, 1000)
	close[1].Started = close[0].Started.Add(time.Minute)
	assert.Zero(t, growth(close), "a minute says nothing of a day")
}

// A database that moved is told of by the worker of its new host, once that has
// it, and by this one for as long as it has not.
func TestDatabaseThatMovedAway(t *testing.T) {
	w := newWorld(t)
	var clock atomic.Pointer[time.Time]
	set(&clock, time.Now())
	watch := w.watch(&clock)
	moved := health.Database{Name: "shop", Host: "db2", Temporal: &health.Temporal{Begins: health.BySchedule}}
	reported := func() int {
		watch.answered(&answered{databases: map[string]health.Database{"shop": moved}}, nil)
		watch.refresh()
		return len(watch.Report().Databases)
	}
	assert.Equal(t, 1, reported(), "nobody else is there")
	moved.Worker.Polls = true
	assert.Equal(t, 1, reported(), "the other worker does not have it")
	moved.Backups = &job.PulseDatabase{Name: "shop"}
	assert.Zero(t, reported())
	assert.Len(t, watch.Report().Pulse.Databases, 1, "it is in the configuration still")
	moved.Worker.Polls = false
	assert.Equal(t, 1, reported(), "the other worker is gone")
}

// late is a server that knows nothing, and on whose clock a minute goes by before it
// says so.
type late struct {
	client.Client
	clock *atomic.Pointer[time.Time]
}

func (l late) ScheduleClient() client.ScheduleClient { return lateSchedules{clock: l.clock} }

type lateSchedules struct {
	client.ScheduleClient
	client.ScheduleHandle
	clock *atomic.Pointer[time.Time]
}

func (l lateSchedules) GetHandle(context.Context, string) client.ScheduleHandle { return l }

func (l lateSchedules) Describe(context.Context) (*client.ScheduleDescription, error) {
	set(l.clock, l.clock.Load().Add(time.Minute))
	return nil, serviceerror.NewNotFound("no schedule")
}

func (l late) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return nil, serviceerror.NewNotFound("no workflow")
}

func (l late) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return &workflowservice.ListWorkflowExecutionsResponse{}, nil
}

func (l late) DescribeTaskQueue(context.Context, string, enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	return &workflowservice.DescribeTaskQueueResponse{}, nil
}

// What Temporal says is as of when it was asked, not of when it had answered.
func TestAnswersAreAsOfTheQuestion(t *testing.T) {
	w := newWorld(t)
	var clock atomic.Pointer[time.Time]
	asked := time.Now()
	set(&clock, asked)
	watch := w.watch(&clock)
	watch.o.Client = late{clock: &clock}
	watch.asked.sought = asked // strangers are not looked for
	watch.asker()(t.Context())
	require.Empty(t, watch.asked.problem)
	require.True(t, clock.Load().After(asked))
	for _, name := range w.config.Names() {
		assert.Equal(t, asked, watch.asked.databases[name].Temporal.AsOf, name)
	}
}
