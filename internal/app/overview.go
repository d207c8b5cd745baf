package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
)

const (
	// askers is how many databases are asked about at once.
	askers = 16
	// patience is how long a server may take to answer an Overview, and patienceEach
	// how much longer for each database.
	patience     = 30 * time.Second
	patienceEach = time.Second
)

// Query says what an Overview is about: the named databases, the databases of
// one host, or all where both are empty.
type Query struct {
	Databases []string
	Host      string
	// Otherwise is the host of a database of which nothing says another one.
	Otherwise string
	// Locked is told what is left out, of all databases, because it cannot be
	// decrypted. It may be nil. Of named databases that is an error.
	Locked func(err error)
}

// Overview gathers all that Temporal knows of the databases, what their workers
// said last included, sorted by host and name. It needs no access to any
// repository. TemporalUnreachable where the server does not answer in time, Payload
// where nothing can be decrypted.
func Overview(ctx context.Context, c client.Client, q Query) ([]health.Database, error) {
	o := &overview{client: c, query: q, names: map[string]string{}, pulses: map[string]*job.Pulse{}, polled: map[string]bool{}, schedules: newSchedules(ctx, c)}
	for _, name := range q.Databases {
		o.names[name] = q.Otherwise
	}
	if len(q.Databases) == 0 {
		finding, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := o.find(finding); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience+patienceEach*time.Duration(len(o.names)))
	defer cancel()
	statuses, err := o.ask(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.configured(ctx, statuses); err != nil {
		return nil, err
	}
	if err := o.hosts(ctx, statuses); err != nil {
		return nil, err
	}
	if len(statuses) == 0 && o.locked != nil {
		return nil, o.locked
	}
	return o.join(ctx, statuses)
}

type overview struct {
	client client.Client
	query  Query
	names  map[string]string // of databases, and the host if nothing else says one

	pulses map[string]*job.Pulse
	polled map[string]bool

	schedules *schedules // where all are asked about
	newest    func(task Task, database string) (*workflowpb.WorkflowExecutionInfo, error)

	mu     sync.Mutex // guards locked
	locked error      // one of those
}

// pass takes the error of what cannot be decrypted for none, unless it was asked
// for by name: others may have keys of their own.
func (o *overview) pass(what string, err error, named bool) error {
	locked := locked(what, err)
	if locked == nil || named {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.locked = locked
	if o.query.Locked != nil {
		o.query.Locked(locked)
	}
	return nil
}

// find looks for databases in the pulses, the schedules and the runs.
func (o *overview) find(ctx context.Context) error {
	schedules, err := o.schedules.list()
	if err != nil {
		return err
	}
	for k := range schedules {
		o.names[k.database] = o.query.Otherwise
	}
	running, err := hosts(ctx, o.client)
	if err != nil {
		return err
	}
	if err := o.read(ctx, running, false); err != nil {
		return err
	}
	for _, host := range o.configuring() {
		for _, d := range o.pulses[host].Databases {
			o.names[d.Name] = host
		}
	}
	return o.runs(ctx)
}

// configuring are the hosts with a pulse, in the order of what they say of a
// database that more than one of them has in its configuration and of which
// nothing else says where it is: the host that is asked about comes last and is
// believed, else the first by name.
func (o *overview) configuring() []string {
	all := slices.Sorted(maps.Keys(o.pulses))
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b string) int {
		switch o.query.Host {
		case a:
			return 1
		case b:
			return -1
		}
		return 0
	})
	return all
}

// runs finds the newest run of every database by a few long lists instead of two
// for each, and the databases that nothing but an old run tells of.
func (o *overview) runs(ctx context.Context) error {
	type key struct {
		task     Task
		database string
	}
	newest, whole := map[key]*workflowpb.WorkflowExecutionInfo{}, map[Task]bool{}
	for _, task := range []Task{TaskBackup, TaskDrill} {
		runs, err := list(ctx, o.client, task, "ExecutionStatus != 'Running'", remembered)
		if err != nil {
			return err
		}
		whole[task] = len(runs) < remembered
		for _, r := range runs {
			s, ok := specOfMemo(r.GetMemo().GetFields()[specMemo])
			if !ok {
				continue
			}
			if k := (key{task, s.Database}); later(r, newest[k]) {
				newest[k] = r
			}
			if _, known := o.names[s.Database]; !known {
				o.names[s.Database] = s.Host
			}
		}
	}
	o.newest = func(task Task, database string) (*workflowpb.WorkflowExecutionInfo, error) {
		if r, found := newest[key{task, database}]; found || whole[task] {
			return r, nil
		}
		return newestEnded(ctx, o.client, task, database)
	}
	return nil
}

// read fills in the pulses of the hosts that are not read yet. Those of named
// hosts have to be readable.
func (o *overview) read(ctx context.Context, hosts []string, named bool) error {
	var mu sync.Mutex
	return each(ctx, hosts, func(ctx context.Context, host string) error {
		mu.Lock()
		_, known := o.pulses[host]
		mu.Unlock()
		if known {
			return nil
		}
		p, err := PulseOf(ctx, o.client, host)
		if err == nil && p != nil {
			mu.Lock()
			o.pulses[host] = p
			mu.Unlock()
		}
		return o.pass("the host "+host, err, named)
	})
}

