package workflows

import (
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// labels make a run be found in lists: by search attributes that the namespace
// has, and by its memo. A run carries none where it began before there were any.
type labels struct {
	database, host string
	version        workflow.Version
}

// Versions of what labels a run carries, as runs that are at work replay it.
const (
	labelsOnce  workflow.Version = 1 // database and host are set at the start only
	labelsAgain workflow.Version = 2 // and once more at the end
)

// label puts the database and its host on the run, also on one that is being
// cancelled.
func label(ctx workflow.Context, database string) *labels {
	l := &labels{
		database: database,
		host:     strings.TrimPrefix(workflow.GetInfo(ctx).TaskQueueName, job.Queue("")),
		version:  workflow.GetVersion(ctx, "labels", workflow.DefaultVersion, labelsAgain),
	}
	if l.version >= labelsAgain {
		var cancel workflow.CancelFunc
		ctx, cancel = workflow.NewDisconnectedContext(ctx)
		defer cancel()
	}
	if l.version >= labelsOnce {
		upsert(ctx, l.start())
	}
	return l
}

// start is what is known of a run when it begins.
func (l *labels) start() map[string]temporal.SearchAttributeUpdate {
	return map[string]temporal.SearchAttributeUpdate{
		job.AttributeDatabase: temporal.NewSearchAttributeKeyKeyword(job.AttributeDatabase).ValueSet(l.database),
		job.AttributeHost:     temporal.NewSearchAttributeKeyKeyword(job.AttributeHost).ValueSet(l.host),
	}
}

// end puts on the run what it came to, and again what it is of, for what could
// not be asked at its start; err is why it failed, if it did.
func (l *labels) end(ctx workflow.Context, m job.RunMemo, err error) {
	if l.version < labelsOnce {
		return
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	switch {
	case temporal.IsCanceledError(err):
		m = job.RunMemo{Outcome: "stopped"}
	case err != nil:
		kind, _ := describe(err)
		m = job.RunMemo{Outcome: "failed " + kind}
	}
	m.Database, m.Host = l.database, l.host
	if err := workflow.UpsertMemo(ctx, map[string]any{job.MemoKey: m}); err != nil {
		workflow.GetLogger(ctx).Warn("The run has no memo", "database", l.database, "error", err)
	}
	found := map[string]temporal.SearchAttributeUpdate{}
	if l.version >= labelsAgain {
		found = l.start()
	}
	found[job.AttributeOutcome] = temporal.NewSearchAttributeKeyKeyword(job.AttributeOutcome).ValueSet(m.Outcome)
	if m.Rule != "" {
		found[job.AttributeRule] = temporal.NewSearchAttributeKeyKeyword(job.AttributeRule).ValueSet(m.Rule)
	}
	if m.Bytes > 0 {
		found[job.AttributeBytes] = temporal.NewSearchAttributeKeyInt64(job.AttributeBytes).ValueSet(m.Bytes)
	}
	upsert(ctx, found)
}

// attributesOptions let the question be answered soon or not at all.
var attributesOptions = workflow.LocalActivityOptions{
	Summary:                "ask which search attributes the namespace has",
	ScheduleToCloseTimeout: 10 * time.Second,
	StartToCloseTimeout:    5 * time.Second,
	RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 2},
}

// upsert sets those attributes that the namespace has at this moment. One that
// it has not would make the workflow task fail, again and again; so the question
// is a local activity, whose answer belongs to the same workflow task: where an
// attribute goes meanwhile, the task's next attempt asks again.
func upsert(ctx workflow.Context, updates map[string]temporal.SearchAttributeUpdate) {
	var there job.AttributesResult
	at := workflow.WithLocalActivityOptions(ctx, attributesOptions)
	if err := workflow.ExecuteLocalActivity(at, job.AttributesActivity).Get(at, &there); err != nil {
		return // the run is found by its ID, as it always is
	}
	slices.Sort(there.Names)
	var set []temporal.SearchAttributeUpdate
	for _, name := range there.Names {
		if u, ok := updates[name]; ok {
			set = append(set, u)
		}
	}
	if len(set) == 0 {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, set...); err != nil {
		workflow.GetLogger(ctx).Warn("The run has no search attributes", "error", err)
	}
}
