package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/notify"
	"canvasback/internal/repo"
)

// backupFlags are the flags of backup. What is not set leaves the
// configuration, or its default, alone.
type backupFlags struct {
	local         bool
	config        string
	databases     []string
	repository    string
	keepLast      int
	engineVersion string
	bandwidth     config.Bytes
	settle        config.Duration
	keyFile       string
	tags          []string
	log           string
}

func newBackupCommand(a *app) *cobra.Command {
	f := &backupFlags{}
	cmd := &cobra.Command{
		Use:   "backup --local --database NAME=PATH --repository DIR",
		Short: "Take a backup here and now: checkpoint, copy, verify, prune",
		Long: `Take a verified backup of one or more databases on this machine, then remove the
oldest ones that --keep-last leaves no room for. The process that holds a
database goes on undisturbed: its file is only read.

With several databases, one that fails does not keep the others from being
tried; the exit status is then 3. A backup whose storage version is too new to
be opened here ends in state "structure", with exit status 3 too.

With --config, databases and repository come from the worker's configuration
file, --database takes names in it, and the other flags override it.`,
		Example: `  starter backup --local --database shop=/var/lib/shop/shop.duckdb --repository /backups
  starter backup --local --config /etc/canvasback.yaml --database shop --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !f.local {
				return usagef("backup takes a backup on the spot and needs --local; 'starter run' takes one through Temporal")
			}
			cfg, names, err := f.configuration(cmd)
			if err != nil {
				return err
			}
			return a.backup(cfg, names, f.log)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.local, "local", false, "take the backup in this process, without Temporal")
	fl.StringArrayVar(&f.databases, "database", nil, "`NAME=PATH` of a database, repeatable; with --config a name in it")
	fl.StringVar(&f.repository, "repository", "", "`DIR` that holds the backups")
	fl.StringVar(&f.config, "config", "", "configuration `FILE` of the worker")
	fl.IntVar(&f.keepLast, "keep-last", config.DefaultKeepLast, "`N` newest verified backups to keep, never fewer than the configuration's min_verified (2); -1 keeps all")
	fl.StringVar(&f.engineVersion, "engine-version", "", "DuckDB `VERSION` of the process that holds the database, such as 1.4.1")
	keyFileFlag(cmd, &f.keyFile)
	fl.StringArrayVar(&f.tags, "tag", nil, "`TAG` that the backup carries, repeatable; added to those of the configuration")
	fl.Var(&f.bandwidth, "bandwidth", "`SIZE` to read from the database per second at most, such as 50MB (default unlimited)")
	fl.Var(&f.settle, "settle", "`DURATION` for which the header must hold still where nothing else proves the copy")
	logFlag(cmd, &f.log)
	fl.Lookup("settle").DefValue = "5s"
	return cmd
}

// configuration makes the configuration and the names to back up.
func (f *backupFlags) configuration(cmd *cobra.Command) (*config.Config, []string, error) {
	cfg, names, err := f.base()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		db, ok := cfg.Database(name)
		if !ok {
			return nil, nil, failure.Errorf(failure.UnknownDatabase, "%s has no database %q", f.config, name)
		}
		if cmd.Flags().Changed("keep-last") {
			db.Retention.KeepLast = f.keepLast
		}
		if cmd.Flags().Changed("engine-version") {
			db.EngineVersion = f.engineVersion
		}
		if cmd.Flags().Changed("bandwidth") {
			db.Copy.Bandwidth = f.bandwidth
		}
		if cmd.Flags().Changed("key-file") {
			db.KeyFile = f.keyFile
		}
		for _, tag := range f.tags {
			if !slices.Contains(db.Tags, tag) {
				db.Tags = append(db.Tags, tag)
			}
		}
		if cmd.Flags().Changed("settle") {
			db.Copy.Settle = f.settle
		}
	}
	return cfg, names, cfg.Validate()
}

func (f *backupFlags) base() (*config.Config, []string, error) {
	var names []string
	if f.config == "" {
		cfg, err := config.FromFlags(f.databases, f.repository, "")
		if err != nil {
			return nil, nil, err
		}
		for _, db := range cfg.Databases {
			names = append(names, db.Name)
		}
		return cfg, names, nil
	}
	cfg, err := config.Load(f.config)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range f.databases {
		if strings.Contains(name, "=") {
			return nil, nil, usagef("--database %s: with --config, name a database of %s", name, f.config)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		for _, db := range cfg.Databases {
			names = append(names, db.Name)
		}
	}
	if f.repository != "" {
		if cfg.Repository, err = filepath.Abs(f.repository); err != nil {
			return nil, nil, usagef("--repository %s: %w", f.repository, err)
		}
	}
	return cfg, names, nil
}

// outcome is what became of one database: a backup, a failure, or, where the
// backup is there and something after it failed, both.
type outcome struct {
	*backupDoc
	Failed string    `json:"failed,omitempty"` // the database, where there is no backup
	Error  *errorDoc `json:"error,omitempty"`
}

// backup backs the named databases up, one after the other.
func (a *app) backup(cfg *config.Config, names []string, log string) error {
	notifier := a.notifier(cfg)
	runner, err := a.runner(cfg, log)
	if err != nil {
		for _, name := range names {
			notifier.Watch(a.ctx, name, job.AnnounceBackup, func(*job.AnnounceInput) error { return err })
		}
		return err
	}
	var outcomes []outcome
	var failures []error
	for _, name := range names {
		doc, err := a.backupOne(runner, notifier, name)
		if err != nil && a.ctx.Err() != nil {
			return err
		}
		if len(names) == 1 && doc == nil {
			return err
		}
		o := outcome{backupDoc: doc}
		if err != nil {
			failed := newErrorDoc(err)
			o.Error = &failed
			if len(names) > 1 {
				err = namedError(name, err)
			}
			failures = append(failures, err)
		}
		if doc == nil {
			o.Failed = name
		}
		outcomes = append(outcomes, o)
	}
	if err := a.printOutcomes(outcomes); err != nil {
		return err
	}
	if len(failures) == 0 {
		return nil
	}
	err = errors.Join(failures...)
	for _, o := range outcomes {
		if o.backupDoc != nil {
			return &partial{err}
		}
	}
	return err
}

// namedError says which of several databases failed, keeping the kind.
func namedError(database string, err error) error {
	return failure.Errorf(failure.Of(err), "%s: %w", database, err)
}

func (a *app) backupOne(runner *backup.Runner, notifier *notify.Notifier, name string) (*backupDoc, error) {
	var sum *backup.Summary
	err := notifier.Watch(a.ctx, name, job.AnnounceBackup, func(in *job.AnnounceInput) (err error) {
		bar := a.progress()
		sum, err = runner.Backup(a.ctx, name, bar.update)
		bar.end()
		if sum != nil {
			doc := newBackupDoc(&sum.Manifest)
			in.Backup, in.State, in.Reason = doc.ID, string(doc.State), doc.Reason
		}
		return err
	})
	if sum == nil {
		if err == nil {
			err = fmt.Errorf("the backup of %s ended without a result", name)
		}
		return nil, err
	}
	doc := newBackupDoc(&sum.Manifest)
	doc.Attempts = sum.Attempts
	doc.DurationSeconds = sum.Duration.Seconds()
	doc.Pruned = append(doc.Pruned, sum.Pruned...)
	if err == nil && doc.State != repo.StateVerified {
		err = fmt.Errorf("backup %s ends in state %s: %s", doc.ID, doc.State, doc.Reason)
	}
	return &doc, err
}

func (a *app) printOutcomes(outcomes []outcome) error {
	var v any = struct {
		Backups []outcome `json:"backups"`
	}{outcomes}
	if len(outcomes) == 1 {
		v = outcomes[0]
	}
	return a.result(v, func(w io.Writer) error {
		for i, o := range outcomes {
			if o.backupDoc == nil {
				continue
			}
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := o.write(w); err != nil {
				return err
			}
		}
		return nil
	})
}
