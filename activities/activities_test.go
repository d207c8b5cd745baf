package activities

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// runner has steps that the tests write.
type runner struct {
	checkpoint func(ctx context.Context, database string) (job.CheckpointResult, error)
	copy       func(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error)
	verify     func(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error)
	prune      func(ctx context.Context, in job.PruneInput) (job.PruneResult, error)
	abandon    func(ctx context.Context, in job.AbandonInput) error

	choose       func(ctx context.Context, in job.ChooseInput) (job.ChooseResult, error)
	restore      func(ctx context.Context, in job.RestoreStepInput, progress func(job.Progress)) (job.RestoreResult, error)
	drillRestore func(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillRestoreResult, error)
	drillVerify  func(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillVerifyResult, error)
	drillRecord  func(ctx context.Context, in job.DrillRecordInput) error
}

func (r *runner) Choose(ctx context.Context, in job.ChooseInput) (job.ChooseResult, error) {
	return r.choose(ctx, in)
}

func (r *runner) Restore(ctx context.Context, in job.RestoreStepInput, progress func(job.Progress)) (job.RestoreResult, error) {
	return r.restore(ctx, in, progress)
}

func (r *runner) DrillRestore(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillRestoreResult, error) {
	return r.drillRestore(ctx, in, progress)
}

func (r *runner) DrillVerify(ctx context.Context, in job.DrillStepInput, progress func(job.Progress)) (job.DrillVerifyResult, error) {
	return r.drillVerify(ctx, in, progress)
}

func (r *runner) DrillRecord(ctx context.Context, in job.DrillRecordInput) error {
	return r.drillRecord(ctx, in)
}

func (r *runner) Checkpoint(ctx context.Context, database string) (job.CheckpointResult, error) {
	return r.checkpoint(ctx, database)
}

func (r *runner) Copy(ctx context.Context, in job.CopyInput, progress func(job.Progress)) (job.CopyResult, error) {
	return r.copy(ctx, in, progress)
}

func (r *runner) Verify(ctx context.Context, in job.VerifyInput, progress func(job.Progress)) (job.VerifyResult, error) {
	return r.verify(ctx, in, progress)
}

func (r *runner) Prune(ctx context.Context, in job.PruneInput) (job.PruneResult, error) {
	return r.prune(ctx, in)
}

func (r *runner) Abandon(ctx context.Context, in job.AbandonInput) error { return r.abandon(ctx, in) }

func newEnvironment(a *Activities) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	e := suite.NewTestActivityEnvironment()
	e.RegisterActivity(a)
	e.SetTestTimeout(time.Minute)
	return e
}

func application(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	return app
}

