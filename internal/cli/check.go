package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/check"
	"canvasback/internal/config"
	"canvasback/internal/human"
	"canvasback/internal/job"
	"canvasback/internal/retention"
)

// checkFlags are the flags of check.
type checkFlags struct {
	stored
	share, config, keyFile string
	within                 retention.Period
}

func newCheckCommand(a *app) *cobra.Command {
	f := &checkFlags{}
	cmd := &cobra.Command{
		Use:   "check --repository DIR",
		Short: "Read the backups again, and mark those that have rotted",
		Long: `Read the files of the backups again: compare every file with its hash and every
used block with its checksum. A backup that does not pass becomes "rotten" and no
longer counts, until 'starter verify' has found it good; the exit status is 4. A
file that cannot be read is reported, and the backup's turn comes again with the
next run. Failed copies are left out. What belongs to no backup is listed.

Without --share and --within every backup is read. For a run that is repeated:

  --share 1/7    reads a seventh of the bytes, those that were not read for
                 longest: after seven runs everything was read
  --within 30d   reads what is due, and so much that everything is read once in 30
                 days, if runs go on as they did; each reads about as much

A verification reads everything too, and counts.`,
		Example: `  starter check --repository /backups
  starter check --repository /backups --database shop --share 1/7
  starter check --repository /backups --within 30d --config /etc/canvasback.yaml --json`,
		RunE: func(*cobra.Command, []string) error { return a.check(f) },
	}
	f.repositoryFlag(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.database, "database", "", "only the backups of the database `NAME`")
	fl.StringVar(&f.share, "share", "", "read this `PART` of the bytes, such as 1/7")
	fl.Var(&f.within, "within", "read what is due, so that everything is read once in a `PERIOD` such as 30d")
	fl.StringVar(&f.config, "config", "", "configuration `FILE` of the worker, for the keys of encrypted databases")
	keyFileFlag(cmd, &f.keyFile)
	cmd.MarkFlagsMutuallyExclusive("share", "within")
	return cmd
}

// turn is what --share and --within say.
func (f *checkFlags) turn(now time.Time) (check.Turn, error) {
	var t check.Turn
	if f.share != "" {
		one, n, _ := strings.Cut(f.share, "/")
		parts, err := strconv.Atoi(n)
		if one != "1" || err != nil || parts < 1 {
			return t, usagef("--share %s: a part such as 1/7 is wanted", f.share)
		}
		t.Share = parts
	}
	t.Within = f.within.After(now).Sub(now)
	return t, nil
}

func (a *app) check(f *checkFlags) error {
	turn, err := f.turn(a.now())
	if err != nil {
		return err
	}
	keys, err := f.keys()
	if err != nil {
		return err
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	names := []string{f.database}
	var problems error
	if f.database == "" {
		names, problems = r.Databases()
	}
	bar := a.progress()
	rep, err := check.Run(a.ctx, check.Request{
		FS: r.FS(), Repo: r, Databases: names, Turn: turn, Key: keys, Now: a.now,
		Progress: func(_, id, phase string, done, total int64) {
			bar.update(job.Progress{Step: "check " + id, Phase: phase, Done: done, Total: total})
		},
	})
	bar.end()
	if a.ctx.Err() != nil {
		return err
	}
	problems = errors.Join(problems, err)
	if err := a.result(rep, func(w io.Writer) error { return writeChecked(w, rep) }); err != nil {
		return err
	}
	for _, s := range rep.Strays {
		a.notef("stray: %s", s)
	}
	return problems
}

// keys finds the key of a database in the configuration, or takes the flag's.
func (f *checkFlags) keys() (func(string) (string, error), error) {
	cfg := &config.Config{}
	if f.config != "" {
		var err error
		if cfg, err = config.Load(f.config); err != nil {
			return nil, err
		}
	}
	return func(database string) (string, error) {
		file := f.keyFile
		if d, ok := cfg.Database(database); ok && file == "" {
			file = d.KeyFile
		}
		return config.ReadKeyFile(file)
	}, nil
}

func writeChecked(w io.Writer, rep *check.Report) error {
	rows := make([][]string, 0, len(rep.Checked))
	for _, o := range rep.Checked {
		result := "good"
		switch {
		case o.Rotted:
			result = "ROTTEN"
		case !o.Passed:
			result = "NOT GOOD"
		}
		rows = append(rows, []string{o.Database, o.ID, result, string(o.State), human.Bytes(o.Bytes), human.Seconds(o.Seconds)})
	}
	if len(rows) > 0 {
		if err := writeTable(w, []string{"DATABASE", "ID", "CHECK", "STATE", "SIZE", "TIME"}, rows); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, rep.Summary())
	return err
}
