package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/human"
	"canvasback/internal/job"
)

func newRestoreThereCommand(a *app) *cobra.Command {
	var in job.RestoreInput
	var at, timezone string
	var noWait bool
	cmd := &cobra.Command{
		Use:   "restore-on-host --database NAME --to TARGET",
		Short: "Have the worker put a backup in place on its host",
		Long: `Have the worker on the database's host restore a backup to one of the targets that
its configuration names for the database (restore.targets), through Temporal: what
'starter restore' does without a server, where the repository is. No path travels.

Interrupting the command leaves the restore running.`,
		Example: `  starter restore-on-host --database shop --to spare
  starter restore-on-host --database shop --to live --keep-old --at '2026-11-23 12:00' --timezone UTC`,
	}
	r := newDatabaseRemote(cmd)
	fl := cmd.Flags()
	fl.StringVar(&in.Target, "to", "", "`NAME` of a target in the worker's configuration")
	must(cmd.MarkFlagRequired("to"))
	fl.StringVar(&in.Backup, "backup", "latest", "`ID` of the backup; latest is the newest verified one")
	fl.StringVar(&at, "at", "", "take the newest verified backup finished at or before `TIME`")
	fl.StringVar(&timezone, "timezone", "", "`ZONE` of --at, such as Europe/Amsterdam (default: this machine's)")
	fl.BoolVar(&in.KeepOld, "keep-old", false, "move an existing target aside instead of refusing it")
	fl.BoolVar(&noWait, "no-wait", false, "start the restore and do not wait for it")
	cmd.MarkFlagsMutuallyExclusive("at", "backup")
	cmd.RunE = func(*cobra.Command, []string) error {
		when, err := parseAt(at, timezone, a.now())
		if err != nil {
			return err
		}
		if !when.IsZero() {
			in.At, in.Backup = &when, ""
		}
		return r.withClient(a, func(c client.Client) error {
			in.Database = r.database
			return restoreThere(a, c, r, in, noWait)
		})
	}
	return cmd
}

func restoreThere(a *app, c client.Client, r *remote, in job.RestoreInput, noWait bool) error {
	host, err := backups.HostOf(a.ctx, c, r.database, r.host)
	if err != nil {
		return err
	}
	if err := needWorker(a, c, host); err != nil {
		return err
	}
	run, err := backups.StartRestore(a.ctx, c, in, host)
	if err != nil {
		return err
	}
	if noWait {
		return startedResult(a, backups.TaskRestore, r.database, *run)
	}
	bar := a.progress()
	result, err := backups.Follow[job.RestoreResult](a.ctx, c, backups.TaskRestore.Of(r.database), *run, bar.update)
	bar.end()
	if err != nil {
		return err
	}
	doc := struct {
		job.RestoreResult
		backups.Run
	}{result, *run}
	return a.result(doc, func(w io.Writer) error {
		fields := []field{
			{"restored", result.ID},
			{"target", result.Target + ", " + result.Path},
			{"size", human.Bytes(result.Bytes)},
			{"tables", fmt.Sprintf("%d, %d rows, as in the backup", result.Tables, result.Rows)},
			{"time", human.Seconds(result.Seconds)},
		}
		for _, path := range result.MovedAside {
			fields = append(fields, field{"moved aside", path})
		}
		return writeFields(w, append(fields, field{"workflow", run.WorkflowID}))
	})
}
