package watch

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/internal/config"
	"canvasback/internal/health"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// Options are what a Watch is about.
type Options struct {
	Client  client.Client
	Config  *config.Config
	Repo    *repo.Repo
	FS      vfs.FS // of the repository
	Log     *slog.Logger
	Version string // of this program
}

const (
	// askEvery is how often Temporal is asked. With many databases it is a second
	// for each, so that a worker's questions do not become a load.
	askEvery     = 30 * time.Second
	askEveryEach = time.Second
	// strangersEvery is how often all schedules are gone through for those that
	// ask this host for a database that it does not have.
	strangersEvery = 10 * time.Minute
	// unansweredFor is how long Temporal may be silent before what it said last is
	// not taken for what is.
	unansweredFor = 2 * time.Minute
	// slowLook is how long a look at the repository may take before it is told.
	slowLook = time.Minute
	// lookShare bounds what looking costs: the next look waits so many times as
	// long as the last one took.
	lookShare = 20
	// longestPause bounds that wait, as after a look that hung.
	longestPause = 2 * time.Minute
)

// Watch keeps what is known of a host's databases. Its methods are safe for
// concurrent use.
type Watch struct {
	o       Options
	started time.Time
	every   time.Duration
	now     func() time.Time

	mu     sync.Mutex // guards what follows
	report health.Report
	seen   looked
	asked  answered
	busy   [2]time.Time // since when a look and a question are at work; zero: none is
	next   [2]time.Time // when the next one is due
}

// The two things that may not answer.
const (
	looking = iota
	asking
)

// looked is what a look at the repository found.
type looked struct {
	at           time.Time // when all could be listed last; zero: never
	databases    []job.PulseDatabase
	free, stored int64
	changed      bool
	problem      string
}

// answered is what Temporal said.
type answered struct {
	at        time.Time // zero: it never answered
	databases map[string]health.Database
	strangers []string
	sought    time.Time // when strangers were
	problem   string    // why it does not answer now
}

// New makes the watch of the databases of a configuration.
func New(o Options) *Watch {
	w := &Watch{o: o, every: job.PulseEvery, now: time.Now}
	w.started = w.now().UTC()
	w.report = w.assess(w.started)
	return w
}

// Run keeps the report, and the workflow of the host that carries it to Temporal,
// until ctx ends. It does not wait for what hangs.
func (w *Watch) Run(ctx context.Context) {
	go app.KeepHost(ctx, w.o.Client, w.o.Config.Host, w.o.Log)
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	look, ask := w.looker(), w.asker()
	for {
		w.begin(ctx, looking, look)
		w.begin(ctx, asking, ask)
		w.refresh()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// begin does one of the two things in a goroutine of its own, unless it is at
// work still or not due yet. The goroutine ends with what it does, which a file
// system that does not answer may put off for ever.
func (w *Watch) begin(ctx context.Context, which int, do func(ctx context.Context) time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if !w.busy[which].IsZero() || now.Before(w.next[which]) || ctx.Err() != nil {
		return
	}
	w.busy[which] = now
	go func() {
		pause := do(ctx)
		w.mu.Lock()
		w.busy[which] = time.Time{}
		w.next[which] = w.now().Add(pause)
		w.mu.Unlock()
		w.refresh()
	}()
}

// refresh makes the report anew of what is known.
func (w *Watch) refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report = w.assess(w.now().UTC())
}

// Report is the newest. What it points to is not changed afterwards.
func (w *Watch) Report() health.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.report
}

// Pulse is the newest report's.
func (w *Watch) Pulse() job.Pulse { return w.Report().Pulse }

// Writable tries to write to the repository, as a backup would.
func (w *Watch) Writable() error { return w.o.Repo.CheckWritable() }

// assess is the report as of now. mu is held, or w is not in use yet.
func (w *Watch) assess(now time.Time) health.Report {
	r := health.Report{At: now, TemporalSeen: w.asked.at, Pulse: w.pulse(now)}
	answers := now.Sub(w.asked.at) <= unansweredFor
	facts := func(name string, stored *job.PulseDatabase) {
		d := w.asked.databases[name]
		d.Name, d.Backups = name, stored
		if d.Host == "" {
			d.Host = w.o.Config.Host
		}
		polls := d.Worker.Polls
		d.Worker = health.WorkerOf(&r.Pulse)
		// A worker that has just begun to poll is not seen to do so at once.
		d.Worker.Polls = polls || now.Sub(w.started) < unansweredFor
		if !answers {
			d.Temporal, d.Unanswered = nil, w.silence(now)
		}
		r.Databases = append(r.Databases, health.Reported{Database: d, Problems: health.Assess(d, now)})
	}
	for i := range r.Pulse.Databases {
		if !w.elsewhere(r.Pulse.Databases[i].Name) {
			facts(r.Pulse.Databases[i].Name, &r.Pulse.Databases[i])
		}
	}
	for _, name := range w.asked.strangers {
		facts(name, nil)
	}
	return r
}

// elsewhere tells a database of this host's configuration whose schedule asks
// another host for its backups, and whose worker is there and has it: one that
// moved. That worker tells how it stands, by its own repository; what this host's
// has of it grows old, and is no reason to call for anyone. mu is held.
func (w *Watch) elsewhere(name string) bool {
	d := w.asked.databases[name]
	return d.Host != "" && d.Host != w.o.Config.Host && d.Worker.Polls && d.Backups != nil
}

