package backup

import (
	"context"
	"errors"
	"time"

	"canvasback/internal/checkpoint"
	"canvasback/internal/config"
	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/hold"
	"canvasback/internal/hotcopy"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
	"canvasback/internal/vfs"
)

// Checkpoint asks the owner of the database to fold its WAL.
func (r *Runner) Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error) {
	d, err := r.database(database)
	if err != nil {
		return job.CheckpointResult{}, err
	}
	return checkpoint.Run(ctx, checkpoint.Request{
		FS: r.fs, Path: d.Path, Options: d.Checkpoint,
		Observe: func() (checkpoint.Observation, error) { return r.observe(d) },
	})
}

func (r *Runner) observe(d *config.Database) (checkpoint.Observation, error) {
	key, err := fileKey(d)
	if err != nil {
		return checkpoint.Observation{}, err
	}
	in, err := hotcopy.Inspect(r.fs, d.Path, key)
	if err != nil {
		return checkpoint.Observation{}, err
	}
	o := checkpoint.Observation{Iteration: in.Iteration}
	if in.WAL != nil {
		o.WALBytes = in.WAL.Bytes
	}
	if in.Owner != nil {
		o.Held, o.OwnerPID, o.OwnerExe = true, in.Owner.PID, in.Owner.Executable
	}
	return o, nil
}

// Copy makes, or resumes, the copy of the run's round and commits it in state
// copied. A round that is committed already is returned as it is.
func (r *Runner) Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (res job.CopyResult, err error) {
	d, err := r.database(in.Database)
	if err != nil {
		return res, err
	}
	if err := r.checkApart(d); err != nil {
		return res, err
	}
	done, err := r.lease(d.Name, in.Run)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, done()) }()
	key := runKey(in.Run, in.Round)
	m, err := r.Repo.FindRun(d.Name, key)
	if err != nil || m != nil {
		return copyResult(m), err
	}
	if _, err := r.Repo.Sweep(d.Name, staleAfter, r.now()); err != nil {
		return res, err
	}
	if m, err = r.copyInto(ctx, d, key, progress); err != nil {
		return res, err
	}
	return copyResult(m), nil
}

func (r *Runner) copyInto(ctx context.Context, d *config.Database, key string, progress func(job.Progress)) (m *repo.Manifest, err error) {
	stage, err := r.Repo.Stage(d.Name, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	started := r.now().UTC().Truncate(time.Millisecond)
	meter := newMeter("copy", progress)
	options, err := r.copyOptions(d, stage.Dir())
	if err != nil {
		return nil, err
	}
	limiter, done := r.limiter(d)
	defer done()
	options.Limiter = limiter
	options.Progress = func(p hotcopy.Progress) {
		meter.rule = p.Rule
		meter.report(p.Phase, p.Attempt, p.Done, p.Total)
	}
	res, err := hotcopy.Copy(ctx, options)
	if err != nil {
		return nil, err
	}
	if res.Began.Before(started) {
		started = res.Began.UTC().Truncate(time.Millisecond) // an earlier process began what this one finished
	}
	m = manifest(d, key, started, res, tool())
	return m, stage.Commit(m)
}

// copyOptions are what the configuration says of a copy into dir.
func (r *Runner) copyOptions(d *config.Database, dir string) (hotcopy.Options, error) {
	key, err := fileKey(d)
	if err != nil {
		return hotcopy.Options{}, err
	}
	options := hotcopy.Options{
		FS: r.fs, Path: d.Path, Key: key, Dir: dir, Name: d.Name,
		EngineVersion: d.EngineVersion, Settle: time.Duration(d.Copy.Settle), Barrier: d.Copy.Barrier,
		MaxAttempts: d.Copy.Attempts, MaxTime: time.Duration(d.Copy.Timeout),
		NeverClone: d.Copy.Clone == config.CloneNever, AllowNetwork: d.Copy.Network,
	}
	if h := hold.New(d.Hold, d.Path); h != nil { // a nil *hold.Hold would be a Hold
		options.Hold, options.HoldRequired = h, d.Hold.OnError == config.OnErrorFail
	}
	return options, nil
}

// fileKey is the database's encryption key, nil if it has none.
func fileKey(d *config.Database) (*duckfile.Key, error) {
	key, err := config.ReadKeyFile(d.KeyFile)
	if err != nil || key == "" {
		return nil, err
	}
	return duckfile.NewKey(key), nil
}

func copyResult(m *repo.Manifest) job.CopyResult {
	if m == nil {
		return job.CopyResult{}
	}
	a := m.Acceptance
	return job.CopyResult{
		ID: m.ID, Rule: a.Rule, Attempts: a.Attempts, Bytes: Bytes(m), WALBytes: a.WALBytes,
		BytesRead: a.BytesRead, BytesResumed: a.BytesResumed, Seconds: a.Seconds,
	}
}

// Verify checks the backup and moves its manifest to verified, structure or
// failed. A verdict against the copy is an error of kind BackupBad too. Where
// the engine ran out of time or memory, VerifyTimeout or VerifyMemory, the state
// stays as it is, and a copied backup shows the reason.
func (r *Runner) Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (res job.VerifyResult, err error) {
	d, err := r.database(in.Database)
	if err != nil {
		return res, err
	}
	done, err := r.lease(d.Name, in.Run)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, done()) }()
	reading, err := r.Repo.Read(d.Name, in.ID)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, reading.Close()) }()
	m := reading.Manifest()
	verdict := r.check(ctx, d, m, progress)
	switch kind := failure.Of(verdict); {
	case verdict == nil:
		m.State, m.Failure = repo.StateVerified, ""
	case errors.Is(verdict, verify.ErrStructure):
		m.State, m.Failure = repo.StateStructure, ""
		verdict = nil
	case verify.Undecided(verdict):
		if m.State != repo.StateCopied {
			return res, verdict // what an earlier verification found holds
		}
	case kind == failure.BackupBad:
		m.State, m.Failure = repo.StateFailed, verdict.Error()
	default:
		return res, verdict
	}
	err = r.Repo.Update(d.Name, m.ID, func(now *repo.Manifest) error {
		now.State, now.Failure, now.Verification = m.State, m.Failure, m.Verification
		return nil
	})
	// What did not pass may go by the policy, which a reader would hold up.
	if err = errors.Join(err, reading.Close()); err != nil {
		return res, err
	}
	if verify.Undecided(verdict) {
		return res, verdict
	}
	if verdict != nil {
		return res, errors.Join(verdict, r.removeFailed(ctx, d))
	}
	return verifyResult(m), nil
}

