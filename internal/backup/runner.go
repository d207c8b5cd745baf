package backup

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/job"
	"canvasback/internal/pace"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

const (
	// leaseBetween is how long a run keeps its database between two steps
	// without doing anything: the time that a worker may take to come back.
	leaseBetween = 5 * time.Minute
	// staleAfter is the age at which staged files whose process is gone are
	// swept. No run lives so long.
	staleAfter = 24 * time.Hour
)

// Runner holds what the steps need. Its methods are safe for concurrent use.
type Runner struct {
	Config *config.Config
	Repo   *repo.Repo
	fs     vfs.FS
	clock  func() time.Time // nil: the machine's
	pace   *pace.Pace       // of all copies; nil: no bound
	held   *repo.Lease      // of the one run that this Runner is for; nil: each step takes its own
	// Through, if it is set, is what the runs of Backup and Drill take their steps
	// through, so that somebody sees how each ends.
	Through func(run string, steps *Runner) Steps
}

// Steps are the steps of runs without Temporal.
type Steps interface {
	Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error)
	Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error)
	Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error)
	Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error)
	Abandon(ctx context.Context, in job.AbandonInput) error

	Choose(ctx context.Context, in job.ChooseInput) (job.ChooseResult, error)
	DrillRestore(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillRestoreResult, error)
	DrillVerify(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillVerifyResult, error)
	DrillRecord(ctx context.Context, in job.DrillRecordInput) error
}

func (r *Runner) steps(run string) Steps {
	if r.Through == nil {
		return r
	}
	return r.Through(run, r)
}

// New opens the repository that cfg names and checks that it can be written.
// A full one is opened all the same: what makes room in it is Prune.
func New(cfg *config.Config) (*Runner, error) { return NewOn(vfs.OS(), cfg, time.Now) }

// NewOn is New on another file system and by another clock, by which leases
// and the age of what was left behind are measured. The engine opens the files
// of the machine whatever fsys is: on a file system in memory a backup can be
// verified by its bytes only.
func NewOn(fsys vfs.FS, cfg *config.Config, clock func() time.Time) (*Runner, error) {
	r, err := repo.Open(fsys, cfg.Repository)
	if err != nil {
		return nil, err
	}
	if err := r.CheckWritable(); err != nil && failure.Of(err) != failure.RepoFull {
		return nil, err
	}
	return &Runner{Config: cfg, Repo: r, fs: r.FS(), clock: clock, pace: newPace(cfg.Bandwidth)}, nil
}

func (r *Runner) now() time.Time {
	if r.clock == nil {
		return time.Now()
	}
	return r.clock()
}

func (r *Runner) database(name string) (*config.Database, error) {
	d, ok := r.Config.Database(name)
	if !ok {
		return nil, failure.Errorf(failure.UnknownDatabase, "no database %q in the configuration of host %s", name, r.Config.Host)
	}
	return d, nil
}

// manifest describes an accepted copy that is not verified yet.
func manifest(in *config.Database, key string, started time.Time, res *hotcopy.Result, tool string) *repo.Manifest {
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, res.Iteration, key),
		Database: in.Name, State: repo.StateCopied, Run: key, Started: started, Finished: time.Now().UTC(),
		Source: repo.Source{
			Path: in.Path, Device: res.Device, Inode: res.Inode, Bytes: res.SourceBytes,
			Iteration: res.Iteration, StorageVersion: res.Storage, Library: res.Library,
			BlockBytes: res.BlockBytes, Blocks: res.Blocks, FreeBlocks: res.FreeBlocks,
			EngineVersion: res.EngineVersion, Encrypted: res.Encrypted, Opaque: res.Opaque,
			OwnerPID: res.OwnerPID, OwnerExe: hotcopy.Executable(res.OwnerPID),
		},
		Acceptance: repo.Acceptance{
			Rule: res.Rule, Attempts: res.Attempts, WALBytes: res.WALBytes, Commits: res.Commits,
			BytesRead: res.BytesRead, BytesResumed: res.BytesResumed, Cloned: res.Cloned, Evidence: res.Evidence,
		},
		Tags: in.Tags, Tool: tool,
	}
	m.Acceptance.Seconds = m.Finished.Sub(started).Seconds()
	for _, f := range res.Files {
		m.Files = append(m.Files, repo.File{Name: f.Name, Bytes: f.Bytes, SHA256: f.SHA256})
	}
	return m
}

// Bytes is the size of the backup's files.
func Bytes(m *repo.Manifest) int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// checkApart refuses a repository that holds the database file, or the reverse.
func (r *Runner) checkApart(d *config.Database) error {
	rel, err := filepath.Rel(d.Path, r.Repo.Dir())
	if err == nil && (rel == "." || filepath.IsLocal(rel)) {
		return failure.Errorf(failure.RepoOverlap, "the repository %s lies inside the database path %s", r.Repo.Dir(), d.Path)
	}
	return nil
}

func runKey(run string, round int) string { return fmt.Sprintf("%s-%d", run, round) }