// silence says why Temporal is not heard of; empty: it was not asked for long
// enough to tell. mu is held.
func (w *Watch) silence(now time.Time) string {
	switch since := w.busy[asking]; {
	case w.asked.problem != "":
		return w.asked.problem
	case !since.IsZero() && now.Sub(since) > unansweredFor:
		return "a question has had no answer since " + since.UTC().Format(time.RFC3339)
	}
	return ""
}

func (w *Watch) pulse(now time.Time) job.Pulse {
	p := job.Pulse{
		Host: w.o.Config.Host, Version: w.o.Version, PID: os.Getpid(), Started: w.started, At: now,
		Looked: w.seen.at, Config: w.o.Config.Sum(), ConfigChanged: w.seen.changed,
		FreeBytes: w.seen.free, RepositoryBytes: w.seen.stored, Problem: w.seen.problem,
	}
	if since := w.busy[looking]; !since.IsZero() && now.Sub(since) > slowLook {
		p.Problem = "reading the repository " + w.o.Repo.Dir() + " has not come to an end since " + since.UTC().Format(time.RFC3339)
	}
	// What the repository says of a database, once it is known.
	for _, d := range w.seen.databases {
		if last := w.asked.databases[d.Name].Temporal; d.Hook == "" && last != nil && last.Last != nil {
			d.Hook = last.Last.Hook
		}
		p.Databases = append(p.Databases, d)
	}
	if p.Databases == nil {
		for _, d := range w.o.Config.Databases {
			p.Databases = append(p.Databases, job.PulseDatabase{Name: d.Name, MaxAge: time.Duration(d.MaxAge)})
		}
	}
	return p
}

// looker reads the repository and the configuration file.
func (w *Watch) looker() func(context.Context) time.Duration {
	readers := make([]*reader, len(w.o.Config.Databases))
	for i, d := range w.o.Config.Databases {
		readers[i] = &reader{repo: w.o.Repo, database: d}
	}
	return func(context.Context) time.Duration {
		w.mu.Lock()
		before := w.seen.at
		w.mu.Unlock()
		began, whole := w.now(), true
		found := looked{at: began.UTC(), databases: make([]job.PulseDatabase, 0, len(readers))}
		var problems []error
		changed, err := w.o.Config.Changed()
		found.changed, problems = changed, append(problems, err)
		for _, r := range readers {
			all, listed, err := r.read(began)
			whole = whole && listed
			d, bytes := r.summary(all, began)
			found.databases, problems = append(found.databases, d), append(problems, err)
			found.stored += bytes
		}
		found.free, err = w.o.FS.FreeBytes(w.o.Repo.Dir())
		if !whole {
			found.at = before
		}
		w.looked(found, append(problems, err))
		return min(max(lookShare*w.now().Sub(began)-w.every, 0), longestPause)
	}
}

func (w *Watch) looked(found looked, problems []error) {
	faults := problems[:0]
	for _, err := range problems {
		if err != nil {
			faults = append(faults, err)
		}
	}
	if err := shorten(faults); err != nil {
		found.problem = err.Error()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if found.problem != w.seen.problem && found.problem != "" {
		w.o.Log.Warn("Looking at the repository", "repository", w.o.Repo.Dir(), "error", found.problem)
	}
	if found.changed && !w.seen.changed {
		w.o.Log.Warn("The configuration file is not the one that this worker runs with: restart it", "file", w.o.Config.File(), "config", w.o.Config.Sum())
	}
	w.seen = found
}

// asker asks Temporal.
func (w *Watch) asker() func(context.Context) time.Duration {
	own := w.o.Config.Names()
	pause := max(askEvery, askEveryEach*time.Duration(len(own))) - w.every
	var due time.Time
	return func(ctx context.Context) time.Duration {
		// A server that is there is known to be, also between two rounds of
		// questions.
		if w.now().Before(due) {
			_, err := app.Polled(ctx, w.o.Client, w.o.Config.Host)
			w.answered(nil, err)
			return askEvery - w.every
		}
		w.mu.Lock()
		strangers, sought := w.asked.strangers, w.asked.sought
		w.mu.Unlock()
		if w.now().Sub(sought) > strangersEvery {
			// Of a busy server the rest can be known all the same.
			if found, err := app.ScheduledFor(ctx, w.o.Client, w.o.Config.Host, own); err == nil {
				strangers, sought = found, w.now()
			}
		}
		asOf := w.now()
		all, err := app.Overview(ctx, w.o.Client, app.Query{Databases: append(own[:len(own):len(own)], strangers...), Otherwise: w.o.Config.Host})
		if err != nil {
			w.answered(nil, err)
			return askEvery - w.every
		}
		due = w.now().Add(pause)
		fresh := &answered{databases: map[string]health.Database{}, strangers: strangers, sought: sought}
		for _, d := range all {
			d.Temporal.AsOf = asOf
			fresh.databases[d.Name] = d
		}
		w.answered(fresh, nil)
		return askEvery - w.every
	}
}

// answered notes what Temporal said, or that it was there.
func (w *Watch) answered(fresh *answered, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.asked.problem == "" {
			w.o.Log.Warn("Asking Temporal how the backups stand", "error", err)
		}
		w.asked.problem = err.Error()
		return
	}
	if fresh != nil {
		w.asked = *fresh
	}
	w.asked.at, w.asked.problem = w.now().UTC(), ""
}
