package hotcopy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"canvasback/internal/failure"
	"canvasback/internal/vfs/vfstest"
)

// TestRoomIsLookedAtWhereNothingClones: a clone that cannot be made leaves nothing
// behind.
func TestRoomIsLookedAtWhereNothingClones(t *testing.T) {
	mem, _, _ := atRest(t)
	mem.SetFree(4096)
	_, err := Copy(t.Context(), held(mem, nil))
	assert.Same(t, failure.RepoFull, failure.Of(err), "%v", err)
}

func TestRangesAreCopiedByTheKernelWhereNothingClones(t *testing.T) {
	mem, _, _ := atRest(t)
	opts := held(mem, nil)
	ranges, punches := 0, 0
	opts.FS = vfstest.Intercept(mem, func(op vfstest.Op) error {
		switch op.Kind {
		case vfstest.OpCopyRange:
			ranges++
		case vfstest.OpPunch:
			punches++
		}
		return nil
	})
	_, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.NotZero(t, ranges)
	assert.Zero(t, punches, "nothing is in the way of a first pass")
}

// TestTimeIsOverAtTheBandwidth: the limiter refuses to wait beyond the deadline
// before the deadline comes.
func TestTimeIsOverAtTheBandwidth(t *testing.T) {
	mem, _, _ := atRest(t)
	opts := held(mem, nil)
	opts.Limiter = rate.NewLimiter(1000, MaxRead)
	opts.Limiter.AllowN(time.Now(), MaxRead)
	opts.MaxTime = 200 * time.Millisecond
	_, err := Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.OutOfTime, failure.Of(err), "%v", err)
}

// TestCancelledInTheFinalCheck does not read all of the copy first.
func TestCancelledInTheFinalCheck(t *testing.T) {
	mem, _, _ := atRest(t)
	stop := errors.New("the worker stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	opts := held(mem, nil)
	reads := 0
	opts.FS = vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpRead && op.Name == "/copy/x.duckdb" && ctx.Err() != nil {
			reads++
		}
		return nil
	})
	opts.Progress = func(p Progress) {
		if p.Phase == "hash" {
			cancel(stop)
		}
	}
	_, err := Copy(ctx, opts)
	require.ErrorIs(t, err, stop)
	assert.Less(t, reads, 2, "reads of the copy after the end of the context")
}