func TestStepsPassTheirInputAndResult(t *testing.T) {
	copyIn := job.CopyInput{Database: "shop", Run: "r1", Round: 2}
	verifyIn := job.VerifyInput{Database: "shop", ID: "b1", Run: "r1"}
	pruneIn := job.PruneInput{Database: "shop", Run: "r1"}
	abandonIn := job.AbandonInput{Database: "shop", Run: "r1"}
	chooseIn := job.ChooseInput{Database: "shop", Backup: "latest", Run: "r1"}
	restoreIn := job.RestoreStepInput{Database: "shop", ID: "b1", Target: "spare"}
	drillIn := job.DrillStepInput{Database: "shop", ID: "b1", Run: "r1"}
	recordIn := job.DrillRecordInput{Database: "shop", ID: "b1", Run: "r1", Failure: "bad"}
	abandoned, recorded := false, false
	a := New(&runner{
		checkpoint: func(_ context.Context, database string) (job.CheckpointResult, error) {
			assert.Equal(t, "shop", database)
			return job.CheckpointResult{Mode: "none"}, nil
		},
		copy: func(_ context.Context, in job.CopyInput, _ func(job.Progress)) (job.CopyResult, error) {
			assert.Equal(t, copyIn, in)
			return job.CopyResult{ID: "b1"}, nil
		},
		verify: func(_ context.Context, in job.VerifyInput, _ func(job.Progress)) (job.VerifyResult, error) {
			assert.Equal(t, verifyIn, in)
			return job.VerifyResult{State: "verified"}, nil
		},
		prune: func(_ context.Context, in job.PruneInput) (job.PruneResult, error) {
			assert.Equal(t, pruneIn, in)
			return job.PruneResult{Removed: []job.Decision{{ID: "b0"}}}, nil
		},
		abandon: func(_ context.Context, in job.AbandonInput) error {
			assert.Equal(t, abandonIn, in)
			abandoned = true
			return nil
		},
		choose: func(_ context.Context, in job.ChooseInput) (job.ChooseResult, error) {
			assert.Equal(t, chooseIn, in)
			return job.ChooseResult{ID: "b1"}, nil
		},
		restore: func(_ context.Context, in job.RestoreStepInput, _ func(job.Progress)) (job.RestoreResult, error) {
			assert.Equal(t, restoreIn, in)
			return job.RestoreResult{Path: "/srv/spare"}, nil
		},
		drillRestore: func(_ context.Context, in job.DrillStepInput, _ func(job.Progress)) (job.DrillRestoreResult, error) {
			assert.Equal(t, drillIn, in)
			return job.DrillRestoreResult{Bytes: 7}, nil
		},
		drillVerify: func(_ context.Context, in job.DrillStepInput, _ func(job.Progress)) (job.DrillVerifyResult, error) {
			assert.Equal(t, drillIn, in)
			return job.DrillVerifyResult{Rows: 8}, nil
		},
		drillRecord: func(_ context.Context, in job.DrillRecordInput) error {
			assert.Equal(t, recordIn, in)
			recorded = true
			return nil
		},
	}, 1)
	tests := []struct {
		name     string
		activity any
		in       any
		want     any
	}{
		{"checkpoint", a.Checkpoint, job.CheckpointInput{Database: "shop"}, job.CheckpointResult{Mode: "none"}},
		{"copy", a.Copy, copyIn, job.CopyResult{ID: "b1", Tries: 1}},
		{"verify", a.Verify, verifyIn, job.VerifyResult{State: "verified"}},
		{"prune", a.Prune, pruneIn, job.PruneResult{Removed: []job.Decision{{ID: "b0"}}}},
		{"choose", a.Choose, chooseIn, job.ChooseResult{ID: "b1"}},
		{"restore", a.Restore, restoreIn, job.RestoreResult{Path: "/srv/spare"}},
		{"drill restore", a.DrillRestore, drillIn, job.DrillRestoreResult{Bytes: 7}},
		{"drill verify", a.DrillVerify, drillIn, job.DrillVerifyResult{Rows: 8}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, err := newEnvironment(a).ExecuteActivity(tt.activity, tt.in)
			require.NoError(t, err)
			var got any
			switch tt.want.(type) {
			case job.CheckpointResult:
				got = read[job.CheckpointResult](t, value)
			case job.CopyResult:
				got = read[job.CopyResult](t, value)
			case job.VerifyResult:
				got = read[job.VerifyResult](t, value)
			case job.PruneResult:
				got = read[job.PruneResult](t, value)
			case job.ChooseResult:
				got = read[job.ChooseResult](t, value)
			case job.RestoreResult:
				got = read[job.RestoreResult](t, value)
			case job.DrillRestoreResult:
				got = read[job.DrillRestoreResult](t, value)
			case job.DrillVerifyResult:
				got = read[job.DrillVerifyResult](t, value)
			}
			assert.Equal(t, tt.want, got)
		})
	}
	_, err := newEnvironment(a).ExecuteActivity(a.Abandon, abandonIn)
	require.NoError(t, err)
	assert.True(t, abandoned)
	_, err = newEnvironment(a).ExecuteActivity(a.DrillRecord, recordIn)
	require.NoError(t, err)
	assert.True(t, recorded)
}

