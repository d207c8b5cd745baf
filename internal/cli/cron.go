package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
)

func newCronCommand(a *app) *cobra.Command {
	var schedule, timezone string
	cmd := &cobra.Command{
		Use:   "cron --database NAME --schedule CRON",
		Short: "Start a cron workflow that backs up a database",
		Long: `Start a cron workflow that backs up a database at the times of a cron expression.

It is Temporal's older way: it cannot be paused, triggered or changed while it
runs. 'starter schedule create' does the same and can. A database has one of
the two, never both. 'starter stop --cron' ends a cron workflow.`,
		Example: `  starter cron --database shop --schedule '0 3 * * *'
  starter cron --database shop --schedule '30 2 * * 1-5' --timezone Europe/Amsterdam`,
	}
	r := newDatabaseRemote(cmd)
	cmd.Flags().StringVar(&schedule, "schedule", "", "`CRON` expression of five fields, or @daily and the like")
	cmd.Flags().StringVar(&timezone, "timezone", "", "`ZONE` of --schedule, such as Europe/Amsterdam (default UTC)")
	must(cmd.MarkFlagRequired("schedule"))
	cmd.RunE = func(*cobra.Command, []string) error {
		spec := backups.Spec{Database: r.database, Cron: schedule, Timezone: timezone}
		if err := spec.Check(); err != nil {
			return err
		}
		return r.withClient(a, func(c client.Client) error {
			spec.Host = r.host
			return startCron(a, c, spec)
		})
	}
	return cmd
}

func startCron(a *app, c client.Client, spec backups.Spec) error {
	already, err := backups.StartCron(a.ctx, c, spec)
	if err != nil {
		return err
	}
	cron, err := backups.DescribeCron(a.ctx, c, spec.Database)
	if err != nil {
		return err
	}
	doc := struct {
		Database string `json:"database"`
		Host     string `json:"host"`
		Schedule string `json:"schedule"`
		Timezone string `json:"timezone"`
		Already  bool   `json:"already"` // it was there and is left as it is
		*backups.Run
		Next string `json:"next,omitempty"`
	}{Database: spec.Database, Host: spec.Host, Schedule: spec.Cron, Timezone: zone(spec.Timezone), Already: already}
	if cron != nil {
		doc.Run, doc.Next = &cron.Run, stamp(cron.Next)
	}
	return a.result(doc, func(w io.Writer) error {
		state := "started"
		if already {
			state = "is running already"
		}
		_, err := fmt.Fprintf(w, "The cron workflow of %s %s: %s, next backup at %s.\n", spec.Database, state, whenText(spec), doc.Next)
		return err
	})
}
