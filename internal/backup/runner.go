// Package backup runs the four steps of a backup on this host: checkpoint,
// copy, verify and prune. The activities call one step each, the starter's
// local mode all of them.
package backup

import (
	"context"
	"errors"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// Runner holds what the steps need. Its methods are safe for concurrent use.
type Runner struct {
	Config *config.Config
}

// New opens the repository that cfg names.
func New(cfg *config.Config) (*Runner, error) { return nil, errors.New("backup: not built yet") }

// Checkpoint asks the owner of the database to fold its WAL.
func (r *Runner) Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error) {
	return job.CheckpointResult{}, errors.New("backup: not built yet")
}

// Copy makes, or resumes, the copy of the run and commits it as state copied.
func (r *Runner) Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error) {
	return job.CopyResult{}, errors.New("backup: not built yet")
}

// Verify checks the backup and moves its manifest to verified, structure or
// failed. A verdict against the copy is an error too.
func (r *Runner) Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error) {
	return job.VerifyResult{}, errors.New("backup: not built yet")
}

// Prune applies the retention policy.
func (r *Runner) Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error) {
	return job.PruneResult{}, errors.New("backup: not built yet")
}

// Abandon removes what the run had staged.
func (r *Runner) Abandon(ctx context.Context, in job.AbandonInput) error {
	return errors.New("backup: not built yet")
}

// Summary is the outcome of Backup, in the form the starter prints.
type Summary struct {
	Manifest repo.Manifest
	Attempts int
	Duration time.Duration
	Pruned   []job.Decision
}

// Backup takes one backup here and now, without Temporal: all four steps.
func (r *Runner) Backup(ctx context.Context, database string, progress func(job.Progress)) (*Summary, error) {
	return nil, errors.New("backup: not built yet")
}
