package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
)

func newVerifyCommand(a *app) *cobra.Command {
	s := &stored{}
	var file, keyFile, level string
	cmd := &cobra.Command{
		Use:   "verify --repository DIR --database NAME",
		Short: "Verify a backup anew: its bytes, its blocks, every row",
		Long: `Read a backup again: compare its files with their hashes, check every used
block, open it with DuckDB and read every column of every table. The outcome
goes into the manifest. A backup that does not pass becomes "failed" and no
longer counts; the exit status is 4.

With --config, the limits, the level, the engine and the assertions of the
database in the worker's configuration file apply. --level overrides the level:

  bytes   (L1) the files' hashes, the blocks' checksums, whole commits in the WAL
  open    (L2) and DuckDB opens it and counts the rows of each table
  full    (L3) and reads every column of every row; the default
  assert  (L4) and the assertions of the configuration hold; the default with them

An engine that runs out of time or memory decides nothing: the backup keeps its
state.`,
		Example: `  starter verify --repository /backups --database shop
  starter verify --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a --json`,
		RunE: func(*cobra.Command, []string) error {
			db, err := verifyOptions(file, s.database)
			if err != nil {
				return err
			}
			if keyFile != "" {
				db.KeyFile = keyFile
			}
			if err := setLevel(db, level); err != nil {
				return err
			}
			return a.verify(s, db)
		},
	}
	s.repositoryFlag(cmd)
	s.databaseFlag(cmd)
	s.backupFlag(cmd)
	keyFileFlag(cmd, &keyFile)
	cmd.Flags().StringVar(&file, "config", "", "configuration `FILE` of the worker")
	cmd.Flags().StringVar(&level, "level", "", "`LEVEL` to verify at: bytes, open, full or assert, or L1 to L4 (default full, or assert with assertions)")
	return cmd
}

// setLevel overrides the level that the configuration says.
func setLevel(db *config.Database, level string) error {
	if level == "" {
		return nil
	}
	level = config.NormalLevel(level)
	switch level {
	case config.LevelBytes, config.LevelOpen, config.LevelFull:
	case config.LevelAssert:
		if len(db.Assertions) == 0 {
			return failure.Errorf(failure.Usage, "--level assert: no assertions: name a configuration file with some (--config)")
		}
	default:
		return failure.Errorf(failure.Usage, "--level %s: not one of bytes, open, full, assert", level)
	}
	db.Verify.Level = level
	return nil
}

// verifyOptions are those of the database in the file, or the defaults.
func verifyOptions(file, database string) (*config.Database, error) {
	if file == "" {
		return &config.Database{Verify: config.Verify{Level: config.DefaultVerifyLevel, Timeout: config.DefaultVerifyTimeout}}, nil
	}
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	db, ok := cfg.Database(database)
	if !ok {
		return nil, failure.Errorf(failure.UnknownDatabase, "%s has no database %q", file, database)
	}
	return db, nil
}

func (a *app) verify(s *stored, db *config.Database) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	reading, err := r.Read(s.database, s.backup)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := reading.Close(); closeErr != nil {
			a.notef("%v", closeErr)
		}
	}()
	m := reading.Manifest()
	v, verdict := a.runVerify(r, m, db)
	asked := 0
	if v != nil {
		asked = len(v.Assertions)
	}
	changes, err := settle(m, v, verdict)
	if changes {
		if updateErr := r.Update(m.Database, m.ID, func(now *repo.Manifest) error {
			_, err = settle(now, v, verdict) // it may be another one by now
			m = now
			return nil
		}); updateErr != nil {
			return errors.Join(verdict, updateErr)
		}
	}
	if err != nil {
		return err
	}
	doc := newBackupDoc(m)
	if v != nil {
		doc.Verified = &verifiedDoc{Level: v.Level, Engine: v.Engine, Seconds: v.Seconds, Assertions: asked}
	}
	if err := a.result(&doc, doc.write); err != nil {
		return err
	}
	if errors.Is(verdict, verify.ErrStructure) {
		return &partial{verdict}
	}
	return nil
}

func (a *app) runVerify(r *repo.Repo, m *repo.Manifest, db *config.Database) (v *repo.Verification, err error) {
	// In the repository, where the next run sweeps what a kill leaves.
	scratch, err := r.Stage(m.Database, "verify-by-hand-"+rand.Text())
	if err != nil {
		return nil, err
	}
	defer func() {
		if rmErr := scratch.Discard(); rmErr != nil {
			a.notef("%v", rmErr)
		}
	}()
	key, err := config.ReadKeyFile(db.KeyFile)
	if err != nil {
		return nil, err
	}
	var assertions []engine.Assertion
	for _, x := range db.Assertions {
		if db.Verify.Level != config.LevelAssert {
			break
		}
		assertions = append(assertions, engine.Assertion{Name: x.Name, SQL: x.SQL, Expect: x.Expect, Timeout: time.Duration(x.Timeout)})
	}
	bar := a.progress()
	defer bar.end()
	v, err = verify.Run(a.ctx, verify.Request{
		FS: r.FS(), Dir: r.BackupDir(m.Database, m.ID), Manifest: m, Key: key, Level: db.Verify.Level, Scratch: scratch.Dir(),
		MemoryLimit: db.Verify.MemoryLimit, Threads: db.Verify.Threads, Timeout: time.Duration(db.Verify.Timeout),
		Command: db.Engine.Command, Assertions: assertions,
		Progress: func(phase string, done, total int64) {
			bar.update(job.Progress{Step: "verify", Phase: phase, Done: done, Total: total})
		},
	})
	if err != nil {
		err = fmt.Errorf("backup %s of %s: %w", m.ID, m.Database, err)
	}
	return v, err
}
