package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/human"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/restore"
)

// restoreFlags are those of the command.
type restoreFlags struct {
	stored
	target, export, at, timezone, keyFile, config string
	tables                                        []string
	keepOld, dryRun, allowUnverified              bool
}

func newRestoreCommand(a *app) *cobra.Command {
	f := &restoreFlags{}
	cmd := &cobra.Command{
		Use:   "restore --repository DIR --database NAME {--target FILE | --export DIR}",
		Short: "Put a backup in place as a database file, or take tables out of it",
		Long: `Copy a verified backup to FILE, compare it with the hashes in its manifest, open
it with DuckDB and compare every table with what was in the backup. Needs
nothing but the repository. An interrupted restore leaves FILE as it was, or
absent with the old database whole beside it; run it again to finish.

Which backup: the newest verified one; the one with --backup ID; or with --at the
newest verified one that was finished by TIME, so that it holds nothing of later.
TIME is RFC 3339, "2006-01-02 15:04[:05]" or "2006-01-02" (the start of the day) in
--timezone, or how long ago, as in -2h or -3d.

An existing FILE is refused; --keep-old renames it to FILE.before-TIME first,
with its WAL. A file that a process holds open is always refused.

--table restores single tables into the new database FILE, with their
constraints, defaults, indexes and comments and the types, sequences and macros
that they name; views are left out. A table whose foreign key refers to another
is refused unless that one is named too. The new file has the storage version,
and the key, of the backup.

--export writes every table, or those of --table, to the new directory DIR as
<schema>.<table>.parquet, with schema.sql and export.json. Columns that Parquet
would change (HUGEINT, BIGNUM, BIT, INTERVAL, TIME WITH TIME ZONE, TIMESTAMP_S,
UNION, VARIANT) are written as text, generated columns are left out; export.json says which.
Parquet files are not encrypted.

Both read the copy in the repository, never the live database.`,
		Example: `  starter restore --repository /backups --database shop --target /var/lib/shop/shop.duckdb
  starter restore --repository /backups --database shop --at '2026-11-23 12:00' --target /tmp/noon.duckdb --dry-run
  starter restore --repository /backups --database shop --table orders --table crm.customers --target /tmp/look.duckdb
  starter restore --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a --export /tmp/shop-parquet`,
		RunE: func(*cobra.Command, []string) error { return a.restore(f) },
	}
	f.repositoryFlag(cmd)
	f.databaseFlag(cmd)
	f.backupFlag(cmd)
	keyFileFlag(cmd, &f.keyFile)
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "take the newest verified backup finished at or before `TIME`")
	flags.StringVar(&f.timezone, "timezone", "", "`ZONE` of --at, such as Europe/Amsterdam (default: this machine's)")
	flags.StringVar(&f.target, "target", "", "database `FILE` to make")
	flags.StringVar(&f.export, "export", "", "directory `DIR` of Parquet files to make")
	flags.StringArrayVar(&f.tables, "table", nil, "only this table, `SCHEMA.NAME` or NAME of schema main; repeatable")
	flags.BoolVar(&f.keepOld, "keep-old", false, "move an existing target aside instead of refusing it")
	flags.BoolVar(&f.dryRun, "dry-run", false, "check everything, say what would be done, write nothing")
	flags.BoolVar(&f.allowUnverified, "allow-unverified", false, "also take a backup that is not verified; it may be bad")
	flags.StringVar(&f.config, "config", "", "configuration `FILE` of the worker, for the engine's limits and the key")
	cmd.MarkFlagsMutuallyExclusive("at", "backup")
	cmd.MarkFlagsMutuallyExclusive("target", "export")
	cmd.MarkFlagsOneRequired("target", "export")
	cmd.MarkFlagsMutuallyExclusive("keep-old", "table")
	cmd.MarkFlagsMutuallyExclusive("keep-old", "export")
	return cmd
}

