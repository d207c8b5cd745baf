package hotcopy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs/vfstest"
)

// holder is a Hold that counts, and does what it is told before each answer.
type holder struct {
	begun, ended int
	begin, end   func(ctx context.Context) error
	version      string
}

func (o *holder) Begin(ctx context.Context) (Held, error) {
	o.begun++
	if o.begin == nil {
		return Held{Token: "t1", EngineVersion: o.version}, nil
	}
	return Held{Token: "t1", EngineVersion: o.version}, o.begin(ctx)
}

func (o *holder) End(ctx context.Context) error {
	o.ended++
	if o.end == nil {
		return nil
	}
	return o.end(ctx)
}

// atRest is a memory file system with a database without a WAL, held by a
// process that is not there.
func atRest(t *testing.T) (*vfstest.Mem, *state, *state) {
	before, after := checkpointed(t)
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll("/live", 0o700))
	require.NoError(t, mem.MkdirAll("/copy", 0o700))
	w := &writer{t: t, mem: mem}
	w.put(livePath, 0, after.db)
	require.NoError(t, mem.SetLockOwner(livePath, 0, true))
	return mem, before, after
}

func held(mem *vfstest.Mem, hold Hold) Options {
	return Options{FS: mem, Path: livePath, Dir: "/copy", Name: "x", Settle: 50 * time.Millisecond, MaxAttempts: 3, Hold: hold}
}

func TestHoldIsARule(t *testing.T) {
	mem, _, after := atRest(t)
	o := &holder{version: "1.5.6"}
	o.end = func(context.Context) error {
		assert.True(t, after.is(readAll(t, mem, "/copy/x.duckdb"), nil), "everything is copied before the hold ends")
		return nil
	}
	res, err := Copy(t.Context(), held(mem, o))
	require.NoError(t, err)
	assert.Equal(t, "hold", res.Rule)
	assert.Equal(t, "t1", res.Evidence["hold"])
	assert.Equal(t, "1.5.6", res.EngineVersion)
	assert.NotEmpty(t, res.Evidence["headers_before"])
	assert.Equal(t, res.Evidence["headers_before"], res.Evidence["headers_after"])
	assert.Equal(t, []int{1, 1}, []int{o.begun, o.ended})
}

// TestHoldThatIsLost: the other rules still apply, by what they can see.
func TestHoldThatIsLost(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version string
		rule    string
	}{
		{"engine that frees early", "1.5.6", "C"},
		{"engine that frees late, as its hook says", "1.4.1", "B"},
		{"engine not told", "", "C"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem, _, _ := atRest(t)
			require.NoError(t, mem.SetLockOwner(livePath, 11, true))
			o := &holder{version: tt.version, end: func(context.Context) error { return errors.New("it had ended by its deadline") }}
			res, err := Copy(t.Context(), held(mem, o))
			require.NoError(t, err)
			assert.Equal(t, tt.rule, res.Rule)
			assert.Contains(t, res.Evidence["hold_lost"], "it had ended by its deadline")
			assert.Equal(t, 1, o.begun, "it is not asked again")

			opts := held(mem, &holder{version: tt.version, end: o.end})
			opts.HoldRequired = true
			_, err = Copy(t.Context(), opts)
			require.Error(t, err)
			assert.Same(t, failure.Hook, failure.Of(err))
			assert.ErrorContains(t, err, "it had ended by its deadline")
		})
	}
}

func TestHoldThatCannotBegin(t *testing.T) {
	mem, _, _ := atRest(t)
	o := &holder{begin: func(context.Context) error { return errors.New("another hold is active") }}
	res, err := Copy(t.Context(), held(mem, o))
	require.NoError(t, err)
	assert.Equal(t, "C", res.Rule)
	assert.Contains(t, res.Evidence["hold_lost"], "another hold is active")
	assert.Equal(t, []int{1, 1}, []int{o.begun, o.ended}, "whatever Begin did is undone")

	opts := held(mem, &holder{begin: o.begin})
	opts.HoldRequired = true
	_, err = Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.Hook, failure.Of(err))
}

// TestHoldOfAnOwnerThatLies: it holds, and checkpoints all the same. The final
// check of the headers does not believe it, nor is it asked again.
func TestHoldOfAnOwnerThatLies(t *testing.T) {
	before, after := checkpointed(t)
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll("/live", 0o700))
	require.NoError(t, mem.MkdirAll("/copy", 0o700))
	w := &writer{t: t, mem: mem}
	w.put(livePath, 0, before.db)
	w.put(livePath+".wal", 0, before.wal)
	w.plan(before, after, true, false)
	o := &holder{}
	opts := held(mem, o)
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" {
			w.step(len(w.steps))
		}
	}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.NotEqual(t, "hold", res.Rule)
	assert.Contains(t, res.Evidence["hold_lost"], "checkpointed although it said")
	assert.Equal(t, 2, res.Attempts)
	assert.True(t, after.is(readAll(t, mem, "/copy/x.duckdb"), nil))
	assert.Equal(t, []int{1, 1}, []int{o.begun, o.ended})
}

// TestHoldIsEndedWhenTheCopyIsCancelled, with a context that still lives.
func TestHoldIsEndedWhenTheCopyIsCancelled(t *testing.T) {
	mem, _, _ := atRest(t)
	stop := errors.New("the worker stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := &holder{end: func(ctx context.Context) error { return ctx.Err() }}
	opts := held(mem, o)
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" {
			cancel(stop)
		}
	}
	_, err := Copy(ctx, opts)
	require.ErrorIs(t, err, stop)
	assert.Equal(t, []int{1, 1}, []int{o.begun, o.ended})
}

func TestHoldIsEndedWhenTheCopyFails(t *testing.T) {
	mem, _, _ := atRest(t)
	o := &holder{}
	opts := held(mem, o)
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" {
			_ = mem.Remove(livePath)
		}
	}
	_, err := Copy(t.Context(), opts)
	require.Error(t, err)
	assert.Same(t, failure.Replaced, failure.Of(err))
	assert.Equal(t, []int{1, 1}, []int{o.begun, o.ended})
}
