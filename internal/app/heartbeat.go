package app

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"canvasback/internal/job"
)

// heartbeatPatience is how long the server may take none of a step's heartbeats
// before the step is stopped. It is less than job.HeartbeatTimeout, so that the
// step is at an end before the server gives it out again.
const heartbeatPatience = job.HeartbeatTimeout * 3 / 4

// Patient has a client of the options take a heartbeat that the server does not
// answer for delivered, for as long as heartbeatPatience. The SDK gives each as
// long as there is between two of them, two seconds here, and takes it for the
// end of the step when that was not enough: a copy would stop and go on, and a
// verification begin anew, at each moment in which the server is slow.
func Patient(opts *client.Options) {
	p := &patient{now: time.Now, since: map[string]time.Time{}}
	opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(p.intercept))
}

type patient struct {
	now   func() time.Time
	mu    sync.Mutex
	since map[string]time.Time // by the task's token: when the first of the present failures was
}

func (p *patient) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoker(ctx, method, req, reply, cc, opts...)
	beat, ok := req.(*workflowservice.RecordActivityTaskHeartbeatRequest)
	if !ok || p.passes(string(beat.GetTaskToken()), err) {
		return err
	}
	return nil
}

// passes says whether the outcome of a heartbeat is for the SDK to know.
func (p *patient) passes(token string, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
	default:
		delete(p.since, token)
		return true
	}
	now := p.now()
	// Those of steps that ended while the server was silent.
	for other, since := range p.since {
		if now.Sub(since) > 2*job.HeartbeatTimeout {
			delete(p.since, other)
		}
	}
	since, again := p.since[token]
	if !again {
		p.since[token], since = now, now
	}
	return now.Sub(since) > heartbeatPatience
}
