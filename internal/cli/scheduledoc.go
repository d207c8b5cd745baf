package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/job"
)

// scheduleDoc is a schedule as it is printed. Times are RFC 3339, durations as
// Go writes them.
type scheduleDoc struct {
	Task          string         `json:"task"` // backup or drill
	Database      string         `json:"database"`
	Host          string         `json:"host"`
	Schedule      string         `json:"schedule"`
	Timezone      string         `json:"timezone"`
	Jitter        string         `json:"jitter"`
	Overlap       string         `json:"overlap"`
	CatchupWindow string         `json:"catchup_window"`
	Edited        bool           `json:"edited"` // changed elsewhere: the above is what canvasback made
	Paused        bool           `json:"paused"`
	Note          string         `json:"note,omitempty"`
	Next          []string       `json:"next"`
	Running       []backups.Run  `json:"running"`
	Recent        []scheduledRun `json:"recent"`
	Missed        int            `json:"missed"`             // starts that came too late to be made up for
	Skipped       int            `json:"skipped"`            // starts that fell into a running backup
	Unserved      string         `json:"unserved,omitempty"` // why nobody would do the work
}

type scheduledRun struct {
	backups.Run
	Started string `json:"started"`
}

func describeSchedule(a *app, c client.Client, r *remote) error {
	d, err := backups.DescribeSchedule(a.ctx, c, r.task(), r.database)
	if err != nil {
		return err
	}
	doc := newScheduleDoc(r, d)
	doc.Unserved = unserved(a, c, doc.Host, r.database)
	return a.result(doc, doc.write)
}

// unserved says why the runs of a database would find nobody on a host to do
// them: a schedule for the wrong host, or of a mistyped database, begins what
// fails. Empty: nothing is known against it.
func unserved(a *app, c client.Client, host, database string) string {
	polled, err := backups.Polled(a.ctx, c, host)
	if err != nil {
		return ""
	}
	if !polled {
		return "no worker asks for the work of host " + host + ": start it there, or name the worker's host with --host"
	}
	pulse, err := backups.PulseOf(a.ctx, c, host)
	if err != nil || pulse == nil || slices.ContainsFunc(pulse.Databases, func(d job.PulseDatabase) bool { return d.Name == database }) {
		return ""
	}
	return "the worker of host " + host + " has no database " + database + " in its configuration"
}

func newScheduleDoc(r *remote, d *client.ScheduleDescription) *scheduleDoc {
	spec, _ := backups.SpecOf(d)
	doc := &scheduleDoc{
		Task: r.task().String(), Database: r.database, Host: spec.Host, Schedule: spec.Cron, Timezone: zone(spec.Timezone),
		Jitter: spec.Jitter.String(), Overlap: spec.Overlap, CatchupWindow: spec.CatchupWindow().String(),
		Next: []string{}, Running: []backups.Run{}, Recent: []scheduledRun{},
		Edited: backups.Drifted(d),
		Missed: d.Info.NumActionsMissedCatchupWindow, Skipped: d.Info.NumActionsSkippedOverlap,
	}
	if doc.Overlap == "" {
		doc.Overlap = "skip"
	}
	if s := d.Schedule.State; s != nil {
		doc.Paused, doc.Note = s.Paused, s.Note
	}
	for _, t := range d.Info.NextActionTimes {
		doc.Next = append(doc.Next, stamp(t))
	}
	for _, r := range d.Info.RunningWorkflows {
		doc.Running = append(doc.Running, backups.Run{WorkflowID: r.WorkflowID, RunID: r.FirstExecutionRunID})
	}
	for _, r := range d.Info.RecentActions {
		if w := r.StartWorkflowResult; w != nil {
			run := backups.Run{WorkflowID: w.WorkflowID, RunID: w.FirstExecutionRunID}
			doc.Recent = append(doc.Recent, scheduledRun{Run: run, Started: stamp(r.ActualTime)})
		}
	}
	return doc
}

func (d *scheduleDoc) write(w io.Writer) error {
	next, edited := d.Next[:min(len(d.Next), 3)], ""
	if d.Edited {
		edited = "yes: it was changed elsewhere, and does not do what is said above"
	}
	fields := []field{
		{"database", d.Database},
		{"starts", "a " + d.Task},
		{"host", d.Host},
		{"warning", d.Unserved},
		{"schedule", d.Schedule},
		{"time zone", d.Timezone},
		{"jitter", d.Jitter},
		{"overlap", d.Overlap},
		{"catch-up window", d.CatchupWindow},
		{"edited", edited},
		{"paused", yesNo(d.Paused)},
		{"note", d.Note},
		{"next", strings.Join(next, ", ")},
	}
	for _, r := range d.Running {
		fields = append(fields, field{"running", r.WorkflowID})
	}
	for _, r := range d.Recent[max(0, len(d.Recent)-3):] {
		fields = append(fields, field{"started", r.Started + "  " + r.WorkflowID})
	}
	if d.Missed > 0 || d.Skipped > 0 {
		fields = append(fields, field{"not started", fmt.Sprintf("%d missed, %d skipped", d.Missed, d.Skipped)})
	}
	return writeFields(w, fields)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// stamp writes a time for people and scripts alike; empty if there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func zone(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
}

func whenText(s backups.Spec) string { return fmt.Sprintf("%s (%s)", s.Cron, zone(s.Timezone)) }
