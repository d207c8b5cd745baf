package app

import (
	"context"
	"sync"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"canvasback/internal/health"
)

// History is what came of the runs of a database's backups that ended last, up
// to limit of those that Temporal still remembers, the newest first.
func History(ctx context.Context, c client.Client, database string, limit int) ([]health.Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	runs, err := ended(ctx, c, TaskBackup, database, max(recent, limit))
	if err != nil {
		return nil, err
	}
	runs = runs[:min(len(runs), limit)]
	byRun := map[string]*workflowpb.WorkflowExecutionInfo{}
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = runOf(r).RunID
		byRun[ids[i]] = r
	}
	var mu sync.Mutex
	found := map[string]health.Ended{}
	err = each(ctx, ids, func(ctx context.Context, id string) error {
		e, err := endedFacts(ctx, c, database, byRun[id])
		if err != nil || e == nil {
			return err
		}
		mu.Lock()
		found[id] = *e
		mu.Unlock()
		return nil
	})
	out := make([]health.Ended, 0, len(ids))
	for _, id := range ids {
		if e, there := found[id]; there {
			out = append(out, e)
		}
	}
	return out, err
}
