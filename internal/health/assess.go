package health

import (
	"slices"
	"strconv"
	"time"
)

// checks finds the problem of each kind; without a Text there is none.
var checks = map[string]func(d *Database, now time.Time) Problem{
	Unreachable: unreachable,
	NoWorker:    noWorker,
	NoBackup:    noBackup,
	TooOld:      tooOld,
	DrillFailed: drillFailed,
	StuckRun:    stuckRun,
	Lagging:     lagging,
	Paused:      paused,
	NoSchedule:  noSchedule,
	LastFailed:  lastFailed,
	Hook:        hook,
	OldConfig:   oldConfig,
	Repository:  repository,
}

// Assess finds what is wrong with the backups of a database, in the order of
// Kinds and one of each; an empty list where nothing is.
func Assess(d Database, now time.Time) []Problem {
	found := []Problem{}
	for _, kind := range Kinds {
		at := now
		if (kind == StuckRun || kind == Lagging) && d.Temporal != nil && !d.Temporal.AsOf.IsZero() && d.Temporal.AsOf.Before(now) {
			at = d.Temporal.AsOf // what was not there yet then may have come since
		}
		if p := checks[kind](&d, at); p.Text != "" {
			p.Kind = kind
			found = append(found, p)
		}
	}
	return found
}

// Has tells whether one of the problems is of the kind.
func Has(problems []Problem, kind string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Kind == kind })
}

// span writes a duration in its two largest units.
func span(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	d = max(d, 0).Round(time.Second)
	for i, u := range units {
		n := d / u.size
		if n == 0 && i < len(units)-1 {
			continue
		}
		out := strconv.Itoa(int(n)) + u.name
		if i+1 < len(units) {
			if rest := (d - n*u.size) / units[i+1].size; rest > 0 {
				out += " " + strconv.Itoa(int(rest)) + units[i+1].name
			}
		}
		return out
	}
	return "0s"
}
