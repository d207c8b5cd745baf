package activities

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/job"
)

type announcer func(ctx context.Context, in job.AnnounceInput) (job.AnnounceResult, error)

func (a announcer) Announce(ctx context.Context, in job.AnnounceInput) (job.AnnounceResult, error) {
	return a(ctx, in)
}

func TestAnnounce(t *testing.T) {
	in := job.AnnounceInput{Database: "shop", Task: job.AnnounceBackup, Run: "r1", End: job.AnnounceFailed, Kind: "Corrupt"}
	want := job.AnnounceResult{Untold: []job.Undelivered{{Event: "failure", Channel: "webhook", Error: "no answer"}}}
	call := func(a *Activities) (result job.AnnounceResult, err error) {
		value, err := newEnvironment(a).ExecuteActivity(a.Announce, in)
		if err == nil {
			require.NoError(t, value.Get(&result))
		}
		return result, err
	}
	a := New(&runner{}, 1)
	result, err := call(a)
	require.NoError(t, err)
	assert.True(t, result.Nobody, "without an announcer")

	a.Announcer = announcer(func(_ context.Context, got job.AnnounceInput) (job.AnnounceResult, error) {
		assert.Equal(t, in, got)
		return want, nil
	})
	result, err = call(a)
	require.NoError(t, err)
	assert.Equal(t, want, result)
}

// An announcement that its worker could not finish goes on at the next one.
func TestAnnounceGivesWayToAStoppingWorker(t *testing.T) {
	a := New(&runner{}, 1)
	stop := make(chan struct{})
	a.Announcer = announcer(func(ctx context.Context, _ job.AnnounceInput) (job.AnnounceResult, error) {
		close(stop)
		<-ctx.Done()
		return job.AnnounceResult{}, ctx.Err()
	})
	e := newEnvironment(a)
	e.SetWorkerStopChannel(stop)
	_, err := e.ExecuteActivity(a.Announce, job.AnnounceInput{Database: "shop"})
	assert.Equal(t, job.WorkerStopping, application(t, err).Type())
}
