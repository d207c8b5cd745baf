package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"canvasback/internal/app"
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
				return status.Error(codes.Unavailable, "busy")
			}
			return invoke(ctx, method, req, reply, cc, opts...)
		}))
	require.NoError(t, app.Encrypt(&o, nil))
	c, err := client.Dial(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)

	var all []health.Database
	eventually(t, "the schedules are in the list", func() bool {
		all, err = app.Overview(t.Context(), c, app.Query{Host: w.host, Otherwise: w.host})
		all = slices.DeleteFunc(all, func(d health.Database) bool { return !strings.HasPrefix(d.Name, w.name()) })
		return err == nil && len(all) == 2
	})
	require.Len(t, all, 2)
	assert.Equal(t, "0 3 * * *", all[0].Temporal.Schedule)
	assert.False(t, all[0].Temporal.Partial)
	assert.Equal(t, silent, all[1].Name)
	assert.Equal(t, w.host, all[1].Host)
	assert.Equal(t, health.BySchedule, all[1].Temporal.Begins)
	assert.True(t, all[1].Temporal.Partial)
	assert.Equal(t, all[0].Temporal.Next, all[1].Temporal.Next)
	assert.True(t, health.Has(health.Assess(all[1], time.Now()), health.Unreachable))
	assert.Positive(t, asked)
}
