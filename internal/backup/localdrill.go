package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// Drill runs one drill here and now, without Temporal, by the steps of the
// workflow. DrillFailed where the backup is to blame.
func (r *Runner) Drill(ctx context.Context, in job.DrillInput, progress func(job.Progress)) (job.DrillResult, error) {
	run := "local-" + rand.Text()
	steps := r.steps(run)
	chosen, err := steps.Choose(ctx, job.ChooseInput{Database: in.Database, Backup: in.Backup, Run: run, Drill: true})
	if err != nil {
		return job.DrillResult{}, err
	}
	outcome := job.DrillRecordInput{Database: in.Database, Run: run, ID: chosen.ID}
	step := job.DrillStepInput{Database: in.Database, ID: chosen.ID, Run: run}
	outcome.Restored, err = steps.DrillRestore(ctx, step, progress)
	if err == nil {
		outcome.Verified, err = steps.DrillVerify(ctx, step, progress)
	}
	switch {
	case ctx.Err() != nil:
		outcome.ID = "" // no evidence of anything
	case failure.Of(err) == failure.BackupBad:
		err = failure.Errorf(failure.DrillFailed, "%w", err)
		fallthrough
	case err != nil:
		outcome.Failure = err.Error()
	}
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := errors.Join(err, steps.DrillRecord(recording, outcome)); err != nil {
		return job.DrillResult{}, err
	}
	return outcome.Result(), nil
}