// ask asks about each database.
func (o *overview) ask(ctx context.Context) (map[string]*Status, error) {
	var mu sync.Mutex
	statuses := map[string]*Status{}
	err := each(ctx, slices.Sorted(maps.Keys(o.names)), func(ctx context.Context, name string) error {
		newest := func(task Task) (*workflowpb.WorkflowExecutionInfo, error) {
			if o.newest == nil {
				return newestEnded(ctx, o.client, task, name)
			}
			return o.newest(task, name)
		}
		s, err := statusOf(ctx, o.client, name, o.names[name], lookup{newest, func(task Task) (*client.ScheduleDescription, error) {
			if len(o.query.Databases) > 0 {
				return DescribeSchedule(ctx, o.client, task, name)
			}
			return o.schedules.describe(ctx, scheduleKey{task, name})
		}})
		if err != nil {
			return o.pass("the database "+name, err, len(o.query.Databases) > 0)
		}
		if s.Spec.Host == "" {
			s.Spec.Host = o.names[name]
		}
		if o.query.Host == "" || len(o.query.Databases) > 0 || s.Spec.Host == o.query.Host {
			mu.Lock()
			statuses[name] = s
			mu.Unlock()
		}
		return nil
	})
	return statuses, err
}

// configured finds the hosts of databases that were asked for by name and of which
// Temporal knows nothing: those whose workers say that they have them.
func (o *overview) configured(ctx context.Context, statuses map[string]*Status) error {
	var unknown []*Status
	for _, s := range statuses {
		if !s.Facts.Known() {
			unknown = append(unknown, s)
		}
	}
	if len(unknown) == 0 || len(o.query.Databases) == 0 {
		return nil
	}
	if err := o.read(ctx, []string{o.query.Otherwise}, true); err != nil {
		return err
	}
	unknown = slices.DeleteFunc(unknown, func(s *Status) bool { return o.has(s.Spec.Host, s.Spec.Database) })
	if len(unknown) == 0 {
		return nil
	}
	running, err := hosts(ctx, o.client)
	if err != nil {
		return err
	}
	if err := o.read(ctx, running, false); err != nil {
		return err
	}
	for _, s := range unknown {
		for _, host := range o.configuring() {
			if o.has(host, s.Spec.Database) {
				s.Spec.Host = host
			}
		}
	}
	return nil
}

// has says whether the worker of a host says that it has the database.
func (o *overview) has(host, database string) bool {
	p := o.pulses[host]
	if p == nil {
		return false
	}
	_, found := p.Database(database)
	return found
}

// hosts looks at the workers of the hosts that the databases are on.
func (o *overview) hosts(ctx context.Context, statuses map[string]*Status) error {
	names := map[string]bool{}
	for _, s := range statuses {
		names[s.Spec.Host] = true
	}
	all := slices.Sorted(maps.Keys(names))
	if err := o.read(ctx, all, len(o.query.Databases) > 0); err != nil {
		return err
	}
	var mu sync.Mutex
	return each(ctx, all, func(ctx context.Context, host string) error {
		polled, err := Polled(ctx, o.client, host)
		mu.Lock()
		o.polled[host] = polled
		mu.Unlock()
		return err
	})
}

func (o *overview) join(ctx context.Context, statuses map[string]*Status) ([]health.Database, error) {
	all := make([]health.Database, 0, len(statuses))
	var mu sync.Mutex
	err := each(ctx, slices.Sorted(maps.Keys(statuses)), func(ctx context.Context, name string) error {
		s := statuses[name]
		d := health.Database{Name: name, Host: s.Spec.Host, Temporal: &s.Facts}
		if p := o.pulses[d.Host]; p != nil {
			d.Worker = health.WorkerOf(p)
			if b, found := p.Database(name); found {
				d.Backups = b
			}
		}
		d.Worker.Polls = o.polled[d.Host]
		var err error
		if d.Backups == nil || d.Worker.Looked.IsZero() {
			s.Facts.Verified, err = verified(ctx, o.client, name, s.Facts.Last)
		} else if l := s.Facts.Last; l != nil && l.State == "verified" {
			s.Facts.Verified = l
		}
		if err != nil {
			return err
		}
		mu.Lock()
		all = append(all, d)
		mu.Unlock()
		return nil
	})
	slices.SortFunc(all, func(a, b health.Database) int {
		if a.Host != b.Host {
			return cmp.Compare(a.Host, b.Host)
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return all, err
}

// tried is how many runs are looked at for one that made a verified backup.
const tried = 20

// verified finds the newest run that made a verified backup, where no worker
// says what is in the repository.
func verified(ctx context.Context, c client.Client, database string, last *health.Ended) (*health.Ended, error) {
	if last == nil || last.State == "verified" {
		return last, nil
	}
	runs, err := ended(ctx, c, TaskBackup, database, recent)
	if err != nil {
		return nil, err
	}
	for _, r := range runs[:min(len(runs), tried)] {
		e, err := endedFacts(ctx, c, database, r)
		if err != nil {
			return nil, err
		}
		if e != nil && e.State == "verified" {
			return e, nil
		}
	}
	return nil, nil
}

// each calls f for every item, some at a time, and patiently. It returns the first
// error, for which it gives up the rest.
func each[T any](ctx context.Context, items []T, f func(ctx context.Context, item T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, askers)
	var all sync.WaitGroup
	for _, item := range items {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			if err := patiently(ctx, func() error { return f(ctx, item) }); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return Unreachable(context.Cause(ctx))
	}
	return nil
}

// ScheduledFor names the databases beside the known ones whose schedules ask the
// host for backups.
func ScheduledFor(ctx context.Context, c client.Client, host string, known []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	names, err := scheduled(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, name := range known {
		delete(names, name)
	}
	var mu sync.Mutex
	found := []string{}
	err = each(ctx, slices.Sorted(maps.Keys(names)), func(ctx context.Context, name string) error {
		at, err := HostOf(ctx, c, name, "")
		if failure.Of(err) == failure.Payload {
			return nil // another host's, or nobody's any more
		}
		if err == nil && at == host {
			mu.Lock()
			found = append(found, name)
			mu.Unlock()
		}
		return err
	})
	slices.Sort(found)
	return found, err
}
