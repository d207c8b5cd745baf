package fleet

import (
	"fmt"
	"slices"
	"time"

	"canvasback/internal/app"
)

// Action is what is to be done to a schedule.
type Action string

// The actions, in the order in which a plan is shown.
const (
	Conflict  Action = "conflict" // something else is in the way: nothing is done
	Create    Action = "create"
	Adopt     Action = "adopt" // it is there, without a fleet or of one that may be taken over
	Move      Action = "move"  // to another host
	Update    Action = "update"
	Remove    Action = "remove"
	Left      Action = "left" // made by hand and not in the file: nothing is done
	Unchanged Action = "unchanged"
)

// Actions lists them all.
var Actions = []Action{Conflict, Create, Adopt, Move, Update, Remove, Left, Unchanged}

// Field is one thing about a schedule that changes.
type Field struct {
	Name string `json:"field"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Step is one schedule of a plan.
type Step struct {
	Action   Action
	Task     app.Task
	Database string
	Host     string // that it is to have, or has
	Fields   []Field
	Why      string // of what is not plain from the action
	Hint     string // what to do about it
	Change   app.Change
}

// Changes tells whether something is to be done.
func (s Step) Changes() bool {
	return s.Action != Conflict && s.Action != Left && s.Action != Unchanged
}

// key names a schedule.
type key struct {
	task     app.Task
	database string
}

// Plan works out what makes the schedules that are there match the file. Takes
// names the other fleets whose schedules may be taken over. Steps are ordered by
// action, database and task.
func Plan(f *File, there *app.Presence, takes ...string) []Step {
	present := map[key]*app.Present{}
	for i := range there.Schedules {
		p := &there.Schedules[i]
		present[key{p.Spec.Task, p.Spec.Database}] = p
	}
	var steps []Step
	named := map[key]bool{}
	for _, w := range f.Wanted() {
		k := key{w.Task, w.Database}
		named[k] = true
		var cron *app.Spec
		if c, is := there.Crons[w.Database]; is && w.Task == app.TaskBackup {
			cron = &c
		}
		steps = append(steps, plan(w, present[k], cron, takes))
	}
	for i := range there.Schedules {
		p := &there.Schedules[i]
		s := Step{Task: p.Spec.Task, Database: p.Spec.Database, Host: p.Spec.Host, Change: app.Change{Now: p}}
		switch {
		case !p.Ours || named[key{p.Spec.Task, p.Spec.Database}]:
			continue
		case p.Spec.Fleet == f.Fleet:
			s.Action, s.Why = Remove, "it is not in the file any more; its backups stay"
		case p.Spec.Fleet == "":
			s.Action, s.Why = Left, "it was made by hand and is not in the file"
		default:
			continue
		}
		steps = append(steps, s)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return slices.Index(Actions, a.Action) - slices.Index(Actions, b.Action) })
	return steps
}

// plan is the step of one schedule that is wanted.
func plan(w Wanted, now *app.Present, cron *app.Spec, takes []string) Step {
	want := w.Spec
	s := Step{Task: w.Task, Database: w.Database, Host: w.Host, Change: app.Change{Now: now, Want: &want, Pause: w.Pause}}
	switch {
	case cron != nil:
		s.Action, s.Why = Conflict, "a cron workflow starts its backups"
		if now != nil {
			s.Why = "a cron workflow starts its backups beside the schedule"
		}
		s.Hint = fmt.Sprintf("end it with 'starter stop --cron --database %s', and apply again", w.Database)
	case now == nil:
		s.Action, s.Fields = Create, created(w)
	case !now.Ours:
		s.Action, s.Why = Conflict, "there is a schedule of its name that this program did not make"
		s.Hint = fmt.Sprintf("look at it in the Temporal UI (%s), delete it there, and apply again", w.Task.ID(w.Database))
	case now.Spec.Fleet != "" && now.Spec.Fleet != w.Fleet && !slices.Contains(takes, now.Spec.Fleet):
		s.Action, s.Why = Conflict, "its schedule is of the fleet "+now.Spec.Fleet
		s.Hint = fmt.Sprintf("take it out of that fleet's file, or take it over with --take-over %s", now.Spec.Fleet)
	default:
		s.Fields = changed(w, now)
		s.Action, s.Why = changing(w, now, len(s.Fields) > 0)
	}
	return s
}

// changing is the action for a schedule that this file may change, and what else
// is to be known of it.
func changing(w Wanted, now *app.Present, differs bool) (Action, string) {
	var why string
	moves := now.Spec.Host != w.Host
	if run := now.Running; moves && run != nil && now.Left {
		why = fmt.Sprintf("its run at work (%s) is ended: no worker of host %s is there to end it", run.WorkflowID, now.Spec.Host)
	} else if moves && run != nil {
		why = fmt.Sprintf("its run at work (%s) ends on host %s first", run.WorkflowID, now.Spec.Host)
	}
	switch {
	case now.Spec.Fleet == "":
		return Adopt, why
	case now.Spec.Fleet != w.Fleet:
		return Adopt, why
	case moves:
		return Move, why
	case differs:
		return Update, why
	}
	return Unchanged, ""
}

// created are the fields of a new schedule.
func created(w Wanted) []Field {
	n := w.Normal()
	fields := []Field{{"schedule", "", n.Cron}, {"timezone", "", n.Timezone}}
	if n.Jitter > 0 {
		fields = append(fields, Field{"jitter", "", n.Jitter.String()})
	}
	if w.Pause != nil && *w.Pause {
		fields = append(fields, Field{"paused", "", "yes"})
	}
	return fields
}

// changed are the fields that differ.
func changed(w Wanted, now *app.Present) []Field {
	old, fresh := now.Spec.Normal(), w.Normal()
	var fields []Field
	add := func(name, before, after string) {
		if before != after {
			fields = append(fields, Field{name, before, after})
		}
	}
	add("host", old.Host, fresh.Host)
	add("schedule", old.Cron, fresh.Cron)
	add("timezone", old.Timezone, fresh.Timezone)
	add("jitter", old.Jitter.String(), fresh.Jitter.String())
	add("overlap", old.Overlap, fresh.Overlap)
	add("catchup_window", window(old.Catchup), window(fresh.Catchup))
	add("fleet", old.Fleet, fresh.Fleet)
	if w.Pause != nil {
		add("paused", yesNo(now.Paused), yesNo(*w.Pause))
	}
	if now.Drifted {
		add("edited", "elsewhere", "as made")
	}
	if now.Stale {
		add("encryption", "none, or an earlier key", "the present key")
	}
	return fields
}

func window(d time.Duration) string {
	if d == 0 {
		return "one interval"
	}
	return d.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
