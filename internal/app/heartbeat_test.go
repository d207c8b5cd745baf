package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"canvasback/internal/job"
)

func TestPatient(t *testing.T) {
	now := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	p := &patient{now: func() time.Time { return now }, since: map[string]time.Time{}}
	call := func(req any, err error) error {
		return p.intercept(t.Context(), "", req, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return err })
	}
	beat := func(token string) *workflowservice.RecordActivityTaskHeartbeatRequest {
		return &workflowservice.RecordActivityTaskHeartbeatRequest{TaskToken: []byte(token)}
	}
	silent := status.Error(codes.DeadlineExceeded, "context deadline exceeded")

	assert.ErrorIs(t, call(&workflowservice.PollActivityTaskQueueRequest{}, silent), silent, "other calls are none of its business")
	for _, err := range []error{silent, status.Error(codes.Unavailable, "connection refused"), status.Error(codes.ResourceExhausted, "too many")} {
		assert.NoError(t, call(beat("copy"), err))
		now = now.Add(heartbeatPatience / 3)
	}
	assert.NoError(t, call(beat("copy"), silent), "it has been silent for %s", heartbeatPatience)
	now = now.Add(time.Second)
	assert.ErrorIs(t, call(beat("copy"), silent), silent, "and for longer")
	assert.NoError(t, call(beat("verify"), silent), "of another step")

	assert.NoError(t, call(beat("copy"), nil))
	now = now.Add(heartbeatPatience)
	assert.NoError(t, call(beat("copy"), silent), "the server has been there meanwhile")
	for _, err := range []error{status.Error(codes.NotFound, "no such task"), status.Error(codes.PermissionDenied, "no"), errors.New("other")} {
		assert.ErrorIs(t, call(beat("copy"), err), err)
	}
	require.Contains(t, p.since, "verify")
	now = now.Add(2 * job.HeartbeatTimeout)
	assert.NoError(t, call(beat("copy"), silent))
	assert.NotContains(t, p.since, "verify", "a step that came to an end is forgotten")
	assert.Less(t, heartbeatPatience, job.HeartbeatTimeout)
}
