package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"canvasback/activities"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// fake answers every step with what the test says.
type fake struct {
	activities.Steps
	err error
}

func (f *fake) Checkpoint(context.Context, string) (job.CheckpointResult, error) {
	return job.CheckpointResult{}, f.err
}

func (f *fake) Copy(context.Context, job.CopyInput, func(job.Progress)) (job.CopyResult, error) {
	return job.CopyResult{ID: "b1", Rule: "A", Attempts: 3, Bytes: 1000, BytesRead: 700, BytesResumed: 300}, f.err
}

func (f *fake) Verify(context.Context, job.VerifyInput, func(job.Progress)) (job.VerifyResult, error) {
	return job.VerifyResult{State: "verified"}, f.err
}

func (f *fake) Prune(context.Context, job.PruneInput) (job.PruneResult, error) {
	return job.PruneResult{Kept: make([]job.Decision, 2), Removed: make([]job.Decision, 1)}, f.err
}

func (f *fake) Abandon(context.Context, job.AbandonInput) error { return f.err }

func (f *fake) Choose(context.Context, job.ChooseInput) (job.ChooseResult, error) {
	return job.ChooseResult{ID: "b1"}, f.err
}

func (f *fake) Restore(context.Context, job.RestoreStepInput, func(job.Progress)) (job.RestoreResult, error) {
	return job.RestoreResult{Bytes: 10}, f.err
}

func (f *fake) DrillRestore(context.Context, job.DrillStepInput, func(job.Progress)) (job.DrillRestoreResult, error) {
	return job.DrillRestoreResult{Bytes: 20}, f.err
}

func (f *fake) DrillVerify(context.Context, job.DrillStepInput, func(job.Progress)) (job.DrillVerifyResult, error) {
	return job.DrillVerifyResult{}, f.err
}

func (f *fake) DrillRecord(context.Context, job.DrillRecordInput) error { return f.err }

func (f *fake) Announce(context.Context, job.AnnounceInput) (job.AnnounceResult, error) {
	return job.AnnounceResult{Told: make([]job.Told, 2), Untold: make([]job.Undelivered, 1)}, f.err
}

// every step once, by its name.
var every = map[string]func(s activities.Steps) error{
	stepCheckpoint: func(s activities.Steps) error {
		_, err := s.Checkpoint(context.Background(), "shop")
		return err
	},
	stepCopy: func(s activities.Steps) error {
		_, err := s.Copy(context.Background(), job.CopyInput{Database: "shop", Run: "r1"}, nil)
		return err
	},
	stepVerify: func(s activities.Steps) error {
		_, err := s.Verify(context.Background(), job.VerifyInput{Database: "shop", Run: "r1", ID: "b1"}, nil)
		return err
	},
	stepPrune: func(s activities.Steps) error {
		_, err := s.Prune(context.Background(), job.PruneInput{Database: "shop", Run: "r1"})
		return err
	},
	stepAbandon: func(s activities.Steps) error {
		return s.Abandon(context.Background(), job.AbandonInput{Database: "shop", Run: "r1"})
	},
	stepChoose: func(s activities.Steps) error {
		_, err := s.Choose(context.Background(), job.ChooseInput{Database: "shop", Run: "r1"})
		return err
	},
	stepRestore: func(s activities.Steps) error {
		_, err := s.Restore(context.Background(), job.RestoreStepInput{Database: "shop", ID: "b1"}, nil)
		return err
	},
	stepDrillRestore: func(s activities.Steps) error {
		_, err := s.DrillRestore(context.Background(), job.DrillStepInput{Database: "shop", Run: "r1", ID: "b1"}, nil)
		return err
	},
	stepDrillVerify: func(s activities.Steps) error {
		_, err := s.DrillVerify(context.Background(), job.DrillStepInput{Database: "shop", Run: "r1", ID: "b1"}, nil)
		return err
	},
	stepAnnounce: func(s activities.Steps) error {
		of := s.(*steps)
		_, err := of.recorder.Announcer(of.Steps.(*fake)).Announce(context.Background(), job.AnnounceInput{Database: "shop", Run: "r1", Backup: "b1"})
		return err
	},
	stepDrillRecord: func(s activities.Steps) error {
		return s.DrillRecord(context.Background(), job.DrillRecordInput{Database: "shop", Run: "r1", ID: "b1"})
	},
}

