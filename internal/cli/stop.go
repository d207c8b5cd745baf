package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

func newStopCommand(a *app) *cobra.Command {
	var terminate, cron bool
	var reason string
	cmd := &cobra.Command{
		Use:   "stop --database NAME",
		Short: "Stop the running backup of a database",
		Long: `Stop the running backup of a database and wait until it has ended and cleaned up.
Backups that are there already stay. That nothing runs is no failure.

A schedule or cron workflow goes on; --cron ends the cron workflow too, and
'starter schedule delete' or 'pause' a schedule.`,
		Example: `  starter stop --database shop
  starter stop --database shop --reason 'the disk is being moved'
  starter stop --database shop --cron
  starter stop --database shop --terminate`,
	}
	r := newDatabaseRemote(cmd)
	cmd.Flags().BoolVar(&terminate, "terminate", false, "end the run at once, without cleaning up: where the worker is gone")
	cmd.Flags().BoolVar(&cron, "cron", false, "end the cron workflow of the database too")
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for those who read of the run later")
	cmd.RunE = func(*cobra.Command, []string) error {
		if len(reason) > job.MaxStopReason {
			return usagef("--reason has %d bytes: %d at most are taken", len(reason), job.MaxStopReason)
		}
		return r.withClient(a, func(c client.Client) error {
			doc := &stopDoc{Database: r.database}
			if err := doc.stop(a, c, r, terminate, cron, reason); err != nil {
				return err
			}
			return a.result(doc, doc.write)
		})
	}
	return cmd
}

// stopDoc is what a stop did.
type stopDoc struct {
	Database  string `json:"database"`
	Stopped   bool   `json:"stopped"` // a backup was running, and its run has ended
	CronEnded bool   `json:"cron_ended"`
	*backups.Run
	Outcome string `json:"outcome,omitempty"` // how the run ended
}

// stop ends the running backup. The server ends a cron workflow with the run
// that was stopped: unless that is wanted, it is started again.
func (d *stopDoc) stop(a *app, c client.Client, r *remote, terminate, endCron bool, reason string) error {
	cron, err := backups.DescribeCron(a.ctx, c, r.database)
	if err != nil {
		return err
	}
	if err := d.stopRun(a, c, r, terminate, reason); err != nil || cron == nil {
		return err
	}
	if !endCron {
		_, err := backups.StartCron(a.ctx, c, cron.Spec)
		return err
	}
	for {
		_, err := backups.StopCron(a.ctx, c, r.database)
		if failure.Of(err) != failure.Busy {
			d.CronEnded = err == nil
			return err
		}
		// Its next run has begun meanwhile.
		if err := d.stopRun(a, c, r, terminate, reason); err != nil {
			return err
		}
	}
}

func (d *stopDoc) stopRun(a *app, c client.Client, r *remote, terminate bool, reason string) error {
	run, err := backups.Running(a.ctx, c, backups.TaskBackup, r.database)
	if err != nil || run == nil {
		return err
	}
	d.Run = run
	if terminate {
		d.Stopped, d.Outcome = true, "terminated"
		return backups.Terminate(a.ctx, c, *run, "stopped by starter stop --terminate")
	}
	host, err := backups.HostOf(a.ctx, c, r.database, r.host)
	if err != nil {
		return err
	}
	polled, err := backups.Polled(a.ctx, c, host)
	if err != nil {
		return err
	}
	if !polled {
		return failure.Errorf(failure.NoWorker, "no worker polls the task queue %s, so the backup of %s cannot be stopped in good order; --terminate ends it at once", job.Queue(host), r.database)
	}
	if err := backups.Stop(a.ctx, c, *run, reason); err != nil {
		return err
	}
	bar := a.progress()
	_, err = backups.Follow[job.BackupResult](a.ctx, c, backups.TaskBackup.Of(r.database), *run, bar.update)
	bar.end()
	if a.ctx.Err() != nil {
		return err
	}
	d.Stopped, d.Outcome = true, "the backup had ended already"
	if err != nil {
		d.Outcome = err.Error()
	}
	return nil
}

func (d *stopDoc) write(w io.Writer) error {
	if d.Run == nil {
		fmt.Fprintf(w, "No backup of %s is running.\n", d.Database)
	} else {
		fmt.Fprintf(w, "Stopped %s: %s.\n", d.WorkflowID, d.Outcome)
	}
	if d.CronEnded {
		fmt.Fprintf(w, "The cron workflow of %s is ended.\n", d.Database)
	}
	return nil
}
