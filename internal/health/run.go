package health

import (
	"fmt"
	"strings"
	"time"

	"canvasback/internal/job"
)

const (
	// quietCopy is how long a copy may go without getting on. It tells of every
	// chunk that it reads.
	quietCopy = 15 * time.Minute
	// quietOther is the same of steps that wait for something larger at a time:
	// for a table to be read, which verify.timeout bounds to an hour where it is
	// left alone, or for the owner's hook.
	quietOther = 90 * time.Minute
	// gone is how long nothing may be heard of a step. Temporal gives it up after
	// a minute, and a next attempt waits two minutes at most.
	gone = 4 * time.Minute
	// tries is how many attempts of a step may fail before that is told: two or
	// three go with a restart of the worker or an outage of the server.
	tries = 5
	// tasks is the same of a workflow task, whose failures are those of the
	// worker's own program.
	tasks = 3
	// longest and shortest bound what a run may last. It is the time between two
	// starts of its schedule: beyond that, starts are dropped.
	longest  = 12 * time.Hour
	shortest = time.Hour
)

func stuckRun(d *Database, now time.Time) Problem {
	t := d.Temporal
	if t == nil || t.Run == nil || t.Run.Started.After(now) {
		return Problem{}
	}
	r, name := t.Run, "the run"
	if r.Progress != nil {
		name = "step " + r.Progress.Step + " of the run"
	}
	hint := "look at workflow " + r.WorkflowID + " in the Temporal UI and at the worker's log; 'starter stop' ends the run"
	switch {
	case r.Task >= tasks:
		return Problem{Text: fmt.Sprintf("the run cannot go on: its workflow task has failed %d times", r.Task-1), Hint: hint}
	case r.Attempt > tries && r.Error != "":
		return Problem{Text: fmt.Sprintf("%s has failed %d times; the last time: %s", name, r.Attempt-1, r.Error), Hint: hint}
	case !r.Heartbeat.IsZero() && now.Sub(r.Heartbeat) > gone && !(r.Queued && d.heard(now)):
		return Problem{Text: fmt.Sprintf("nothing was heard of %s for %s", name, span(now.Sub(r.Heartbeat))), Hint: hint}
	case r.Begun && r.TaskSince.Before(now.Add(-gone)) && !r.TaskSince.IsZero():
		return Problem{Text: "no worker goes on with the run since " + span(now.Sub(r.TaskSince)), Hint: hint}
	}
	if p := r.Progress; p != nil && p.Phase != job.WaitingPhase && now.Sub(p.At) > quiet(p.Step) {
		return Problem{Text: fmt.Sprintf("%s does not get on: the same for %s", name, span(now.Sub(p.At))), Hint: hint}
	}
	most := min(max(t.Longest, shortest), longest)
	if t.Longest == 0 {
		most = longest
	}
	if lasts := now.Sub(r.Started); lasts > most {
		return Problem{Text: "the run is at work for " + span(lasts) + ", and starts that come meanwhile are dropped", Hint: hint}
	}
	return Problem{}
}

func quiet(step string) time.Duration {
	switch step {
	case "copy", "restore", "drill restore":
		return quietCopy
	}
	return quietOther
}

// lastFailed is settled by a verified backup that came after, as by hand.
func lastFailed(d *Database, _ time.Time) Problem {
	if d.Temporal == nil || d.Temporal.Last == nil {
		return Problem{}
	}
	l := d.Temporal.Last
	if d.Backups != nil && d.Backups.Newest != nil && (d.Backups.Newest.ID == l.Backup || d.Backups.Newest.Started.After(l.Ended)) {
		return Problem{}
	}
	hint := "look at workflow " + l.WorkflowID + " in the Temporal UI; 'starter history' shows the runs before"
	switch {
	case l.Status == "failed" || l.Status == "timed_out":
		return Problem{Text: "the last run failed: " + firstLine(l.Error), Hint: hint}
	case l.Status == "terminated":
		return Problem{Text: "the last run was terminated", Hint: hint}
	case l.Status == "completed" && l.State != "" && l.State != "verified":
		return Problem{Text: "the backup of the last run is " + l.State + ", not verified", Hint: hint}
	}
	return Problem{}
}

// hookSlow is how long the owner's hook may keep a run waiting before that is
// told. Where checkpoint.timeout is left alone it is cut off after a minute.
const hookSlow = 5 * time.Minute

func hook(d *Database, now time.Time) Problem {
	hint := "look at the service that answers the hook; meanwhile backups go on by the other rules, or fail, as on_error says"
	if t := d.Temporal; t != nil {
		if r := t.Run; r != nil && r.Progress != nil && r.Progress.Step == "checkpoint" && now.Sub(r.Progress.At) > hookSlow {
			return Problem{Text: "the owner's checkpoint hook has not answered for " + span(now.Sub(r.Progress.At)), Hint: hint}
		}
		if t.Last != nil && t.Last.Hook != "" {
			return Problem{Text: "the owner's hook failed in the last run: " + firstLine(t.Last.Hook), Hint: hint}
		}
	}
	if d.Backups != nil && d.Backups.Hook != "" {
		return Problem{Text: "the owner's hook failed in the last run: " + firstLine(d.Backups.Hook), Hint: hint}
	}
	return Problem{}
}

// drillFailed: evidence beside a backup is about that backup; a drill that ended
// otherwise may have failed for the machine's own reasons.
func drillFailed(d *Database, _ time.Time) Problem {
	var last *Drilled
	if d.Temporal != nil && d.Temporal.Drill != nil {
		last = d.Temporal.Drill.Last
	}
	hint := "look at the named backup, take a new one now ('starter run') and drill that ('starter drill')"
	if e := d.evidence(); e != nil && (last == nil || !last.Ended.After(e.At.Add(skew)) || !ended(last)) {
		if e.Passed {
			return Problem{}
		}
		return Problem{Text: "the last restore drill failed: backup " + e.Backup, Hint: hint, Missed: true}
	}
	if last == nil || last.Passed || !ended(last) {
		return Problem{}
	}
	return Problem{Text: "the last restore drill failed: " + firstLine(last.Error), Hint: hint}
}

// ended tells a drill that came to an end by itself.
func ended(l *Drilled) bool { return l.Status != "canceled" && l.Status != "terminated" }

func (d *Database) evidence() *job.PulseDrill {
	if d.Backups == nil {
		return nil
	}
	return d.Backups.Drill
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
