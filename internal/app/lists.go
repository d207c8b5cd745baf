package app

import (
	"context"
	"maps"
	"slices"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/codec"
)

// Databases names those that Temporal has seen: with a schedule, or with a run
// that it still remembers. What it lists may lag behind by a second or two.
func Databases(ctx context.Context, c client.Client) ([]string, error) {
	names, err := scheduled(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, task := range []Task{TaskBackup, TaskDrill} {
		runs, err := list(ctx, c, task, "", remembered)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			if s, ok := specOfMemo(r.GetMemo().GetFields()[specMemo]); ok {
				names[s.Database] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

const (
	// recent bounds how many runs are looked through for those of one database.
	recent = 200
	// remembered bounds how many are looked through for those of all.
	remembered = 2000
)

// list returns up to limit runs of the task, the newest first, all or those that
// also match the condition.
func list(ctx context.Context, c client.Client, task Task, condition string, limit int) ([]*workflowpb.WorkflowExecutionInfo, error) {
	query := "WorkflowType = '" + task.workflow() + "'"
	if condition != "" {
		query += " AND " + condition
	}
	var out []*workflowpb.WorkflowExecutionInfo
	var page []byte
	for {
		resp, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, NextPageToken: page})
		if err != nil {
			return nil, Unreachable(err)
		}
		out = append(out, resp.GetExecutions()...)
		page = resp.GetNextPageToken()
		if len(page) == 0 || len(out) >= limit {
			return out[:min(len(out), limit)], nil
		}
	}
}

// ended are the runs of a database that have ended, the newest first, of up to
// limit that are looked through.
func ended(ctx context.Context, c client.Client, task Task, database string, limit int) ([]*workflowpb.WorkflowExecutionInfo, error) {
	runs, err := list(ctx, c, task, "WorkflowId STARTS_WITH '"+task.ID(database)+"' AND ExecutionStatus != 'Running'", limit)
	// The name of another database may begin with this one's.
	runs = slices.DeleteFunc(runs, func(r *workflowpb.WorkflowExecutionInfo) bool {
		if sealed := codec.Sealed(r.GetMemo().GetFields()[specMemo]); sealed != nil && err == nil && task.begins(database, r.GetExecution().GetWorkflowId()) {
			err = locked("workflow "+r.GetExecution().GetWorkflowId(), sealed)
		}
		return databaseOf(r) != database
	})
	slices.SortStableFunc(runs, func(a, b *workflowpb.WorkflowExecutionInfo) int {
		return b.GetCloseTime().AsTime().Compare(a.GetCloseTime().AsTime())
	})
	return runs, err
}

// databaseOf is the database that a run is about; empty where it does not say, or
// it cannot be decrypted.
func databaseOf(r *workflowpb.WorkflowExecutionInfo) string {
	s, _ := specOfMemo(r.GetMemo().GetFields()[specMemo])
	return s.Database
}

func later(a, b *workflowpb.WorkflowExecutionInfo) bool {
	return b == nil || a.GetCloseTime().AsTime().After(b.GetCloseTime().AsTime())
}

// newestEnded is the run of the task that ended last, nil if none has.
func newestEnded(ctx context.Context, c client.Client, task Task, database string) (*workflowpb.WorkflowExecutionInfo, error) {
	runs, err := ended(ctx, c, task, database, recent)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return runs[0], nil
}
