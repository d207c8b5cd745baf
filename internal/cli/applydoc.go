package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/fleet"
	"canvasback/internal/human"
)

// applyDoc is a plan, and what became of it, as they are printed.
type applyDoc struct {
	Fleet   string               `json:"fleet"`
	DryRun  bool                 `json:"dry_run"`
	Summary map[fleet.Action]int `json:"summary"` // schedules by action
	Done    int                  `json:"done"`
	Failed  int                  `json:"failed"`
	Steps   []applyStep          `json:"steps"`
}

// applyStep is one schedule.
type applyStep struct {
	Action   fleet.Action  `json:"action"`
	Task     string        `json:"task"` // backup or drill
	Database string        `json:"database"`
	Host     string        `json:"host"`
	Changes  []fleet.Field `json:"changes,omitempty"`
	Why      string        `json:"why,omitempty"`
	Hint     string        `json:"hint,omitempty"`
	Done     bool          `json:"done"`
	Error    *errorDoc     `json:"error,omitempty"`

	step fleet.Step
	err  error
}

func newApplyDoc(name string, steps []fleet.Step) *applyDoc {
	d := &applyDoc{Fleet: name, Summary: map[fleet.Action]int{}, Steps: []applyStep{}}
	for _, action := range fleet.Actions {
		d.Summary[action] = 0
	}
	for _, s := range steps {
		d.Summary[s.Action]++
		d.Steps = append(d.Steps, applyStep{
			Action: s.Action, Task: s.Task.String(), Database: s.Database, Host: s.Host,
			Changes: s.Fields, Why: s.Why, Hint: s.Hint, step: s,
		})
	}
	return d
}

// changes counts what is to be done.
func (d *applyDoc) changes() int {
	n := 0
	for _, s := range d.Steps {
		if s.step.Changes() {
			n++
		}
	}
	return n
}

// do carries the plan out, and notes what became of each step.
func (d *applyDoc) do(a *app, c client.Client) {
	var changes []backups.Change
	var steps []*applyStep
	for i := range d.Steps {
		if s := &d.Steps[i]; s.step.Changes() {
			changes, steps = append(changes, s.step.Change), append(steps, s)
		}
	}
	backups.Apply(a.ctx, c, changes, func(i int, err error) {
		if s := steps[i]; err != nil {
			doc := newErrorDoc(err)
			s.err, s.Error = err, &doc
			d.Failed++
		} else {
			s.Done = true
			d.Done++
		}
	})
}

// verdict is the failure of a plan that was not done whole.
func (d *applyDoc) verdict() error {
	var first error
	for _, s := range d.Steps {
		if s.err != nil && first == nil {
			first = s.err
		}
	}
	conflicts := d.Summary[fleet.Conflict]
	switch {
	case first != nil && conflicts > 0:
		first = fmt.Errorf("%s not made and %s: %w", human.Count(int64(d.Failed), "change"), human.Count(int64(conflicts), "conflict"), first)
	case first != nil:
		first = fmt.Errorf("%s not made: %w", human.Count(int64(d.Failed), "change"), first)
	case conflicts > 0:
		first = failure.Errorf(failure.ScheduleConflict, "%s: the plan says what to do about each", human.Count(int64(conflicts), "conflict"))
	default:
		return nil
	}
	if d.Done > 0 || d.Summary[fleet.Unchanged] > 0 {
		return &partial{first}
	}
	return first
}

// writePlan writes what people read. Schedules that are unchanged are counted
// only.
func (d *applyDoc) writePlan(p painter) error {
	var rows [][]cell
	for _, s := range d.Steps {
		if s.Action != fleet.Unchanged {
			rows = append(rows, s.row())
		}
	}
	if len(rows) > 0 {
		if err := p.table([]string{"ACTION", "DATABASE", "TASK", "HOST", "WHAT CHANGES"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(p.w)
	}
	for _, s := range d.Steps {
		if s.Hint != "" {
			fmt.Fprintf(p.w, "%s of %s: %s\n", s.Task, s.Database, s.Hint)
		}
	}
	var counts []string
	for _, action := range fleet.Actions {
		if n := d.Summary[action]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, counted[action]))
		}
	}
	_, err := fmt.Fprintf(p.w, "Fleet %s: %s.\n", d.Fleet, strings.Join(counts, ", "))
	return err
}

// counted is how a number of schedules is told.
var counted = map[fleet.Action]string{
	fleet.Conflict: "in conflict", fleet.Create: "to create", fleet.Adopt: "to adopt", fleet.Move: "to move", fleet.Update: "to update",
	fleet.Remove: "to remove", fleet.Left: "left alone", fleet.Unchanged: "unchanged",
}

var actionColours = map[fleet.Action]colour{
	fleet.Conflict: red, fleet.Create: green, fleet.Adopt: green, fleet.Move: yellow, fleet.Update: yellow, fleet.Remove: red, fleet.Left: dim,
}

func (s applyStep) row() []cell {
	return []cell{
		{string(s.Action), actionColours[s.Action]}, {s.Database, plain}, {s.Task, plain}, {s.Host, plain}, {s.what(), plain},
	}
}

// what changes, and why, in a line.
func (s applyStep) what() string {
	var all []string
	for _, f := range s.Changes {
		switch {
		case f.Old == "" && s.Action == fleet.Create:
			all = append(all, f.Name+" "+f.New)
		case f.Old == "":
			all = append(all, f.Name+": "+f.New)
		default:
			all = append(all, f.Name+": "+f.Old+" -> "+f.New)
		}
	}
	if s.Why != "" {
		all = append(all, s.Why)
	}
	return strings.Join(all, "; ")
}

// writeOutcome writes what became of the plan.
func (d *applyDoc) writeOutcome(w io.Writer) error {
	var errs error
	for _, s := range d.Steps {
		if s.err != nil {
			_, err := fmt.Fprintf(w, "%s the %s schedule of %s: %s\n", s.Action, s.Task, s.Database, s.err)
			errs = errors.Join(errs, err)
		}
	}
	if d.Done+d.Failed == 0 {
		_, err := fmt.Fprintln(w, "Nothing to do.")
		return errors.Join(errs, err)
	}
	_, err := fmt.Fprintf(w, "%d done, %d failed.\n", d.Done, d.Failed)
	return errors.Join(errs, err)
}
