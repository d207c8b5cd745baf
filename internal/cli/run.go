package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/human"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

func newRunCommand(a *app) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "run --database NAME",
		Short: "Take one backup now, through Temporal, and wait for it",
		Long: `Take one backup now and wait for its result. Where the database has a schedule the
schedule starts it. Refused while a backup of the database runs.

Interrupting the command leaves the backup running; 'starter stop' stops it.`,
		Example: `  starter run --database shop
  starter run --database shop --no-wait --json`,
	}
	r := newDatabaseRemote(cmd)
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "start the backup and do not wait for it, nor for a worker to be there")
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error { return runNow(a, c, r, noWait) })
	}
	return cmd
}

func runNow(a *app, c client.Client, r *remote, noWait bool) error {
	host, err := backups.HostOf(a.ctx, c, r.database, r.host)
	if err != nil {
		return err
	}
	if !noWait {
		if err := needWorker(a, c, host); err != nil {
			return err
		}
	}
	run, err := backups.StartNow(a.ctx, c, backups.TaskBackup, r.database, host)
	if err != nil {
		return err
	}
	if noWait {
		return startedResult(a, backups.TaskBackup, r.database, *run)
	}
	bar := a.progress()
	result, err := backups.Follow[job.BackupResult](a.ctx, c, backups.TaskBackup.Of(r.database), *run, bar.update)
	bar.end()
	if err != nil {
		return err
	}
	return runResult(a, *run, result)
}

// needWorker fails where nobody would take what is started.
func needWorker(a *app, c client.Client, host string) error {
	polled, err := backups.Polled(a.ctx, c, host)
	if err != nil {
		return err
	}
	if !polled {
		return failure.Errorf(failure.NoWorker, "no worker polls the task queue %s", job.Queue(host))
	}
	return nil
}

func startedResult(a *app, task backups.Task, database string, run backups.Run) error {
	doc := struct {
		Database string `json:"database"`
		State    string `json:"state"`
		backups.Run
	}{database, "started", run}
	return a.result(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "A %s is started: workflow %s, run %s.\n", task.Of(database), run.WorkflowID, run.RunID)
		return err
	})
}

// runDoc is a finished backup as it is printed: in the form of a local one, as
// far as the result of a run has it.
type runDoc struct {
	ID              string               `json:"id"`
	Database        string               `json:"database"`
	State           string               `json:"state"`
	Rule            string               `json:"rule"`
	Attempts        int                  `json:"attempts"`
	Bytes           int64                `json:"bytes"`
	CopySeconds     float64              `json:"copy_seconds"`
	DurationSeconds float64              `json:"duration_seconds"`
	TableCount      int                  `json:"table_count"`
	RowCount        int64                `json:"row_count"`
	Level           string               `json:"level"`
	Engine          string               `json:"engine"`
	Assertions      int                  `json:"assertions"`
	Reason          string               `json:"reason,omitempty"`
	Checkpoint      job.CheckpointResult `json:"checkpoint"`
	Pruned          []job.Decision       `json:"pruned"`
	backups.Run
}

func runResult(a *app, run backups.Run, result job.BackupResult) error {
	doc := runDoc{
		ID: result.ID, Database: result.Database, State: result.State, Rule: result.Rule, Attempts: result.Attempts,
		Bytes: result.Bytes, CopySeconds: result.CopySeconds, DurationSeconds: result.DurationSeconds,
		TableCount: result.Tables, RowCount: result.Rows, Level: result.Level, Engine: result.Engine,
		Assertions: result.Assertions, Reason: result.Reason, Checkpoint: result.Checkpoint, Pruned: result.Pruned, Run: run,
	}
	err := a.result(doc, func(w io.Writer) error {
		return writeFields(w, []field{
			{"id", result.ID},
			{"database", result.Database},
			{"state", result.State},
			{"reason", result.Reason},
			{"proved", fmt.Sprintf("level %s, by DuckDB %s, %d assertions", result.Level, result.Engine, result.Assertions)},
			{"rule", fmt.Sprintf("%s, attempt %d", result.Rule, result.Attempts)},
			{"size", human.Bytes(result.Bytes)},
			{"contents", fmt.Sprintf("%d tables, %d rows", result.Tables, result.Rows)},
			{"time", fmt.Sprintf("%.1f s, copy %.1f s", result.DurationSeconds, result.CopySeconds)},
			{"pruned", fmt.Sprintf("%d older backups", len(result.Pruned))},
			{"workflow", run.WorkflowID},
		})
	})
	if err == nil && result.State != string(repo.StateVerified) {
		return &partial{failure.Errorf(failure.RunFailed, "the backup %s is %s, not verified", result.ID, result.State)}
	}
	return err
}
