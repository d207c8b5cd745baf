package hotcopy

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

// TestRequiredHoldLostInAMovingPass: a pass that the header ends loses its hold
// too. No later pass may go on without one.
func TestRequiredHoldLostInAMovingPass(t *testing.T) {
	opts := restless(t)
	move, n := opts.Progress, 0
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" && n < 1 {
			n++
			move(p)
		}
	}
	o := &holder{end: func(context.Context) error { return errors.New("it had ended by its deadline") }}
	opts.Hold, opts.HoldRequired = o, true
	res, err := Copy(t.Context(), opts)
	if err == nil {
		t.Logf("rule %s %v", res.Rule, res.Evidence)
	}
	require.Error(t, err)
	assert.Same(t, failure.Hook, failure.Of(err))
}

// TestVersionOfAnOwnerThatIsGone: what a hook said of the engine speaks of its own
// process, not of the one that took the database over.
func TestVersionOfAnOwnerThatIsGone(t *testing.T) {
	mem, _, _ := atRest(t)
	require.NoError(t, mem.SetLockOwner(livePath, 11, true))
	o := &holder{version: "1.4.1", end: func(context.Context) error { return errors.New("410 Gone") }}
	opts := held(mem, o)
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" {
			_ = mem.SetLockOwner(livePath, 12, true) // the service was upgraded and started again
		}
	}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.NotEqual(t, "B", res.Rule)
}

// TestHoldThatAHeaderContradictsIsNotBelievedAgain: the header moved under a hold
// that its owner says was in force.
func TestHoldThatAHeaderContradictsIsNotBelievedAgain(t *testing.T) {
	opts := restless(t)
	move, n := opts.Progress, 0
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" && n < 1 {
			n++
			move(p)
		}
	}
	opts.Hold = &holder{}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.Equal(t, 2, res.Attempts)
	assert.NotEqual(t, "hold", res.Rule)
}

// TestHookContradictsTheOperator: the worse of two versions counts.
func TestHookContradictsTheOperator(t *testing.T) {
	mem, _, _ := atRest(t)
	o := &holder{version: "1.5.6", end: func(context.Context) error { return errors.New("410 Gone") }}
	opts := held(mem, o)
	opts.EngineVersion = "1.4.1" // in the configuration since before the upgrade
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.NotEqual(t, "B", res.Rule)
}

// TestCheckpointWALContradictsTheOperator: only DuckDB 1.5 and later make one.
func TestCheckpointWALContradictsTheOperator(t *testing.T) {
	mem, _, _ := atRest(t)
	opts := held(mem, nil)
	opts.EngineVersion = "1.4.1" // which knows no .wal.checkpoint
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" {
			(&writer{t: t, mem: mem}).put(livePath+".wal.checkpoint", 0, []byte("\x64\x00\x62\x65\x00\x02\xff\xff"))
		}
	}
	res, err := Copy(t.Context(), opts)
	if err == nil {
		assert.NotEqual(t, "B", res.Rule)
	}
}

// TestCancelledWhileTheHoldBegins is no fault of the hook.
func TestCancelledWhileTheHoldBegins(t *testing.T) {
	mem, _, _ := atRest(t)
	stop := errors.New("the worker stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := &holder{begin: func(ctx context.Context) error { cancel(stop); return context.Cause(ctx) }}
	_, err := Copy(ctx, held(mem, o))
	require.ErrorIs(t, err, stop)
	assert.NotSame(t, failure.Hook, failure.Of(err), "%v", err)
}
