package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/codec"
	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// hostDetails explain the workflow to those who find it in the Temporal UI.
const hostDetails = `The worker of this host says here that it lives: the heartbeat of the pending activity **Pulse** holds what it knows of
its databases, renewed every ten seconds. ` + "`starter status`" + ` reads it, also after the worker has died.

It takes no backups and does nothing to any database. It is to run for ever, also while no worker is there; a worker starts it again where it is
missing. Terminate it when the host is gone for good.`

// EnsureHost starts the workflow that keeps the pulse of a host, unless it runs.
func EnsureHost(ctx context.Context, c client.Client, host string) error {
	return startHost(ctx, c, host, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
}

// renewHost puts a new workflow in the place of the host's where the server keeps
// what that was started with in plain, or encrypted with a key that is not the
// present one: it runs for ever, and the key could never be given up.
func renewHost(ctx context.Context, c client.Client, host string) error {
	d, err := c.DescribeWorkflowExecution(ctx, job.HostID(host), "")
	if err != nil || d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING ||
		!codec.Stale(d.GetExecutionConfig().GetUserMetadata().GetSummary()) {
		return Unreachable(err)
	}
	return startHost(ctx, c, host, enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING)
}

func startHost(ctx context.Context, c client.Client, host string, where enumspb.WorkflowIdConflictPolicy) error {
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: job.HostID(host), TaskQueue: job.Queue(host),
		WorkflowIDConflictPolicy: where,
		StaticSummary:            "pulse of the worker on " + host,
		StaticDetails:            hostDetails,
	}, job.HostWorkflow, job.PulseInput{Host: host})
	return Unreachable(err)
}

// ensureEvery is how soon a host's workflow that somebody ended is there again.
const ensureEvery = time.Minute

// KeepHost keeps the host's workflow there until ctx ends. That it cannot, as
// where the namespace does not allow it, is logged once and harms no backup.
func KeepHost(ctx context.Context, c client.Client, host string, log *slog.Logger) {
	tick := time.NewTicker(ensureEvery)
	defer tick.Stop()
	renewed, failed := false, false
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		err := EnsureHost(call, c, host)
		if err == nil && !renewed {
			err = renewHost(call, c, host)
			renewed = err == nil
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failed:
			log.Warn("The pulse of this host cannot be kept in Temporal: 'starter status' will not hear of this worker", "workflow", job.HostID(host), "error", err)
		case err == nil && failed:
			log.Info("The pulse of this host is kept in Temporal", "workflow", job.HostID(host))
		}
		failed = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// callTimeout bounds one call of the server that nobody waits for.
const callTimeout = 20 * time.Second

// PulseOf reads the last pulse of a host; nil where there never was one.
func PulseOf(ctx context.Context, c client.Client, host string) (*job.Pulse, error) {
	d, err := c.DescribeWorkflowExecution(ctx, job.HostID(host), "")
	if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, Unreachable(err)
	}
	return pulseIn(d), nil
}

func pulseIn(d *workflowservice.DescribeWorkflowExecutionResponse) *job.Pulse {
	for _, a := range d.GetPendingActivities() {
		if a.GetActivityType().GetName() != job.PulseActivity || len(a.GetHeartbeatDetails().GetPayloads()) == 0 {
			continue
		}
		p := &job.Pulse{}
		if fromPayload(a.GetHeartbeatDetails().GetPayloads()[0], p) {
			return p
		}
	}
	return nil
}

// hosts names those whose pulse is kept.
func hosts(ctx context.Context, c client.Client) ([]string, error) {
	var names []string
	var page []byte
	for {
		resp, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + job.HostWorkflow + "' AND ExecutionStatus = 'Running'", NextPageToken: page,
		})
		if err != nil {
			return nil, Unreachable(err)
		}
		for _, e := range resp.GetExecutions() {
			id := e.GetExecution().GetWorkflowId()
			if host := id[min(len(job.HostID("")), len(id)):]; job.HostID(host) == id {
				names = append(names, host)
			}
		}
		if page = resp.GetNextPageToken(); len(page) == 0 {
			return names, nil
		}
	}
}

// Readable fails with failure.Payload where what the server keeps of a host's
// workflow and of the schedules of its databases is encrypted with a key that c
// does not have: a worker without it could do nothing but drop every task that it
// is given. What else goes wrong is nothing here.
func Readable(ctx context.Context, c client.Client, host string, databases []string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.DescribeWorkflowExecution(ctx, job.HostID(host), "")
	if err := locked("workflow "+job.HostID(host), err); err != nil {
		return err
	}
	err = each(ctx, databases, func(ctx context.Context, database string) error {
		_, err := Schedule(ctx, c, TaskBackup, database).Describe(ctx)
		return locked("schedule "+TaskBackup.ID(database), err)
	})
	if failure.Of(err) != failure.Payload {
		return nil
	}
	return err
}

// locked is an error that something cannot be decrypted, and nil for any other.
func locked(what string, err error) error {
	if err = Unreachable(err); failure.Of(err) != failure.Payload {
		return nil
	}
	return failure.Errorf(failure.Payload, "%s: %w", what, err)
}
