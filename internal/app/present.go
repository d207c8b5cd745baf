package app

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"go.temporal.io/sdk/client"
)

// Present is what the server has under the ID of the schedule of a task of a
// database.
type Present struct {
	Spec    Spec // what it was made from; where it is not ours, the task and the database only
	Ours    bool // made by this program
	Drifted bool // changed elsewhere since
	Stale   bool // kept in plain, or encrypted with a key that is not the present one
	Paused  bool
	Note    string
	// Running is the run of it that is at work, nil if none is. Where the schedule
	// is to move to another host, Left says that no worker asks for the work of the
	// present one, so that the run would stay for as long as RunTimeout.
	Running *Run
	Left    bool
}

// Presence is what starts backups and drills now.
type Presence struct {
	Schedules []Present       // by database and task
	Crons     map[string]Spec // the cron workflows of the databases that were asked about
	// Locked are errors of schedules that were not asked about and that cannot be
	// decrypted: others have keys of their own.
	Locked []error
}

// PresenceOf finds all schedules of this program, and whatever has the ID of one
// that is wanted. Lists of the server lag behind, so those that are wanted are
// asked about by name; each schedule costs one call, and each wanted database
// one more for its cron workflow, some of them at a time.
func PresenceOf(ctx context.Context, c client.Client, wanted []Spec) (*Presence, error) {
	found, err := listSchedules(ctx, c)
	if err != nil {
		return nil, err
	}
	keys := map[scheduleKey]*Spec{}
	for k := range found {
		keys[k] = nil
	}
	for i := range wanted {
		keys[scheduleKey{wanted[i].Task, wanted[i].Database}] = &wanted[i]
	}
	p, mu := &Presence{Crons: map[string]Spec{}}, sync.Mutex{}
	err = each(ctx, sortedKeys(keys), func(ctx context.Context, k scheduleKey) error {
		present, cron, err := p.look(ctx, c, k, keys[k])
		mu.Lock()
		defer mu.Unlock()
		if locked := locked("the schedule "+k.task.ID(k.database), err); locked != nil && keys[k] == nil {
			p.Locked = append(p.Locked, locked)
			return nil
		}
		if err != nil {
			return err
		}
		if present != nil {
			p.Schedules = append(p.Schedules, *present)
		}
		if cron != nil {
			p.Crons[k.database] = cron.Spec
		}
		return nil
	})
	slices.SortFunc(p.Schedules, func(a, b Present) int {
		return cmp.Or(cmp.Compare(a.Spec.Database, b.Spec.Database), cmp.Compare(a.Spec.Task, b.Spec.Task))
	})
	return p, err
}

func sortedKeys(keys map[scheduleKey]*Spec) []scheduleKey {
	all := make([]scheduleKey, 0, len(keys))
	for k := range keys {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b scheduleKey) int {
		return cmp.Or(cmp.Compare(a.database, b.database), cmp.Compare(a.task, b.task))
	})
	return all
}

// look asks about one schedule; want is nil for one that nobody asked about.
func (p *Presence) look(ctx context.Context, c client.Client, k scheduleKey, want *Spec) (present *Present, cron *Cron, err error) {
	present, err = presentOf(ctx, c, k.task, k.database)
	if err != nil || want == nil {
		return present, nil, err
	}
	if present != nil && present.Ours && present.Running != nil && present.Spec.Host != want.Host {
		polled, err := Polled(ctx, c, present.Spec.Host)
		if err != nil {
			return nil, nil, err
		}
		present.Left = !polled
	}
	if k.task == TaskBackup {
		cron, err = DescribeCron(ctx, c, k.database)
	}
	return present, cron, err
}

// presentOf is nil where there is no such schedule.
func presentOf(ctx context.Context, c client.Client, task Task, database string) (*Present, error) {
	d, err := Schedule(ctx, c, task, database).Describe(ctx)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Unreachable(err)
	}
	p := newPresent(d, task, database)
	for _, r := range d.Info.RunningWorkflows {
		// What the schedule takes for running may have ended.
		on, err := isRunning(ctx, c, r.WorkflowID, r.FirstExecutionRunID)
		if err != nil {
			return nil, err
		}
		if on {
			p.Running = &Run{r.WorkflowID, r.FirstExecutionRunID}
		}
	}
	return p, nil
}

// newPresent takes a schedule for ours if it carries a Spec of its own ID: a copy
// under another name is somebody else's.
func newPresent(d *client.ScheduleDescription, task Task, database string) *Present {
	p := &Present{Drifted: Drifted(d), Stale: stale(d)}
	p.Spec, p.Ours = SpecOf(d)
	if !p.Ours || p.Spec.Task != task || p.Spec.Database != database {
		p.Spec, p.Ours = Spec{Task: task, Database: database}, false
	}
	if s := d.Schedule.State; s != nil {
		p.Paused, p.Note = s.Paused, s.Note
	}
	return p
}
