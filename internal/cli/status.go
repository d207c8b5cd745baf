package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
)

func newStatusCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the databases that Temporal backs up: when, the last run, what runs now",
		Long: `Show the databases that Temporal backs up, or one of them: what starts its backups and
when next, how the last run ended, what runs now, and whether a worker is there.`,
		Example: `  starter status
  starter status --database shop --json`,
	}
	r := newRemote(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error { return showStatus(a, c, r) })
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
}

func showStatus(a *app, c client.Client, r *remote) error {
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
		all = append(all, statusDoc{s.Database, s.Host, s.Cron, zone(s.Timezone), s})
	}
	return a.result(all, func(w io.Writer) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(w, "Temporal has seen no database of canvasback yet.")
			return err
		}
		rows := make([][]string, 0, len(all))
		for _, s := range all {
			rows = append(rows, a.statusRow(s.Status))
		}
		return writeTable(w, []string{"DATABASE", "HOST", "WORKER", "BEGINS", "NEXT", "LAST", "NOW"}, rows)
	})
}

func (a *app) statusRow(s *backups.Status) []string {
	begins := "by hand"
	if s.Begins != backups.ByHand {
		begins = s.Begins + " " + whenText(s.Spec)
	}
	next, last, now, worker := "-", "never", "idle", "yes"
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
	return []string{s.Database, s.Host, worker, begins, next, last, now}
}
