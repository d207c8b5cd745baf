package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// statusFlags are what a status is about beside the server and the database.
type statusFlags struct {
	*remote
	repository string
	ofHost     bool // --host was given
	strict     bool
	watch      time.Duration // 0: once
}

func newStatusCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the backups of all databases stand, and what is wrong",
		Long: `Show how the backups of all databases of all hosts stand, or of those of one host or
of one database: how old the newest verified backup is and how old it may be, how the
last run ended, when the next one begins, size, growth a day, the last restore drill,
what runs now, whether the host's worker is there, and what is wrong, each with what to
do about it.

It asks Temporal only, where the workers keep saying what they know, and needs no access
to a repository. Of a host whose worker never said anything, as an older one, it shows
what Temporal remembers.

How old the newest verified backup may be is max_age in the worker's configuration; where
that is left out, twice the longest time between two starts of the schedule, and an hour.
Its age counts from when the backup was begun: all that was committed before is in it.

The exit status is 3 when an objective is missed: the newest verified backup of a
database is too old, there is none, or its last restore drill failed. Other problems, such
as a worker that is away, are shown, and with --strict they count too. It is 1 when
Temporal does not answer, or is too busy to tell of every objective. --watch shows the
same again and again until Ctrl-C, and ends with the exit status of what it showed last.`,
		Example: `  starter status
  starter status --host db1 --strict
  starter status --watch
  starter status --database shop --json`,
	}
	f := &statusFlags{remote: newRemote(cmd)}
	flags := cmd.Flags()
	flags.Lookup("host").Usage = "`NAME` of the host whose databases to show (default: all hosts)"
	flags.StringVar(&f.repository, "repository", "", "`DIR` that holds the backups: show the evidence of drills kept there, which Temporal forgets in time")
	flags.BoolVar(&f.strict, "strict", false, "exit with 3 for any problem")
	flags.DurationVar(&f.watch, "watch", 0, "show it again `EVERY` so often, --watch=1m (without a time: 5s)")
	flags.Lookup("watch").NoOptDefVal = "5s"
	cmd.RunE = func(*cobra.Command, []string) error {
		switch f.ofHost = flags.Changed("host"); {
		case flags.Changed("watch") && f.watch < time.Second:
			return usagef("--watch=%s: at least 1s", f.watch)
		case f.watch > 0 && a.json:
			return usagef("--watch and --json exclude each other")
		}
		return f.withClient(a, func(c client.Client) error {
			if f.watch > 0 {
				return f.watchStatus(a, c)
			}
			all, err := f.ask(a, c)
			if err != nil {
				return err
			}
			if err := a.result(all, func(w io.Writer) error { return a.painter(w).status(all, a.now()) }); err != nil {
				return err
			}
			return f.verdict(all)
		})
	}
	return cmd
}

// statusDoc is the status of one database as it is printed.
type statusDoc struct {
	Database string `json:"database"`
	Host     string `json:"host"`
	// Worker: one asks Temporal for the host's work.
	Worker bool `json:"worker"`
	// Source is where the facts of the backups are from: repository, where the
	// worker says what is in it, or temporal, which remembers runs.
	Source        string             `json:"source"`
	AgeSeconds    *float64           `json:"age_seconds"`       // of the newest verified backup; null: there is none
	MaxAgeSeconds *float64           `json:"max_age_seconds"`   // null: no objective
	Pulse         *health.Worker     `json:"pulse,omitempty"`   // what the worker said of itself last
	Backups       *job.PulseDatabase `json:"backups,omitempty"` // and of the database
	*health.Temporal
	// Evidence is the last drill that is recorded beside a backup, with
	// --repository.
	Evidence *evidence        `json:"evidence,omitempty"`
	Problems []health.Problem `json:"problems"`
	Missed   bool             `json:"missed"` // an objective is

	facts health.Database
}

// evidence is a drill and the backup that it restored.
type evidence struct {
	Backup string `json:"backup"`
	repo.Drill
}

