package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/health"
	"canvasback/internal/job"
)

// One schedule that the server does not describe in time keeps nobody from seeing
// how the others stand.
func TestOneScheduleIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared.HostPort())
	silent := w.name() + "-silent"
	for _, name := range []string{w.name(), silent} {
		o := w.starter("schedule", "create", "--schedule", "0 3 * * *", "--database", name)
		require.Zero(t, o.status, o.errOut)
	}
	o, err := envconfig.LoadDefaultClientOptions()
	require.NoError(t, err)
	o.HostPort, o.Logger = w.address, quiet{}
	asked := 0
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if d, ok := req.(*workflowservice.DescribeScheduleRequest); ok && d.GetScheduleId() == job.BackupID(silent) {
				asked++
				return status.Error(codes.DeadlineExceeded, "context deadline exceeded")
			}
			return invoke(ctx, method, req, reply, cc, opts...)
		}))
	c, err := client.Dial(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)

	all, err := app.Overview(t.Context(), c, app.Query{Databases: []string{w.name(), silent}, Otherwise: w.host})
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, health.BySchedule, all[0].Temporal.Begins)
	assert.Equal(t, silent, all[1].Name)
	assert.Equal(t, w.host, all[1].Host)
	assert.Nil(t, all[1].Temporal)
	assert.NotEmpty(t, all[1].Unanswered)
	assert.Greater(t, asked, 1)

	_, err = app.Overview(t.Context(), c, app.Query{Databases: []string{silent}, Otherwise: w.host})
	assert.Equal(t, failure.TemporalUnreachable, failure.Of(err))
}
