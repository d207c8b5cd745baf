package app

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"canvasback/internal/failure"
)

func TestRunError(t *testing.T) {
	tests := []struct {
		name string
		err  error
		kind *failure.Kind
		text string
	}{
		{"a step's failure keeps its kind and loses the hint, which the kind has",
			temporal.NewNonRetryableApplicationError("verify of shop: block 7\nhint: look", "BackupBad", nil), failure.BackupBad, "verify of shop: block 7"},
		{"a kind of a newer worker", temporal.NewNonRetryableApplicationError("odd", "Newfangled", nil), failure.RunFailed, "odd"},
		{"cancelled", temporal.NewCanceledError(), failure.RunFailed, "the backup of shop was stopped"},
		{"out of time", temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil), failure.RunFailed, "the backup of shop did not end in time (StartToClose)"},
		{"the server is gone", serviceerror.NewUnavailable("refused"), failure.TemporalUnreachable, "Temporal does not answer: refused"},
		{"anything else", errors.New("odd"), failure.Unexpected, "odd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := RunError(t.Context(), "backup of shop", tt.err)
			assert.Equal(t, tt.kind, failure.Of(err))
			assert.EqualError(t, err, tt.text)
		})
	}
	assert.NoError(t, RunError(t.Context(), "backup of shop", nil))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := RunError(ended, "backup of shop", context.Canceled)
	assert.Equal(t, failure.Interrupted, failure.Of(err))
	assert.EqualError(t, err, "the backup of shop goes on without being watched: context canceled")
}
