package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/restore"
	"canvasback/internal/vfs"
)

func newRestoreCommand(a *app) *cobra.Command {
	s := &stored{}
	var target, keyFile string
	var keepOld bool
	cmd := &cobra.Command{
		Use:   "restore --repository DIR --database NAME --target FILE",
		Short: "Put a backup in place as a database file",
		Long: `Copy a verified backup to FILE, compare it with the hashes in its manifest, open
it with DuckDB and compare every table with what was in the backup. Needs
nothing but the repository.

An existing FILE is refused; --keep-old renames it to FILE.before-TIME first,
with its WAL. A file that a process holds open is always refused.`,
		Example: `  starter restore --repository /backups --database shop --target /var/lib/shop/shop.duckdb
  starter restore --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a --target /tmp/look.duckdb`,
		RunE: func(*cobra.Command, []string) error { return a.restore(s, target, keyFile, keepOld) },
	}
	s.repositoryFlag(cmd)
	s.databaseFlag(cmd)
	s.backupFlag(cmd)
	cmd.Flags().StringVar(&target, "target", "", "database `FILE` to make")
	must(cmd.MarkFlagRequired("target"))
	keyFileFlag(cmd, &keyFile)
	cmd.Flags().BoolVar(&keepOld, "keep-old", false, "move an existing target aside instead of refusing it")
	return cmd
}

func (a *app) restore(s *stored, target, keyFile string, keepOld bool) error {
	if target == "" {
		return usagef("--target is empty: name the database file to make")
	}
	abs, err := filepath.Abs(target)
	if err != nil {
		return failure.Errorf(failure.TargetBad, "target %s: %w", target, err)
	}
	key, err := config.ReadKeyFile(keyFile)
	if err != nil {
		return err
	}
	r, err := s.open()
	if err != nil {
		return err
	}
	bar := a.progress()
	res, err := restore.Run(a.ctx, restore.Request{
		FS: vfs.OS(), Repo: r, Database: s.database, Backup: s.backup, Target: abs, KeepOld: keepOld,
		Scan: func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
			return scanFile(ctx, path, key, readWrite)
		},
		Progress: func(done, total int64) {
			bar.update(job.Progress{Step: "restore", Phase: "copy", Done: done, Total: total})
		},
	})
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

func writeRestored(w io.Writer, res *restore.Result) error {
	var rows int64
	for _, t := range res.Tables {
		rows += t.Rows
	}
	fields := []field{
		{"restored", res.ID},
		{"target", res.Target},
		{"size", humanBytes(res.Bytes)},
		{"tables", fmt.Sprintf("%d, %d rows, as in the backup", len(res.Tables), rows)},
		{"time", fmt.Sprintf("%.1fs", res.Seconds)},
	}
	for _, path := range res.MovedAside {
		fields = append(fields, field{"moved aside", path})
	}
	return writeFields(w, fields)
}

// scanFile reads a restored file with the engine.
func scanFile(ctx context.Context, path, key string, readWrite bool) (tables []repo.Table, err error) {
	scratch, err := os.MkdirTemp("", "canvasback-restore-")
	if err != nil {
		return nil, failure.Errorf(failure.Engine, "a directory for the engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	report, err := engine.Scan(ctx, engine.ScanRequest{Path: path, Key: key, ReadWrite: readWrite, Level: engine.LevelFull, TempDir: scratch})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, err
	case errors.Is(err, engine.ErrRejected), errors.Is(err, engine.ErrCrashed), errors.Is(err, engine.ErrTimeout):
		return nil, failure.Errorf(failure.BackupBad, "%s: %w", path, err)
	case errors.Is(err, engine.ErrKey):
		return nil, failure.Errorf(failure.WrongKey, "%s: %w", path, err)
	default:
		return nil, failure.Errorf(failure.Engine, "%s: %w", path, err)
	}
	for _, t := range report.Tables {
		tables = append(tables, repo.Table{Name: t.Name, Rows: t.Rows, Fingerprint: t.Fingerprint})
	}
	return tables, nil
}
