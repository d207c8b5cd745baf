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
	limiter := rate.NewLimiter(1000, MaxRead)
	limiter.AllowN(time.Now(), MaxRead)
	opts.Limiter = limiter
	opts.MaxTime = 200 * time.Millisecond
	_, err := Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.OutOfTime, failure.Of(err), "%v", err)
	assert.ErrorContains(t, err, "of it went into waiting for the bandwidth limit", "whom to blame")
}

// counting lets everything through, and remembers how much it was.
type counting struct {
	bytes, longest int64
	then           func()
}

func (c *counting) WaitN(ctx context.Context, n int) error {
	c.bytes += int64(n)
	c.longest = max(c.longest, int64(n))
	if c.then != nil {
		c.then()
	}
	return ctx.Err()
}

// TestTheLimiterSeesEveryByte of the database and of the WAL that is taken.
func TestTheLimiterSeesEveryByte(t *testing.T) {
	for _, clones := range []bool{false, true} {
		before, _ := checkpointed(t)
		mem, opts := cloning(t, before, nil)
		mem.SetClones(clones)
		limiter := &counting{}
		opts.Limiter = limiter
		res, err := Copy(t.Context(), opts)
		require.NoError(t, err)
		assert.Equal(t, clones, res.Cloned)
		require.Positive(t, res.WALBytes)
		used := res.Blocks * res.BlockBytes
		assert.LessOrEqual(t, limiter.longest, int64(MaxRead))
		if clones {
			assert.GreaterOrEqual(t, limiter.bytes, res.WALBytes+used+res.Files[0].Bytes, "checked and hashed")
		} else {
			assert.Equal(t, res.WALBytes+res.BytesRead, limiter.bytes)
			assert.GreaterOrEqual(t, res.BytesRead, used)
		}
		assert.True(t, before.is(readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")))
	}
}

// TestInterruptedWhileTheWALWaits ends with the cause, and leaves nothing that is
// taken for a copy.
func TestInterruptedWhileTheWALWaits(t *testing.T) {
	before, _ := checkpointed(t)
	mem, opts := cloning(t, before, nil)
	stop := errors.New("the worker stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	opts.Limiter = &counting{then: func() { cancel(stop) }}
	_, err := Copy(ctx, opts)
	require.ErrorIs(t, err, stop)
	opts.Limiter = &counting{}
	_, err = Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.True(t, before.is(readAll(t, mem, "/copy/x.duckdb"), readAll(t, mem, "/copy/x.duckdb.wal")))
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