func recorder(t *testing.T, out *bytes.Buffer) (*Recorder, *Metrics) {
	t.Helper()
	log, err := NewLogger(out, "json")
	require.NoError(t, err)
	m := NewMetrics("db1", "v1", []string{"shop"})
	return NewRecorder(log, m), m
}

func line(t *testing.T, text string) map[string]any {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, "\n"), text)
	var l map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &l), text)
	return l
}

func TestEveryStepIsOneLineWithTheSameKeys(t *testing.T) {
	require.ElementsMatch(t, stepNames, slices.Collect(maps.Keys(every)))
	for name, do := range every {
		for _, err := range []error{nil, failure.Errorf(failure.RepoFull, "no room"), failure.Errorf(failure.NotDuckDB, "no database")} {
			var out bytes.Buffer
			r, m := recorder(t, &out)
			assert.Equal(t, err, do(r.StepsOf("r1", &fake{err: err})), "what the step returns is passed on")
			l := line(t, out.String())
			assert.ElementsMatch(t, []string{"time", "level", "msg", "step", "database", "run", "backup", "attempt", "seconds", "outcome", "kind", "error"},
				slices.Collect(maps.Keys(l)), name)
			assert.Equal(t, name, l["step"])
			assert.Equal(t, "shop", l["database"])
			assert.Equal(t, "r1", l["run"])
			outcome := done
			if err != nil {
				outcome = failed // without Temporal nobody tries again
				assert.Equal(t, failure.Of(err).Name, l["kind"])
				assert.Equal(t, err.Error(), l["error"])
				assert.Equal(t, 1.0, testutil.ToFloat64(m.failures.WithLabelValues("shop", name, failure.Of(err).Name)))
			}
			assert.Equal(t, outcome, l["outcome"])
			assert.Equal(t, 0.0, testutil.ToFloat64(m.running.WithLabelValues("shop", name)), "over")
		}
	}
}

func TestWhatStepsDidIsCounted(t *testing.T) {
	r, m := recorder(t, &bytes.Buffer{})
	for _, do := range every {
		require.NoError(t, do(r.Steps(&fake{})))
	}
	want := map[string]float64{
		"copied": testutil.ToFloat64(m.copiedBytes.WithLabelValues("shop")), "read": testutil.ToFloat64(m.readBytes.WithLabelValues("shop")),
		"resumed": testutil.ToFloat64(m.resumedBytes.WithLabelValues("shop")), "attempts": testutil.ToFloat64(m.attempts.WithLabelValues("shop")),
		"rule A": testutil.ToFloat64(m.copies.WithLabelValues("shop", "A")), "verified": testutil.ToFloat64(m.verifications.WithLabelValues("shop", "verified")),
		"kept": testutil.ToFloat64(m.decisions.WithLabelValues("shop", kept)), "removed": testutil.ToFloat64(m.decisions.WithLabelValues("shop", removed)),
		"restored": testutil.ToFloat64(m.restoredBytes.WithLabelValues("shop")),
		"told":     testutil.ToFloat64(m.messages.WithLabelValues("shop", told)), "untold": testutil.ToFloat64(m.messages.WithLabelValues("shop", untold)),
	}
	assert.Equal(t, map[string]float64{
		"copied": 1000, "read": 700, "resumed": 300, "attempts": 3, "rule A": 1, "verified": 1, "kept": 2, "removed": 1, "restored": 30, "told": 2, "untold": 1,
	}, want)
	err := every[stepVerify](r.Steps(&fake{err: failure.Errorf(failure.BackupBad, "rotten")}))
	require.Error(t, err)
	assert.Equal(t, 1.0, testutil.ToFloat64(m.verifications.WithLabelValues("shop", "failed")))
}

