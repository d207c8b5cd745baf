package app

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"canvasback/internal/failure"
)

func TestPatiently(t *testing.T) {
	busy := &serviceerror.ResourceExhausted{Message: "namespace rate limit exceeded"}
	away := failure.Errorf(failure.TemporalUnreachable, "Temporal does not answer")
	other := errors.New("no")
	tests := []struct {
		name  string
		says  []error // one after another, then nil
		calls int
		want  error
	}{
		{"at once", nil, 1, nil},
		{"asked too much", []error{busy}, 2, nil},
		{"no answer, then one", []error{away, away}, 3, nil},
		{"no answer at all", []error{away, away, away}, 3, away},
		{"another error", []error{other}, 1, other},
		{"another error after a pause", []error{busy, other}, 2, other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			err := patiently(t.Context(), func() error {
				if calls++; calls <= len(tt.says) {
					return tt.says[calls-1]
				}
				return nil
			})
			assert.Equal(t, tt.want, err)
			assert.Equal(t, tt.calls, calls)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	require.ErrorIs(t, patiently(ctx, func() error { calls++; cancel(); return busy }), busy)
	assert.Equal(t, 1, calls, "nobody waits any more")
}

// What is left out means what it says by default, and who keeps a schedule is a
// part of it.
func TestSameSpecs(t *testing.T) {
	s := Spec{Database: "shop", Host: "db1", Cron: "0 3 * * *"}
	assert.True(t, s.Same(Spec{Database: "shop", Host: "db1", Cron: " 0 3  * * *", Timezone: "UTC", Overlap: "skip", Paused: true}))
	other := s
	other.Fleet = "production"
	assert.False(t, s.Same(other))
}

func TestUnreachable(t *testing.T) {
	other := errors.New("no")
	tests := []struct {
		name string
		err  error
		want *failure.Kind
	}{
		{"away", serviceerror.NewUnavailable("connection refused"), failure.TemporalUnreachable},
		{"late", serviceerror.NewDeadlineExceeded("context deadline exceeded"), failure.TemporalUnreachable},
		{"late by this side's clock", context.DeadlineExceeded, failure.TemporalUnreachable},
		{"stopped while it answered", serviceerror.NewCanceled("context canceled"), failure.TemporalUnreachable},
		{"asked too much", serviceerror.NewResourceExhausted(enumspb.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW, "consistent query buffer is full"), failure.TemporalBusy},
		{"not allowed", serviceerror.NewPermissionDenied("no", ""), failure.TemporalDenied},
		{"typed already", failure.Errorf(failure.TemporalDenied, "no"), failure.TemporalDenied},
	}
	for _, tt := range tests {
		err := Unreachable(fmt.Errorf("list runs: %w", tt.err))
		assert.Equal(t, tt.want, failure.Of(err), tt.name)
		assert.ErrorIs(t, err, tt.err, tt.name)
		assert.Equal(t, err, Unreachable(err), tt.name)
	}
	assert.Equal(t, other, Unreachable(other))
	assert.NoError(t, Unreachable(nil))
}
