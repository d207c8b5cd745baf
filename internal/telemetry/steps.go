package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"

	"canvasback/activities"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// Names of steps, in log lines and labels.
const (
	stepCheckpoint   = "checkpoint"
	stepCopy         = "copy"
	stepVerify       = "verify"
	stepPrune        = "prune"
	stepAbandon      = "abandon"
	stepChoose       = "choose"
	stepRestore      = "restore"
	stepDrillRestore = "drill-restore"
	stepDrillVerify  = "drill-verify"
	stepDrillRecord  = "drill-record"
	stepAnnounce     = "announce"
)

var stepNames = []string{
	stepCheckpoint, stepCopy, stepVerify, stepPrune, stepAbandon,
	stepChoose, stepRestore, stepDrillRestore, stepDrillVerify, stepDrillRecord, stepAnnounce,
}

// stepTypes are the names that Temporal has for the steps.
var stepTypes = []string{
	"Checkpoint", "Copy", "Verify", "Prune", "Abandon", "Choose", "Restore", "DrillRestore", "DrillVerify", "DrillRecord", "Announce",
}

func isStep(activityType string) bool { return slices.Contains(stepTypes, activityType) }

// Outcomes of an attempt of a step.
const (
	done        = "done"
	retry       = "retry"       // it failed, and Temporal tries it again
	failed      = "failed"      // for good
	interrupted = "interrupted" // cancelled, or its worker is being stopped
)

// Recorder writes down how steps end: a log line each, metrics, and attributes
// of the span that they run in, if there is one.
type Recorder struct {
	log     *slog.Logger
	metrics *Metrics
	scrub   *scrubber
}

// NewRecorder makes one. It is safe for concurrent use.
func NewRecorder(log *slog.Logger, m *Metrics) *Recorder {
	return &Recorder{log: log, metrics: m, scrub: environment()}
}

// Steps are next's, written down.
func (r *Recorder) Steps(next activities.Steps) activities.Steps { return &steps{next, r, ""} }

// StepsOf are Steps of a run without Temporal, which knows the run by itself.
func (r *Recorder) StepsOf(run string, next activities.Steps) activities.Steps {
	return &steps{next, r, run}
}

// Announcer is next, written down. A run of which nobody is to be told is no step.
func (r *Recorder) Announcer(next activities.Announcer) activities.Announcer {
	return &announcer{next, r}
}

type announcer struct {
	activities.Announcer
	recorder *Recorder
}

func (n *announcer) Announce(ctx context.Context, in job.AnnounceInput) (res job.AnnounceResult, err error) {
	a := n.recorder.begin(ctx, stepAnnounce, in.Database, in.Run)
	a.backup = in.Backup
	res, err = n.Announcer.Announce(ctx, in)
	if res.Nobody && err == nil {
		a.ended()
		return res, nil
	}
	a.metrics.announced(in.Database, res)
	a.end(err)
	return res, err
}

// steps passes on as they are those that it has no method for.
type steps struct {
	activities.Steps
	recorder *Recorder
	run      string
}

// attempt is one attempt of a step that is being made.
type attempt struct {
	*Recorder
	ctx                         context.Context
	step, database, run, backup string
	number                      int32
	most                        int32 // attempts that Temporal makes; 0: no end
	began                       time.Time
	ended                       func()
}

func (s *steps) begin(ctx context.Context, step, database, run string) *attempt {
	if run == "" {
		run = s.run
	}
	return s.recorder.begin(ctx, step, database, run)
}

func (r *Recorder) begin(ctx context.Context, step, database, run string) *attempt {
	a := &attempt{
		Recorder: r, ctx: ctx, step: step, database: database, run: run, number: 1, most: 1,
		began: time.Now(), ended: r.metrics.at(database, step),
	}
	if activity.IsActivity(ctx) {
		info := activity.GetInfo(ctx)
		a.number, a.most = info.Attempt, 0
		if info.RetryPolicy != nil {
			a.most = info.RetryPolicy.MaximumAttempts
		}
		if a.run == "" {
			a.run = info.WorkflowExecution.RunID
		}
	}
	return a
}

