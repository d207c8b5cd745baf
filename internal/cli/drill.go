package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/human"
	"canvasback/internal/job"
)

// drillFlags are the flags of drill beside those about the server.
type drillFlags struct {
	local              bool
	config, repository string
	backup, keyFile    string
	noWait             bool
	log                string
}

func newDrillCommand(a *app) *cobra.Command {
	f := &drillFlags{}
	cmd := &cobra.Command{
		Use:   "drill --database NAME",
		Short: "Try a restore out: to scratch, read in full, with evidence kept",
		Long: `Restore a backup to a scratch directory, check its bytes and blocks, let DuckDB read
every row, compare with what was there when the backup was verified, ask the
configured assertions, and keep the evidence beside the backup: how it went, how
long a restore takes, how fast it is. The restored files are removed.

By default the worker on the database's host does it, through Temporal.
'starter schedule create --drill' has it done again and again. With --local this
command does it by itself, on a repository that it can read and write.

A drill that fails exits with 4 where the backup is to blame.`,
		Example: `  starter drill --database shop
  starter drill --database shop --backup random --no-wait
  starter drill --local --repository /backups --database shop
  starter drill --local --config /etc/canvasback.yaml --database shop --json`,
	}
	r := newDatabaseRemote(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.backup, "backup", "", "`ID` of the backup, latest (the newest verified one) or random (default: as configured)")
	fl.BoolVar(&f.noWait, "no-wait", false, "start the drill and do not wait for it")
	fl.BoolVar(&f.local, "local", false, "do it in this process, without Temporal")
	fl.StringVar(&f.config, "config", "", "with --local: configuration `FILE` of the worker")
	fl.StringVar(&f.repository, "repository", "", "with --local: `DIR` that holds the backups")
	keyFileFlag(cmd, &f.keyFile)
	logFlag(cmd, &f.log)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.local {
			return a.drillHere(f, r.database)
		}
		return r.withClient(a, func(c client.Client) error { return drillThere(a, c, r, f) })
	}
	return cmd
}

// check refuses flags that do not go together.
func (f *drillFlags) check(cmd *cobra.Command) error {
	for _, name := range []string{"config", "repository", "key-file", "log-format"} {
		if !f.local && cmd.Flags().Changed(name) {
			return usagef("--%s goes with --local; through Temporal it is the worker's", name)
		}
	}
	for _, name := range []string{"address", "namespace", "host", "no-wait", "codec-key-file"} {
		if f.local && cmd.Flags().Changed(name) {
			return usagef("--%s does not go with --local", name)
		}
	}
	if f.local && (f.config == "") == (f.repository == "") {
		return usagef("--local needs --repository or --config, and not both")
	}
	return nil
}

// drillHere runs the drill in this process.
func (a *app) drillHere(f *drillFlags, database string) error {
	cfg, err := f.configuration(database)
	if err != nil {
		return err
	}
	runner, err := a.runner(cfg, f.log)
	if err != nil {
		return err
	}
	var result job.DrillResult
	err = a.notifier(cfg).Watch(a.ctx, database, job.AnnounceDrill, func(in *job.AnnounceInput) (err error) {
		bar := a.progress()
		result, err = runner.Drill(a.ctx, job.DrillInput{Database: database, Backup: f.backup}, bar.update)
		bar.end()
		in.Backup = result.ID
		return err
	})
	if err != nil {
		return err
	}
	return a.drillResult(drillDoc{DrillResult: result})
}

// configuration is the worker's, or what the flags say and defaults.
func (f *drillFlags) configuration(database string) (*config.Config, error) {
	if f.config != "" {
		cfg, err := config.Load(f.config)
		if err != nil {
			return nil, err
		}
		db, ok := cfg.Database(database)
		if !ok {
			return nil, failure.Errorf(failure.UnknownDatabase, "%s has no database %q", f.config, database)
		}
		if f.keyFile != "" {
			db.KeyFile = f.keyFile
		}
		return cfg, nil
	}
	s := &stored{repository: f.repository, database: database}
	r, err := s.open()
	if err != nil {
		return nil, err
	}
	return config.OfRepository(r.Dir(), database, f.keyFile), nil
}

func drillThere(a *app, c client.Client, r *remote, f *drillFlags) error {
	host, err := backups.HostOf(a.ctx, c, r.database, r.host)
	if err != nil {
		return err
	}
	if !f.noWait {
		if err := needWorker(a, c, host); err != nil {
			return err
		}
	}
	run, err := backups.StartDrill(a.ctx, c, job.DrillInput{Database: r.database, Backup: f.backup}, host)
	if err != nil {
		return err
	}
	if f.noWait {
		return startedResult(a, backups.TaskDrill, r.database, *run)
	}
	bar := a.progress()
	result, err := backups.Follow[job.DrillResult](a.ctx, c, backups.TaskDrill.Of(r.database), *run, bar.update)
	bar.end()
	if err != nil {
		return err
	}
	return a.drillResult(drillDoc{DrillResult: result, Run: run})
}

// drillDoc is a drill that passed.
type drillDoc struct {
	job.DrillResult
	*backups.Run
}

func (a *app) drillResult(d drillDoc) error {
	return a.result(d, func(w io.Writer) error {
		fields := []field{
			{"drill", "passed"},
			{"backup", d.ID},
			{"database", d.Database},
			{"restored", fmt.Sprintf("%s in %s, %s/s", human.Bytes(d.Bytes), human.Seconds(d.RestoreSeconds), human.Bytes(int64(d.BytesPerSecond)))},
			{"proved", fmt.Sprintf("level %s in %s, by DuckDB %s", d.Level, human.Seconds(d.VerifySeconds), d.Engine)},
			{"contents", fmt.Sprintf("%d tables, %d rows, as in the backup", d.Tables, d.Rows)},
		}
		if d.Assertions > 0 {
			fields = append(fields, field{"assertions", fmt.Sprintf("%d, all as expected", d.Assertions)})
		}
		if d.Run != nil {
			fields = append(fields, field{"workflow", d.WorkflowID})
		}
		return writeFields(w, fields)
	})
}
