package cli

import (
	"fmt"
	"strings"
	"time"

	"canvasback/internal/health"
	"canvasback/internal/human"
	"canvasback/internal/repo"
)

var statusHeader = []string{"DATABASE", "HOST", "WORKER", "AGE", "LAST", "NEXT", "SIZE", "GROWTH", "DRILL", "NOW", "PROBLEM"}

// status writes the table, and below it a line for each problem and one for what
// to do about it.
func (p painter) status(all []statusDoc, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(p.w, "Temporal knows of no database of canvasback yet: start a worker.")
		return err
	}
	rows := make([][]cell, 0, len(all))
	for _, d := range all {
		rows = append(rows, statusRow(d, now))
	}
	if err := p.table(statusHeader, rows); err != nil {
		return err
	}
	return p.problems(all)
}

// problems writes those that several databases share once.
func (p painter) problems(all []statusDoc) error {
	type shared struct {
		health.Problem
		of []string
	}
	var found []*shared
	byText := map[string]*shared{}
	for _, d := range all {
		for _, problem := range d.Problems {
			key := problem.Kind + "\x00" + problem.Text
			s := byText[key]
			if s == nil {
				s = &shared{Problem: problem}
				byText[key] = s
				found = append(found, s)
			}
			s.of = append(s.of, d.Database)
		}
	}
	for i, s := range found {
		if i == 0 {
			fmt.Fprintln(p.w)
		}
		const shown = 4
		names := strings.Join(s.of[:min(len(s.of), shown)], ", ")
		if more := len(s.of) - shown; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(p.w, "%s: %s: %s\n", names, p.paint(cell{s.Kind, severity(s.Problem)}), s.Text)
		if _, err := fmt.Fprintln(p.w, p.paint(cell{"  " + s.Hint, dim})); err != nil {
			return err
		}
	}
	return nil
}

func severity(p health.Problem) colour {
	if p.Missed {
		return red
	}
	return yellow
}

func statusRow(d statusDoc, now time.Time) []cell {
	return []cell{
		{text: d.Database}, {text: d.Host}, workerCell(d), ageCell(d, now), lastCell(d, now), nextCell(d, now),
		sizeCell(d), growthCell(d), drillCell(d, now), nowCell(d), problemCell(d),
	}
}

func workerCell(d statusDoc) cell {
	switch {
	case health.Has(d.Problems, health.NoWorker):
		if d.Worker {
			return cell{"silent", yellow}
		}
		return cell{"NO", red}
	case health.Has(d.Problems, health.OldConfig):
		return cell{"old", yellow}
	case !d.Worker:
		return cell{"no", yellow}
	}
	return cell{"yes", green}
}

// ageCell tells the age of the newest verified backup and what it may be.
func ageCell(d statusDoc, now time.Time) cell {
	text := "none"
	age, known := d.facts.Age(now)
	switch {
	case known:
		text = human.Age(age)
	case !d.facts.Newest().IsZero():
		text = "future"
	}
	most := d.facts.MaxAge()
	if most > 0 {
		text += " of " + human.Age(most)
	}
	switch {
	case d.Missed && (health.Has(d.Problems, health.TooOld) || health.Has(d.Problems, health.NoBackup)):
		return cell{text, red}
	case !known:
		return cell{text, yellow}
	case most == 0:
		return cell{text, plain}
	}
	return cell{text, green}
}

func lastCell(d statusDoc, now time.Time) cell {
	if d.Temporal == nil || d.Last == nil {
		return cell{"-", dim}
	}
	text := d.Last.Status
	if d.Last.State != "" {
		text = d.Last.State
	}
	c := cell{text + " " + human.Age(now.Sub(d.Last.Ended)), green}
	if text != string(repo.StateVerified) {
		c.colour = yellow
	}
	return c
}

func nextCell(d statusDoc, now time.Time) cell {
	switch {
	case d.Temporal == nil || d.Begins == health.ByHand:
		return cell{"by hand", dim}
	case d.Temporal.Paused:
		return cell{"paused", yellow}
	case d.Temporal.Next.IsZero(), d.Temporal.Next.Before(now) && !health.Has(d.Problems, health.Lagging):
		return cell{"-", dim}
	case d.Temporal.Next.Before(now):
		return cell{"late " + human.Age(now.Sub(d.Temporal.Next)), yellow}
	}
	return cell{"in " + human.Age(d.Temporal.Next.Sub(now)), plain}
}

func sizeCell(d statusDoc) cell {
	switch {
	case d.Backups != nil && d.Backups.Newest != nil:
		return cell{human.Bytes(d.Backups.Newest.Bytes), plain}
	case d.Temporal != nil && d.Verified != nil:
		return cell{human.Bytes(d.Verified.Bytes), plain}
	}
	return cell{"-", dim}
}

func growthCell(d statusDoc) cell {
	if d.Backups == nil || d.Backups.GrowthPerDay == 0 {
		return cell{"-", dim}
	}
	growth := int64(d.Backups.GrowthPerDay)
	if growth < 0 {
		return cell{"-" + human.Bytes(-growth) + "/d", plain}
	}
	return cell{"+" + human.Bytes(growth) + "/d", plain}
}

// drillCell says how the last restore drill went: by the evidence beside the
// backups where there is any, else by Temporal.
func drillCell(d statusDoc, now time.Time) cell {
	said := func(passed bool, at time.Time) cell {
		if passed {
			return cell{"passed " + human.Age(now.Sub(at)), green}
		}
		return cell{"FAILED " + human.Age(now.Sub(at)), red}
	}
	switch {
	case d.Evidence != nil:
		return said(d.Evidence.Passed, d.Evidence.At)
	case health.Has(d.Problems, health.DrillFailed) && d.Temporal.Drill != nil && d.Temporal.Drill.Last != nil:
		return said(false, d.Temporal.Drill.Last.Ended)
	case d.Backups != nil && d.Backups.Drill != nil:
		return said(d.Backups.Drill.Passed, d.Backups.Drill.At)
	case d.Temporal == nil || d.Temporal.Drill == nil:
		return cell{"never", dim}
	case d.Temporal.Drill.Last == nil && d.Temporal.Drill.Paused:
		return cell{"paused", yellow}
	case d.Temporal.Drill.Last == nil:
		return cell{"none yet", dim}
	}
	l := d.Temporal.Drill.Last
	if l.Status == "canceled" || l.Status == "terminated" {
		return cell{l.Status + " " + human.Age(now.Sub(l.Ended)), yellow}
	}
	return said(l.Passed, l.Ended)
}

func nowCell(d statusDoc) cell {
	if d.Temporal == nil || d.Run == nil {
		return cell{"idle", dim}
	}
	c := cell{"running", plain}
	if p := d.Run.Progress; p != nil {
		c.text = p.Step
		if p.Total > 0 {
			c.text = fmt.Sprintf("%s %d%%", p.Step, 100*p.Done/p.Total)
		}
	}
	if health.Has(d.Problems, health.StuckRun) || health.Has(d.Problems, health.Lagging) {
		c.colour = yellow
	}
	return c
}

// problemCell names the first problem and counts the others.
func problemCell(d statusDoc) cell {
	if len(d.Problems) == 0 {
		return cell{"-", dim}
	}
	first := d.Problems[0]
	for _, p := range d.Problems {
		if p.Missed {
			first = p
			break
		}
	}
	c := cell{first.Kind, severity(first)}
	if more := len(d.Problems) - 1; more > 0 {
		c.text += fmt.Sprintf(" +%d", more)
	}
	return c
}