func (a *app) restore(f *restoreFlags) error {
	target := f.target + f.export
	if target == "" {
		return usagef("--target is empty: name the database file to make")
	}
	abs, err := filepath.Abs(target)
	if err != nil {
		return failure.Errorf(failure.TargetBad, "target %s: %w", target, err)
	}
	at, err := parseAt(f.at, f.timezone, a.now())
	if err != nil {
		return err
	}
	db, err := verifyOptions(f.config, f.database)
	if err != nil {
		return err
	}
	if f.keyFile != "" {
		db.KeyFile = f.keyFile
	}
	key, err := config.ReadKeyFile(db.KeyFile)
	if err != nil {
		return err
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	e := restore.Engine{Key: key, MemoryLimit: db.Verify.MemoryLimit, Threads: db.Verify.Threads, Command: db.Engine.Command}
	if f.config != "" {
		e.Timeout = time.Duration(db.Verify.Timeout)
	}
	if f.allowUnverified {
		a.notef("--allow-unverified: a backup in any state is taken; nothing has proved that it is good")
	}
	if f.export != "" || len(f.tables) > 0 {
		return a.extractTables(f, restore.ExtractRequest{
			FS: r.FS(), Repo: r, Database: f.database, Backup: f.backup, At: at, AllowUnverified: f.allowUnverified,
			Tables: f.tables, Target: abs, Export: f.export != "", DryRun: f.dryRun, Engine: e,
		})
	}
	return a.restoreWhole(restore.Request{
		FS: r.FS(), Repo: r, Database: f.database, Backup: f.backup, At: at, AllowUnverified: f.allowUnverified,
		Target: abs, KeepOld: f.keepOld, DryRun: f.dryRun, Scan: restore.Scanner(e),
	})
}

func (a *app) restoreWhole(req restore.Request) error {
	bar := a.progress()
	req.Progress = func(done, total int64) {
		bar.update(job.Progress{Step: "restore", Phase: "copy", Done: done, Total: total})
	}
	res, err := restore.Run(a.ctx, req)
	bar.end()
	if err != nil {
		return err
	}
	if res.MovedAside == nil {
		res.MovedAside = []string{}
	}
	if res.Tables == nil {
		res.Tables = []repo.Table{}
	}
	return a.result(res, func(w io.Writer) error { return writeRestored(w, res) })
}

func (a *app) extractTables(f *restoreFlags, req restore.ExtractRequest) error {
	bar := a.progress()
	req.Progress = func(phase string, done, total int64) {
		bar.update(job.Progress{Step: "restore", Phase: phase, Done: done, Total: total})
	}
	res, err := restore.Extract(a.ctx, req)
	bar.end()
	if err != nil {
		return err
	}
	for _, note := range res.Notes {
		a.notef("%s", note)
	}
	return a.result(res, func(w io.Writer) error { return writeExtracted(w, res, req.Export) })
}

func writeRestored(w io.Writer, res *restore.Result) error {
	var rows int64
	for _, t := range res.Tables {
		rows += t.Rows
	}
	fields := []field{{"restored", res.ID}}
	if res.DryRun {
		fields = []field{{"would restore", res.ID}}
	}
	fields = append(fields,
		field{"as of", res.AsOf()},
		field{"target", res.Target},
		field{"size", human.Bytes(res.Bytes)},
	)
	switch {
	case res.DryRun:
		for _, file := range res.Files {
			fields = append(fields, field{"file", fmt.Sprintf("%s, %d bytes", file.Name, file.Bytes)})
		}
		fields = append(fields, field{"space", spaceOf(res.NeedBytes, res.FreeBytes)})
	case res.Unchecked != "":
		fields = append(fields, field{"not checked", res.Unchecked})
	default:
		fields = append(fields, field{"tables", fmt.Sprintf("%d, %d rows, as in the backup", len(res.Tables), rows)})
	}
	what := "moved aside"
	if res.DryRun {
		what = "would move aside to"
	} else {
		fields = append(fields, field{"time", fmt.Sprintf("%.1fs", res.Seconds)})
	}
	for _, path := range res.MovedAside {
		fields = append(fields, field{what, path})
	}
	return writeFields(w, fields)
}

func writeExtracted(w io.Writer, res *restore.ExtractResult, export bool) error {
	what, proof := "restored from", "rows and fingerprints as in the backup"
	if export {
		what, proof = "exported from", "row counts as in the backup"
	}
	if res.Unchecked != "" {
		proof = "not checked: " + res.Unchecked
	}
	if res.DryRun {
		what, proof = "would take from", "nothing was written"
	}
	fields := []field{{what, res.ID}, {"as of", res.AsOf()}, {"target", res.Target}}
	for _, t := range res.Tables {
		text := fmt.Sprintf("%s, %d rows", t.Name, t.Rows)
		if t.File != "" {
			text += fmt.Sprintf(" in %s, %s", t.File, human.Bytes(t.Bytes))
		}
		for _, column := range t.AsText {
			text += fmt.Sprintf("; column %s as text", column)
		}
		for _, column := range t.LeftOut {
			text += fmt.Sprintf("; without the generated column %s", column)
		}
		fields = append(fields, field{"table", text})
	}
	fields = append(fields, field{"check", proof})
	if res.Encrypted {
		fields = append(fields, field{"encrypted", "with the key of the backup"})
	}
	if res.DryRun {
		fields = append(fields, field{"space", "about " + spaceOf(res.NeedBytes, res.FreeBytes)})
	} else {
		fields = append(fields, field{"storage", res.Storage}, field{"size", human.Bytes(res.Bytes)}, field{"time", fmt.Sprintf("%.1fs", res.Seconds)})
	}
	return writeFields(w, fields)
}

func spaceOf(need, free int64) string {
	return fmt.Sprintf("%s needed, %s free", human.Bytes(need), human.Bytes(free))
}
