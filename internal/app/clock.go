package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// clockQueue is a task queue that no work is ever put on.
const clockQueue = "canvasback-clock"

const (
	clockWait = 10 * time.Second
	clockPoll = 50 * time.Millisecond
)

// clockOf bounds how far the server's clock is ahead of this machine's. No call
// answers with the server's time, but the server notes when each poller of a
// task queue came last. So this polls a queue of its own, which has no work, and
// looks when it came by the server's clock: not before the poll was sent, not
// after the answer is here.
func clockOf(ctx context.Context, c client.Client, namespace string) (from, to time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, clockWait)
	defer cancel()
	identity := "canvasback-clock-" + rand.Text()
	sent := time.Now()
	polled := make(chan error, 1)
	go func() {
		// The SDK's own retries would go on after the deadline of the poll.
		_, err := c.WorkflowService().PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
			Namespace: namespace, Identity: identity,
			TaskQueue: &taskqueuepb.TaskQueue{Name: clockQueue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
		})
		polled <- err
	}()
	defer func() {
		cancel()
		<-polled
	}()
	for {
		q, err := c.DescribeTaskQueue(ctx, clockQueue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
		answered := time.Now()
		if err != nil {
			return 0, 0, Unreachable(err)
		}
		for _, p := range q.GetPollers() {
			if p.GetIdentity() == identity {
				came := p.GetLastAccessTime().AsTime()
				return came.Sub(answered), came.Sub(sent), nil
			}
		}
		select {
		case err := <-polled:
			polled <- err
			return 0, 0, errors.Join(errors.New("the server did not note a poll"), err)
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("the server does not tell of a poll within %v", clockWait)
		case <-time.After(clockPoll):
		}
	}
}