func read[T any](t *testing.T, value converter.EncodedValue) T {
	t.Helper()
	var v T
	require.NoError(t, value.Get(&v))
	return v
}

// Every kind of failure reaches Temporal with its name, its hint and whether
// trying again can help.
func TestEveryKindOfFailureMaps(t *testing.T) {
	require.NotEmpty(t, failure.Kinds)
	seen := map[string]bool{}
	for _, kind := range failure.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			require.NotEmpty(t, kind.Name)
			assert.False(t, seen[kind.Name], "a name of its own")
			seen[kind.Name] = true
			a := New(&runner{abandon: func(context.Context, job.AbandonInput) error {
				return failure.Errorf(kind, "something about %s", "/srv/shop.duckdb")
			}}, 1)
			_, err := newEnvironment(a).ExecuteActivity(a.Abandon, job.AbandonInput{})
			app := application(t, err)
			assert.Equal(t, kind.Name, app.Type())
			assert.Equal(t, !kind.Retry, app.NonRetryable())
			hint := kind.Hint
			if kind == failure.Unexpected {
				hint = job.DefaultHint
			}
			assert.Equal(t, "something about /srv/shop.duckdb\nhint: "+hint, app.Message())
		})
	}
	t.Run("an error of no kind is retried as unexpected", func(t *testing.T) {
		app := application(t, applicationError(errors.New("boom"), 1))
		assert.Equal(t, "Unexpected", app.Type())
		assert.False(t, app.NonRetryable())
		assert.Equal(t, "boom\nhint: "+job.DefaultHint, app.Message())
	})
}

func TestPatienceEnds(t *testing.T) {
	tests := []struct {
		kind    *failure.Kind
		attempt int32
		final   bool
	}{
		{failure.Corrupt, patience - 1, false},
		{failure.Corrupt, patience, true},
		{failure.Unexpected, patience, true},
		{failure.Busy, 10 * patience, false},
		{failure.TemporalUnreachable, 10 * patience, false},
		{failure.NotDuckDB, 1, true},
	}
	for _, tt := range tests {
		app := application(t, applicationError(failure.Errorf(tt.kind, "no"), tt.attempt))
		assert.Equal(t, tt.final, app.NonRetryable(), "%s, attempt %d", tt.kind.Name, tt.attempt)
	}
}

func TestProgressIsHeartbeat(t *testing.T) {
	heard := make(chan job.Progress, 100)
	a := New(&runner{copy: func(ctx context.Context, _ job.CopyInput, progress func(job.Progress)) (job.CopyResult, error) {
		// As a runner that reports often, until it was heard.
		for done := int64(1); ; done++ {
			progress(job.Progress{Step: "copy", Phase: "blocks", Attempt: 1, Done: done, Total: 1 << 40})
			select {
			case p := <-heard:
				if p.Phase == "blocks" {
					return job.CopyResult{ID: "b1"}, nil
				}
			case <-ctx.Done():
				return job.CopyResult{}, ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
	}}, 1)
	e := newEnvironment(a)
	e.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var p job.Progress
		if assert.NoError(t, details.Get(&p)) {
			heard <- p
		}
	})
	_, err := e.ExecuteActivity(a.Copy, job.CopyInput{})
	require.NoError(t, err)
}

// The step ends at once when its worker begins to stop, and its next attempt
// may begin at once too.
func TestStopOfTheWorkerEndsTheStepInGoodOrder(t *testing.T) {
	stop := make(chan struct{})
	a := New(&runner{copy: func(ctx context.Context, _ job.CopyInput, _ func(job.Progress)) (job.CopyResult, error) {
		close(stop)
		<-ctx.Done()
		return job.CopyResult{}, failure.Errorf(failure.BackupBad, "half a copy: %w", context.Cause(ctx))
	}}, 1)
	e := newEnvironment(a)
	e.SetWorkerStopChannel(stop)
	_, err := e.ExecuteActivity(a.Copy, job.CopyInput{})
	app := application(t, err)
	assert.Equal(t, job.WorkerStopping, app.Type(), "not what the step said of it")
	assert.False(t, app.NonRetryable())
	assert.Equal(t, time.Second, app.NextRetryDelay())
	assert.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category())
}

