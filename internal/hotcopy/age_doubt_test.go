package hotcopy

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOwnerStoppedBeforeAndThawedInTheCopy: for as long as it was stopped the age
// of its last write proves nothing.
func TestOwnerStoppedBeforeAndThawedInTheCopy(t *testing.T) {
	mem, _, _ := atRest(t)
	require.NoError(t, mem.SetLockOwner(livePath, 11, true))
	start := time.Now()
	mem.SetNow(func() time.Time { return start })
	time.Sleep(80 * time.Millisecond)
	stopped := "stopped by a signal"
	opts := held(mem, nil)
	opts.stopped = func(int) string { return stopped }
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" {
			stopped = ""
		}
	}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.NotEqual(t, "untouched", res.Evidence["variant"])
}

// TestClockSetBackDuringTheCopy: what is written during the copy looks older than
// its beginning.
func TestClockSetBackDuringTheCopy(t *testing.T) {
	mem, _, after := atRest(t)
	require.NoError(t, mem.SetLockOwner(livePath, 11, true))
	time.Sleep(80 * time.Millisecond)
	opts := held(mem, nil)
	once := false
	opts.Progress = func(p Progress) {
		if p.Phase == "copy" && !once {
			once = true
			mem.SetNow(func() time.Time { return time.Now().Add(-time.Hour) })
			(&writer{t: t, mem: mem}).put(livePath, int64(len(after.db))-16384, after.db[len(after.db)-16384:])
		}
	}
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.NotEqual(t, "untouched", res.Evidence["variant"], "%v", res.Evidence["age"])
}

// jumpy is a clock that a machine comes back with from a pause of an hour.
type jumpy struct {
	now    time.Time
	sleeps int
}

func (c *jumpy) Now() time.Time { return c.now }

func (c *jumpy) Sleep(ctx context.Context, d time.Duration) error {
	c.sleeps++
	if c.sleeps == 1 {
		d = time.Hour
	}
	c.now = c.now.Add(d)
	return ctx.Err()
}

// TestWaitThatNobodyWasAwakeForDoesNotCount: worker and owner were paused together,
// by a frozen group or machine, so that the owner had no time either.
func TestWaitThatNobodyWasAwakeForDoesNotCount(t *testing.T) {
	mem, _, _ := atRest(t)
	opts := held(mem, nil)
	c := &jumpy{now: time.Now()}
	opts.clock, opts.Settle = c, 5*time.Second
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.Equal(t, "settled", res.Evidence["variant"])
	assert.Greater(t, c.sleeps, 10, "the owner had no time to write its header")
}
