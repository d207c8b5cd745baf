package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// Summary is the outcome of Backup, in the form the starter prints.
type Summary struct {
	Manifest   repo.Manifest
	Checkpoint job.CheckpointResult
	Attempts   int
	Duration   time.Duration
	Pruned     []job.Decision
}

// Backup takes one backup here and now, without Temporal: all four steps, and
// like the workflow a fresh copy where one does not verify. It has the database
// to itself from the copy on, by a lock that ends with the process: nobody
// would go on with its run if it died, so nobody has to wait for that.
func (r *Runner) Backup(ctx context.Context, database string, progress func(job.Progress)) (sum *Summary, err error) {
	start := time.Now()
	run := "local-" + rand.Text()
	sum = &Summary{}
	if sum.Checkpoint, err = r.steps(run).Checkpoint(ctx, database); err != nil {
		return nil, err
	}
	if r, err = r.forRun(database, run); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.held.End()) }()
	steps := r.steps(run)
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, steps.Abandon(ctx, job.AbandonInput{Database: database, Run: run}))
		}
	}()
	id, err := copyAndVerify(ctx, steps, database, run, progress)
	if err != nil {
		return nil, err
	}
	pruned, err := steps.Prune(ctx, job.PruneInput{Database: database, Run: run})
	if err != nil {
		return nil, err
	}
	m, err := r.Repo.Get(database, id)
	if err != nil {
		return nil, err
	}
	sum.Manifest, sum.Attempts, sum.Pruned, sum.Duration = *m, m.Acceptance.Attempts, pruned.Removed, time.Since(start)
	return sum, nil
}

func copyAndVerify(ctx context.Context, steps Steps, database, run string, progress func(job.Progress)) (string, error) {
	for round := 1; ; round++ {
		c, err := steps.Copy(ctx, job.CopyInput{Database: database, Run: run, Round: round}, progress)
		if err != nil {
			return "", err
		}
		_, err = steps.Verify(ctx, job.VerifyInput{Database: database, ID: c.ID, Run: run}, progress)
		if failure.Of(err) == failure.BackupBad && round < job.Rounds {
			continue
		}
		return c.ID, err
	}
}

// forRun is a Runner whose steps, all of one run, share a lease.
func (r *Runner) forRun(database, run string) (*Runner, error) {
	lease, err := r.Repo.Acquire(database, run, r.now())
	if err != nil {
		return nil, err
	}
	own := *r
	own.held = lease
	return &own, nil
}
