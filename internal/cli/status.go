package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

func newStatusCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the databases that Temporal backs up: when, the last run, what runs now",
		Long: `Show the databases that Temporal backs up, or one of them: what starts its backups and
when next, how the last run ended and the last restore drill, what runs now, and
whether a worker is there.`,
		Example: `  starter status
  starter status --database shop --json`,
	}
	r := newRemote(cmd)
	s := &stored{}
	cmd.Flags().StringVar(&s.repository, "repository", "", "`DIR` that holds the backups: show the evidence of drills kept there, which Temporal forgets in time")
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error { return showStatus(a, c, r, s.repository) })
	}
	return cmd
}

// statusDoc is the status of one database as it is printed.
type statusDoc struct {
	Database string `json:"database"`
	Host     string `json:"host"`
	Schedule string `json:"schedule"`
	Timezone string `json:"timezone"`
	*backups.Status
	// Evidence is the last drill that is recorded beside a backup, with
	// --repository.
	Evidence *evidence `json:"evidence,omitempty"`
}

// evidence is a drill and the backup that it restored.
type evidence struct {
	Backup string `json:"backup"`
	repo.Drill
}

func showStatus(a *app, c client.Client, r *remote, repository string) error {
	databases := []string{r.database}
	if r.database == "" {
		var err error
		if databases, err = backups.Databases(a.ctx, c); err != nil {
			return err
		}
	}
	all := []statusDoc{}
	for _, d := range databases {
		s, err := backups.StatusOf(a.ctx, c, d, r.host)
		if err != nil {
			return fmt.Errorf("status of %s: %w", d, err)
		}
		doc := statusDoc{s.Database, s.Host, s.Cron, zone(s.Timezone), s, nil}
		if repository != "" {
			if doc.Evidence, err = lastEvidence(repository, d); err != nil {
				return fmt.Errorf("drills of %s: %w", d, err)
			}
		}
		all = append(all, doc)
	}
	return a.result(all, func(w io.Writer) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(w, "Temporal has seen no database of canvasback yet.")
			return err
		}
		rows := make([][]string, 0, len(all))
		for _, s := range all {
			rows = append(rows, a.statusRow(s))
		}
		return writeTable(w, []string{"DATABASE", "HOST", "WORKER", "BEGINS", "NEXT", "LAST", "DRILL", "NOW"}, rows)
	})
}

func (a *app) statusRow(s statusDoc) []string {
	begins := "by hand"
	if s.Begins != backups.ByHand {
		begins = s.Begins + " " + whenText(s.Spec)
	}
	next, last, drill, now, worker := "-", "never", a.drillColumn(s), "idle", "yes"
	switch {
	case s.Paused:
		next = "paused"
	case s.Next != nil:
		next = stamp(*s.Next)
	}
	if o := s.Last; o != nil {
		last = fmt.Sprintf("%s %s ago", o.Status, humanAge(a.now().Sub(o.Ended)))
		if o.State != "" {
			last = fmt.Sprintf("%s %s ago", o.State, humanAge(a.now().Sub(o.Ended)))
		}
	}
	if s.Running != nil {
		now = "running"
		if p := s.Running.Progress; p != nil {
			now = p.Step
			if p.Total > 0 {
				now = fmt.Sprintf("%s %d%%", p.Step, 100*p.Done/p.Total)
			}
		}
	}
	if !s.Worker {
		worker = "NO"
	}
	return []string{s.Database, s.Host, worker, begins, next, last, drill, now}
}

// drillColumn says how the last restore drill went; one that failed is shouted.
func (a *app) drillColumn(s statusDoc) string {
	if s.Evidence != nil {
		return drillText(&s.Evidence.Drill, a.now())
	}
	d := s.Drill
	switch {
	case d == nil:
		return "never"
	case d.Last == nil && d.Paused:
		return "paused"
	case d.Last == nil:
		return "none yet"
	}
	if l := d.Last; l.Status == "canceled" || l.Status == "terminated" {
		return l.Status + " " + humanAge(a.now().Sub(l.Ended)) + " ago"
	}
	return drillText(&repo.Drill{Passed: d.Last.Passed, At: d.Last.Ended, RestoreSeconds: d.Last.RestoreSeconds}, a.now())
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