// check runs the verification in a scratch directory of its own and fills in
// the evidence.
func (r *Runner) check(ctx context.Context, d *config.Database, m *repo.Manifest, progress func(job.Progress)) (err error) {
	scratch, err := r.Repo.Stage(d.Name, "verify-"+m.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scratch.Discard()) }()
	v, err := r.verification(ctx, d, proof{r.fs, m, r.Repo.BackupDir(d.Name, m.ID), d.Verify.Level, scratch.Dir()}, newMeter("verify", progress))
	if v != nil {
		m.Verification = v
	}
	return err
}

// proof says which files are proved, and how deep.
type proof struct {
	fs                  vfs.FS
	manifest            *repo.Manifest
	dir, level, scratch string
}

// verification reads the files with the limits and the engine of the database.
func (r *Runner) verification(ctx context.Context, d *config.Database, p proof, meter *meter) (*repo.Verification, error) {
	key, err := config.ReadKeyFile(d.KeyFile)
	if err != nil {
		return nil, err
	}
	return verify.Run(ctx, verify.Request{
		FS: p.fs, Dir: p.dir, Manifest: p.manifest, Key: key, Level: p.level, Scratch: p.scratch,
		MemoryLimit: d.Verify.MemoryLimit, Threads: d.Verify.Threads, Timeout: time.Duration(d.Verify.Timeout),
		Command: d.Engine.Command, Assertions: assertions(d, p.level),
		Progress: func(phase string, done, total int64) { meter.report(phase, 1, done, total) },
	})
}

// assertions are those that are asked at the level: below assert none.
func assertions(d *config.Database, level string) []engine.Assertion {
	if level != config.LevelAssert {
		return nil
	}
	var out []engine.Assertion
	for _, a := range d.Assertions {
		out = append(out, engine.Assertion{Name: a.Name, SQL: a.SQL, Expect: a.Expect, Timeout: time.Duration(a.Timeout)})
	}
	return out
}

func verifyResult(m *repo.Manifest) job.VerifyResult {
	res := job.VerifyResult{State: string(m.State)}
	if v := m.Verification; v != nil {
		res.Level, res.Engine, res.Tables, res.Seconds, res.Reason = v.Level, v.Engine, len(v.Tables), v.Seconds, v.Reason
		res.Blocks, res.Assertions = v.Blocks, len(v.Assertions)
		for _, t := range v.Tables {
			res.Rows += t.Rows
		}
	}
	return res
}

// Abandon removes what the run had staged and ends its lease. A backup that was
// committed stays: unverified ones go by the policy.
func (r *Runner) Abandon(ctx context.Context, in job.AbandonInput) (err error) {
	d, err := r.database(in.Database)
	if err != nil {
		return err
	}
	done, err := r.lastLease(d.Name, in.Run)
	if failure.Of(err) == failure.Busy {
		return nil // another run has taken over; it sweeps
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for round := 1; round <= job.Rounds; round++ {
		m, err := r.Repo.FindRun(d.Name, runKey(in.Run, round))
		if err != nil {
			return err
		}
		if m != nil {
			continue
		}
		if err := r.Repo.Unstage(d.Name, runKey(in.Run, round)); err != nil {
			return err
		}
	}
	return nil
}

// lease takes the database for one step of the run; the returned function ends
// the step and keeps the database for the run's next one.
func (r *Runner) lease(database, run string) (func() error, error) {
	if r.held != nil {
		return func() error { return nil }, nil
	}
	l, err := r.Repo.Acquire(database, run, r.now())
	if err != nil {
		return nil, err
	}
	return func() error { return l.Close(r.now().Add(leaseBetween)) }, nil
}

// lastLease is lease for the run's last step: the returned function gives the
// database up.
func (r *Runner) lastLease(database, run string) (func() error, error) {
	if r.held != nil {
		return func() error { return nil }, nil
	}
	l, err := r.Repo.Acquire(database, run, r.now())
	if err != nil {
		return nil, err
	}
	return l.End, nil
}
