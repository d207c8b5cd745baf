package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/restore"
	"canvasback/internal/verify"
	"canvasback/internal/vfs"
)

// evidenceName is the file in a drill's scratch directory that holds what
// DrillVerify found, for DrillRecord.
const evidenceName = "evidence.json"

// maxEvidence bounds that file, in bytes.
const maxEvidence = 64 << 20

// maxFailure bounds what a drill's record says of its failure, in bytes: twenty of
// them must be read again.
const maxFailure = 16 << 10

// scratch opens the scratch directory of a drill, and locks it: a staging area
// in the repository, or in the configured directory, which is laid out as a
// repository and swept like one.
func (r *Runner) scratch(d *config.Database, run string) (*repo.Staging, error) {
	in := r.Repo
	if d.Drill.Directory != "" {
		var err error
		if in, err = repo.Open(r.fs, d.Drill.Directory); err != nil {
			return nil, fmt.Errorf("the scratch directory of drills: %w", err)
		}
	}
	if _, err := in.Sweep(d.Name, staleAfter, r.now()); err != nil {
		return nil, err
	}
	return in.Stage(d.Name, "drill-"+run)
}

// drillStep is what a step of a drill works on. Its scratch directory is locked
// until the step closes it.
type drillStep struct {
	*repo.Staging
	database *config.Database
	manifest *repo.Manifest
}

func (r *Runner) drillStep(in job.DrillStepInput) (*drillStep, error) {
	d, err := r.database(in.Database)
	if err != nil {
		return nil, err
	}
	m, err := r.Repo.Get(d.Name, in.ID)
	if err != nil {
		return nil, err
	}
	scratch, err := r.scratch(d, in.Run)
	if err != nil {
		return nil, err
	}
	return &drillStep{scratch, d, m}, nil
}

// file is the path of the restored database.
func (s *drillStep) file() string { return filepath.Join(s.Dir(), mainFile(s.manifest)) }

// DrillRestore restores the backup to the scratch directory of the run. What an
// attempt before left there is made anew.
func (r *Runner) DrillRestore(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (res job.DrillRestoreResult, err error) {
	s, err := r.drillStep(in)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, f := range s.manifest.Files {
		if err := removeIfThere(s.FS(), filepath.Join(s.Dir(), f.Name)); err != nil {
			return res, err
		}
	}
	meter := newMeter("drill", progress)
	restored, err := restore.Run(ctx, restore.Request{
		FS: s.FS(), Repo: r.Repo, Database: s.database.Name, Backup: in.ID, Target: s.file(), Scratch: true,
		Progress: func(done, total int64) { meter.report("restore", 1, done, total) },
	})
	if err != nil {
		return res, err
	}
	return job.DrillRestoreResult{Bytes: restored.Bytes, Seconds: restored.Seconds}, nil
}

// mainFile is the name of the database file in the manifest.
func mainFile(m *repo.Manifest) string {
	i := slices.IndexFunc(m.Files, func(f repo.File) bool { return filepath.Ext(f.Name) != ".wal" })
	if i < 0 {
		return m.Database + ".duckdb"
	}
	return m.Files[i].Name
}

func removeIfThere(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// DrillVerify proves the restored files as a backup is proved, and that they
// hold what the backup held when it was verified. BackupBad if not.
func (r *Runner) DrillVerify(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (res job.DrillVerifyResult, err error) {
	s, err := r.drillStep(in)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m := s.manifest
	if _, err := s.FS().Lstat(s.file()); err != nil {
		// No fault of the backup's, and nothing that trying again mends.
		return res, failure.Errorf(failure.RunFailed, "the restored files of the drill are gone: %w", err)
	}
	v, err := r.verification(ctx, s.database, proof{s.FS(), m, s.Dir(), s.database.Drill.Level, s.Dir()}, newMeter("drill", progress))
	if v != nil {
		err = errors.Join(err, keepEvidence(s.Staging, v))
	}
	if errors.Is(err, verify.ErrStructure) {
		return res, failure.Errorf(failure.DrillFailed, "backup %s was restored and cannot be opened here: %w", m.ID, err)
	}
	if err != nil {
		return res, err
	}
	if restore.HasTables(m) {
		if diff := restore.Difference(m.Verification, m.Verification.Tables, v.Tables); diff != "" {
			return res, failure.Errorf(failure.BackupBad, "backup %s was restored and does not read as when it was verified: %s", m.ID, diff)
		}
	}
	res = job.DrillVerifyResult{Level: v.Level, Engine: v.Engine, Tables: len(v.Tables), Assertions: len(v.Assertions), Seconds: v.Seconds}
	for _, t := range v.Tables {
		res.Rows += t.Rows
	}
	return res, nil
}

func keepEvidence(s *repo.Staging, v *repo.Verification) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return vfs.WriteAtomic(s.FS(), filepath.Join(s.Dir(), evidenceName), data, 0o600)
}

// DrillRecord puts the evidence beside the backup, once for a run, and removes
// the scratch directory.
func (r *Runner) DrillRecord(_ context.Context, in job.DrillRecordInput) (err error) {
	d, err := r.database(in.Database)
	if err != nil {
		return err
	}
	scratch, err := r.scratch(d, in.Run)
	if err != nil {
		return err
	}
	if in.ID != "" {
		err = r.addDrill(d, in, scratch)
	}
	if failure.Of(err) == failure.UnknownBackup { // pruned meanwhile: no attempt after this one can record it
		return errors.Join(err, scratch.Discard())
	}
	if err != nil {
		return errors.Join(err, scratch.Close())
	}
	return scratch.Discard()
}

func (r *Runner) addDrill(d *config.Database, in job.DrillRecordInput, scratch *repo.Staging) error {
	notes, err := r.Repo.Notes(d.Name, in.ID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(notes.Drills, func(n repo.Drill) bool { return n.Run == in.Run }) {
		return nil
	}
	if len(in.Failure) > maxFailure {
		in.Failure = strings.ToValidUTF8(in.Failure[:maxFailure], "") + " ..."
	}
	n := repo.Drill{
		At: r.now().UTC().Truncate(time.Millisecond), Run: in.Run, Passed: in.Failure == "", Failure: in.Failure, Level: in.Verified.Level, Engine: in.Verified.Engine,
		RestoreSeconds: in.Restored.Seconds, Seconds: in.Restored.Seconds + in.Verified.Seconds, Bytes: in.Restored.Bytes,
		Tables: in.Verified.Tables, Rows: in.Verified.Rows,
	}
	if n.RestoreSeconds > 0 {
		n.BytesPerSecond = float64(n.Bytes) / n.RestoreSeconds
	}
	v, err := evidence(scratch)
	if err != nil {
		return err
	}
	if v != nil {
		n.Level, n.Engine, n.Assertions = v.Level, v.Engine, v.Assertions
	}
	return r.Repo.AddDrill(d.Name, in.ID, n)
}

// evidence is what DrillVerify found; nil where it did not come so far.
func evidence(s *repo.Staging) (*repo.Verification, error) {
	f, err := s.FS().Open(filepath.Join(s.Dir(), evidenceName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the evidence of the drill: %w", err)
	}
	defer f.Close()
	return decodeEvidence(f)
}

func decodeEvidence(r io.Reader) (*repo.Verification, error) {
	var v repo.Verification
	if err := json.NewDecoder(io.LimitReader(r, maxEvidence)).Decode(&v); err != nil {
		return nil, fmt.Errorf("read the evidence of the drill: %w", err)
	}
	return &v, nil
}