// ask gathers what is to be shown.
func (f *statusFlags) ask(a *app, c client.Client) ([]statusDoc, error) {
	q := backups.Query{Otherwise: f.host}
	switch {
	case f.database != "":
		q.Databases = []string{f.database}
	case f.ofHost:
		q.Host = f.host
	}
	if q.Host == "" && f.watch == 0 {
		q.Locked = func(err error) { a.notef("left out: %v", err) }
	}
	found, err := backups.Overview(a.ctx, c, q)
	if err != nil {
		return nil, err
	}
	all := make([]statusDoc, 0, len(found))
	for _, d := range found {
		if f.database != "" && !d.Known() {
			return nil, unknownDatabase(a, c, d.Name)
		}
		doc := newStatusDoc(d, a.now())
		if f.repository != "" {
			if doc.Evidence, err = lastEvidence(f.repository, d.Name); err != nil {
				return nil, fmt.Errorf("drills of %s: %w", d.Name, err)
			}
		}
		all = append(all, doc)
	}
	return all, nil
}

// unknownDatabase says which databases there are.
func unknownDatabase(a *app, c client.Client, name string) error {
	all, err := backups.Overview(a.ctx, c, backups.Query{})
	locked := failure.Of(err) == failure.Payload
	if err != nil && !locked {
		return err
	}
	const shown = 10
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	known := "no database at all is known there"
	if locked {
		known = "what is known there cannot be decrypted: " + err.Error()
	}
	if len(names) > 0 {
		known = "known are " + strings.Join(names[:min(len(names), shown)], ", ")
	}
	if more := len(names) - shown; more > 0 {
		known += fmt.Sprintf(" and %d more", more)
	}
	return failure.Errorf(failure.UnknownDatabase, "no database %q: no schedule, no run and no worker knows of it; %s", name, known)
}

func newStatusDoc(d health.Database, now time.Time) statusDoc {
	doc := statusDoc{
		Database: d.Name, Host: d.Host, Worker: d.Worker.Polls, Source: "temporal", Backups: d.Backups,
		Temporal: d.Temporal, Problems: health.Assess(d, now), facts: d,
	}
	doc.Missed = (&health.Reported{Problems: doc.Problems}).Missed()
	if !d.Worker.Heard.IsZero() {
		doc.Pulse = &d.Worker
	}
	if d.Read() {
		doc.Source = "repository"
	}
	if age, known := d.Age(now); known {
		seconds := age.Seconds()
		doc.AgeSeconds = &seconds
	}
	if most := d.MaxAge(); most > 0 {
		seconds := most.Seconds()
		doc.MaxAgeSeconds = &seconds
	}
	return doc
}

// verdict fails as ObjectiveMissed where one is, and as TemporalBusy where that
// cannot be told.
func (f *statusFlags) verdict(all []statusDoc) error {
	var missing, untold []string
	for _, d := range all {
		if d.Temporal != nil && d.Partial && (d.facts.MaxAge() == 0 || health.Has(d.Problems, health.NoBackup)) {
			untold = append(untold, d.Database)
		}
		if d.Missed || f.strict && len(d.Problems) > 0 {
			missing = append(missing, d.Database)
		}
	}
	what := "miss their objective"
	if f.strict {
		what = "have a problem"
	}
	switch {
	case len(missing) > 0:
		return failure.Errorf(failure.ObjectiveMissed, "%d of %d databases %s: %s", len(missing), len(all), what, someOf(missing))
	case len(untold) > 0:
		return failure.Errorf(failure.TemporalBusy, "Temporal is too busy to describe schedules: whether an objective is missed is not known of %d of %d databases: %s",
			len(untold), len(all), someOf(untold))
	}
	return nil
}

// someOf names a few.
func someOf(names []string) string {
	const shown = 5
	if len(names) > shown {
		names = append(names[:shown:shown], "...")
	}
	return strings.Join(names, ", ")
}

// lastEvidence is the newest drill beside any backup of the database; nil if
// there is none.
func lastEvidence(repository, database string) (*evidence, error) {
	r, err := openRepository(repository)
	if err != nil {
		return nil, err
	}
	all, problems := r.List(database)
	var newest *evidence
	for _, m := range all {
		notes, err := r.Notes(database, m.ID)
		if err != nil && failure.Of(err) != failure.UnknownBackup {
			problems = errors.Join(problems, err)
		}
		for _, d := range notes.Drills {
			if newest == nil || d.At.After(newest.At) {
				newest = &evidence{m.ID, d}
			}
		}
	}
	if newest != nil {
		problems = nil // what cannot be read takes nothing from what can
	}
	return newest, problems
}