// Whoever can start a run can name any database, but makes no series with it.
func TestLabelsComeFromClosedLists(t *testing.T) {
	r, m := recorder(t, &bytes.Buffer{})
	before := testutil.CollectAndCount(m.copies)
	for _, name := range []string{"a", "b", "c"} {
		_, err := r.Steps(&fake{}).Copy(t.Context(), job.CopyInput{Database: name}, nil)
		require.NoError(t, err)
	}
	assert.Equal(t, before+1, testutil.CollectAndCount(m.copies))
	assert.Equal(t, 3.0, testutil.ToFloat64(m.copies.WithLabelValues(other, "A")))
	m.verified("shop", "strange")
	assert.Equal(t, 1.0, testutil.ToFloat64(m.verifications.WithLabelValues("shop", other)))
}

func TestOutcomesInActivities(t *testing.T) {
	tests := []struct {
		name           string
		err            error
		attempt        int32
		most           int32
		cancel         bool
		outcome, level string
	}{
		{"done", nil, 1, 0, false, done, "INFO"},
		{"tried again", failure.Errorf(failure.Moving, "moves"), 1, 0, false, retry, "WARN"},
		{"of a kind that nobody tries again", failure.Errorf(failure.NotDuckDB, "no"), 1, 0, false, failed, "ERROR"},
		{"the last attempt of all", failure.Errorf(failure.Moving, "moves"), 5, 5, false, failed, "ERROR"},
		{"patience has an end", errors.New("what"), 20, 0, false, failed, "ERROR"},
		{"interrupted", errors.New("stopped"), 1, 0, true, interrupted, "WARN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			r, _ := recorder(t, &out)
			a := &attempt{Recorder: r, ctx: t.Context(), step: stepCopy, database: "shop", number: tt.attempt, most: tt.most, ended: func() {}}
			if tt.cancel {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errors.New("the worker is being stopped"))
				a.ctx = ctx
			}
			a.end(tt.err)
			l := line(t, out.String())
			assert.Equal(t, tt.outcome, l["outcome"])
			assert.Equal(t, tt.level, l["level"])
			if tt.cancel {
				assert.Equal(t, "Interrupted", l["kind"])
				assert.Equal(t, "the worker is being stopped", l["error"])
			}
		})
	}
}

func TestStepOfAnActivityKnowsItsRun(t *testing.T) {
	var out bytes.Buffer
	r, _ := recorder(t, &out)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent{})
	e := suite.NewTestActivityEnvironment()
	a := activities.New(r.Steps(&fake{err: failure.Errorf(failure.Hook, "hangs")}), 1)
	e.RegisterActivity(a)
	_, err := e.ExecuteActivity(a.Checkpoint, job.CheckpointInput{Database: "shop"})
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	l := line(t, out.String())
	assert.NotEmpty(t, l["run"])
	assert.Equal(t, 1.0, l["attempt"])
	assert.Equal(t, retry, l["outcome"])
	assert.Equal(t, "Hook", l["kind"])
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

// The SDK's line about a failed step would say it a second time.
func TestFailedStepsAreSaidOnce(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "text")
	require.NoError(t, err)
	log = ForTemporal(log).With("Namespace", "default")
	log.Error("Activity error.", "ActivityType", "Copy", "Error", errors.New("a"))
	assert.Empty(t, out.String())
	log.Error("Activity error.", "ActivityType", "Pulse", "Error", errors.New("b"))
	log.Log(t.Context(), slog.LevelInfo, "Started Worker")
	assert.Contains(t, out.String(), "Pulse")
	assert.Contains(t, out.String(), "Started Worker")
}

type nobody struct{}

func (nobody) Announce(context.Context, job.AnnounceInput) (job.AnnounceResult, error) {
	return job.AnnounceResult{Nobody: true}, nil
}

func TestTellingNobodyIsNoStep(t *testing.T) {
	var out bytes.Buffer
	r, m := recorder(t, &out)
	_, err := r.Announcer(nobody{}).Announce(t.Context(), job.AnnounceInput{Database: "shop"})
	require.NoError(t, err)
	assert.Empty(t, out.String())
	assert.Equal(t, 0.0, testutil.ToFloat64(m.running.WithLabelValues("shop", stepAnnounce)))
}