// end is to be called once, with what the step returned.
func (a *attempt) end(err error) {
	a.ended()
	seconds := time.Since(a.began).Seconds()
	outcome, level := a.outcome(err)
	var kind *failure.Kind
	var name, text string
	switch {
	case outcome == interrupted:
		name, text = failure.Interrupted.Name, context.Cause(a.ctx).Error()
	case err != nil:
		kind = failure.Of(err)
		name, text = kind.Name, err.Error()
	}
	a.metrics.step(a.database, a.step, outcome, kind, seconds)
	a.log.Log(context.WithoutCancel(a.ctx), level, "Step",
		"step", a.step, "database", a.database, "run", a.run, "backup", a.backup, "attempt", a.number,
		"seconds", seconds, "outcome", outcome, "kind", name, "error", text)
	trace.SpanFromContext(a.ctx).SetAttributes(
		attribute.String("canvasback.step", a.step), attribute.String("canvasback.database", a.database), attribute.String("canvasback.run", a.run),
		attribute.String("canvasback.backup", a.backup), attribute.Int("canvasback.attempt", int(a.number)), attribute.String("canvasback.outcome", outcome))
}

func (a *attempt) outcome(err error) (string, slog.Level) {
	switch {
	case err == nil:
		return done, slog.LevelInfo
	case a.ctx.Err() != nil:
		return interrupted, slog.LevelWarn
	case activities.Final(err, a.number), a.most > 0 && a.number >= a.most:
		return failed, slog.LevelError
	}
	return retry, slog.LevelWarn
}

func (s *steps) Checkpoint(ctx context.Context, database string) (res job.CheckpointResult, err error) {
	a := s.begin(ctx, stepCheckpoint, database, "")
	defer func() { a.end(err) }()
	return s.Steps.Checkpoint(ctx, database)
}

func (s *steps) Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (res job.CopyResult, err error) {
	a := s.begin(ctx, stepCopy, in.Database, in.Run)
	defer func() { a.end(err) }()
	if res, err = s.Steps.Copy(ctx, in, progress); err == nil {
		a.backup = res.ID
		a.metrics.copied(in.Database, res)
		trace.SpanFromContext(ctx).SetAttributes(attribute.String("canvasback.rule", res.Rule), attribute.Int64("canvasback.bytes", res.Bytes))
	}
	return res, err
}

func (s *steps) Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (res job.VerifyResult, err error) {
	a := s.begin(ctx, stepVerify, in.Database, in.Run)
	a.backup = in.ID
	defer func() { a.end(err) }()
	res, err = s.Steps.Verify(ctx, in, progress)
	switch {
	case err == nil:
		a.metrics.verified(in.Database, res.State)
	case failure.Of(err) == failure.BackupBad:
		a.metrics.verified(in.Database, "failed")
	}
	return res, err
}

func (s *steps) Prune(ctx context.Context, in job.PruneInput) (res job.PruneResult, err error) {
	a := s.begin(ctx, stepPrune, in.Database, in.Run)
	defer func() { a.end(err) }()
	res, err = s.Steps.Prune(ctx, in)
	a.metrics.pruned(in.Database, res) // also what was done before it failed
	return res, err
}

func (s *steps) Abandon(ctx context.Context, in job.AbandonInput) (err error) {
	a := s.begin(ctx, stepAbandon, in.Database, in.Run)
	defer func() { a.end(err) }()
	return s.Steps.Abandon(ctx, in)
}

func (s *steps) Choose(ctx context.Context, in job.ChooseInput) (res job.ChooseResult, err error) {
	a := s.begin(ctx, stepChoose, in.Database, in.Run)
	defer func() { a.backup = res.ID; a.end(err) }()
	return s.Steps.Choose(ctx, in)
}

func (s *steps) Restore(ctx context.Context, in job.RestoreStepInput, progress func(job.Progress)) (res job.RestoreResult, err error) {
	a := s.begin(ctx, stepRestore, in.Database, "")
	a.backup = in.ID
	defer func() { a.end(err) }()
	if res, err = s.Steps.Restore(ctx, in, progress); err == nil {
		a.metrics.restored(in.Database, res.Bytes)
	}
	return res, err
}

func (s *steps) DrillRestore(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (res job.DrillRestoreResult, err error) {
	a := s.begin(ctx, stepDrillRestore, in.Database, in.Run)
	a.backup = in.ID
	defer func() { a.end(err) }()
	if res, err = s.Steps.DrillRestore(ctx, in, progress); err == nil {
		a.metrics.restored(in.Database, res.Bytes)
	}
	return res, err
}

func (s *steps) DrillVerify(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (res job.DrillVerifyResult, err error) {
	a := s.begin(ctx, stepDrillVerify, in.Database, in.Run)
	a.backup = in.ID
	defer func() { a.end(err) }()
	return s.Steps.DrillVerify(ctx, in, progress)
}

func (s *steps) DrillRecord(ctx context.Context, in job.DrillRecordInput) (err error) {
	a := s.begin(ctx, stepDrillRecord, in.Database, in.Run)
	a.backup = in.ID
	defer func() { a.end(err) }()
	return s.Steps.DrillRecord(ctx, in)
}