func TestInterruptionsAreToldAsWhatTheyAre(t *testing.T) {
	tests := []struct {
		name  string
		cause error
		check func(t *testing.T, err error)
	}{
		{"cancelled", temporal.NewCanceledError(), func(t *testing.T, err error) { assert.True(t, temporal.IsCanceledError(err)) }},
		{"paused", activity.ErrActivityPaused, func(t *testing.T, err error) { assert.ErrorIs(t, err, activity.ErrActivityPaused) }},
		{"reset", activity.ErrActivityReset, func(t *testing.T, err error) { assert.ErrorIs(t, err, activity.ErrActivityReset) }},
		{"a heartbeat that the server did not take", errors.New("deadline exceeded"), func(t *testing.T, err error) {
			app := application(t, err)
			assert.Equal(t, "TemporalUnreachable", app.Type())
			assert.False(t, app.NonRetryable())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(tt.cause)
			s := &step{ctx: ctx, name: "copy", attempt: 1}
			tt.check(t, s.outcome(failure.Errorf(failure.BackupBad, "half a copy")))
			assert.NoError(t, s.outcome(nil), "what was done all the same is done")
		})
	}
}

func TestCopiesWaitForTheirTurn(t *testing.T) {
	const copies = 2
	var now, most atomic.Int32
	entered := make(chan struct{}, 10)
	goOn := make(chan struct{})
	work := func(ctx context.Context) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		entered <- struct{}{}
		select {
		case <-goOn:
		case <-ctx.Done():
		}
	}
	a := New(&runner{copy: func(ctx context.Context, _ job.CopyInput, _ func(job.Progress)) (job.CopyResult, error) {
		work(ctx)
		return job.CopyResult{}, ctx.Err()
	}}, copies)
	done := make(chan error, 5)
	for range cap(done) {
		go func() {
			_, err := newEnvironment(a).ExecuteActivity(a.Copy, job.CopyInput{})
			done <- err
		}()
	}
	<-entered
	<-entered
	close(goOn)
	for range cap(done) {
		assert.NoError(t, <-done)
	}
	assert.Equal(t, int32(copies), most.Load())
}

// Who came first is first, and who gave up is passed over.
func TestTurnsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(&runner{}, 2)
		var order []int
		var mu sync.Mutex
		gaveUp := errors.New("gave up")
		var leave []context.CancelCauseFunc
		for i := range 200 {
			s := &step{name: "copy"}
			s.ctx, s.cancel = context.WithCancelCause(t.Context())
			leave = append(leave, s.cancel)
			go func() {
				release, err := a.slot(s)
				if err != nil {
					assert.ErrorIs(t, err, gaveUp)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Second)
				release()
			}()
			synctest.Wait()
		}
		for i := 10; i < 200; i += 10 {
			leave[i](gaveUp)
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, order, 200-19)
		for i, n := range order {
			assert.False(t, n >= 10 && n%10 == 0, "%d gave up", n)
			if i >= 2 { // two go on at the same moment
				assert.Greater(t, n, order[i-2])
			}
		}
	})
}

// A worker that stops does not leave those behind that wait for their turn.
func TestStopEndsTheWait(t *testing.T) {
	a := New(&runner{}, 1)
	a.slots <- struct{}{}
	stop := make(chan struct{})
	e := newEnvironment(a)
	e.SetWorkerStopChannel(stop)
	e.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var p job.Progress
		if details.Get(&p) == nil && p.Phase != "starting" {
			assert.Equal(t, "waiting for another database's backup", p.Phase)
		}
	})
	time.AfterFunc(10*time.Millisecond, func() { close(stop) })
	_, err := e.ExecuteActivity(a.Copy, job.CopyInput{})
	assert.Equal(t, job.WorkerStopping, application(t, err).Type())
}
