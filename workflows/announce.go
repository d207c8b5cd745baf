package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"canvasback/internal/job"
)

// announcement tells people of one run. It changes nothing of the run: not its
// result, not how it fails, not when its steps begin. Where the run began
// before there were announcements it is nil, and says nothing.
type announcement struct {
	in    job.AnnounceInput
	start workflow.Future // nil where only the end is told
}

// announce tells, of a backup, that it starts, and waits for nothing.
func announce(ctx workflow.Context, task, db string) *announcement {
	if workflow.GetVersion(ctx, "announce", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	run := workflow.GetInfo(ctx).WorkflowExecution
	a := &announcement{in: job.AnnounceInput{Database: db, Task: task, WorkflowID: run.ID, Run: run.RunID, Started: workflow.Now(ctx)}}
	if task == job.AnnounceBackup {
		options := announceStartOptions
		options.Summary = "announce the start for " + db
		a.start = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), steps.Announce, a.in)
	}
	return a
}

// passed tells that the run ended well, with this backup.
func (a *announcement) passed(ctx workflow.Context, backup, state, reason string) {
	if a != nil {
		a.in.End, a.in.Backup, a.in.State, a.in.Reason = job.AnnouncePassed, backup, state, reason
		a.end(ctx)
	}
}

// failed tells why it did not. A run that was stopped did neither: nothing is
// said of it.
func (a *announcement) failed(ctx workflow.Context, why error) {
	if a == nil || temporal.IsCanceledError(why) {
		return
	}
	a.in.End = job.AnnounceFailed
	a.in.Kind, a.in.Message = describe(why)
	a.in.Message, a.in.Hint, _ = strings.Cut(a.in.Message, job.HintMark)
	a.end(ctx)
}

func (a *announcement) end(ctx workflow.Context) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	log := workflow.GetLogger(ctx)
	if a.start != nil {
		// The start is told before the end, or not at all.
		var started job.AnnounceResult
		if err := a.start.Get(ctx, &started); err != nil {
			log.Warn("The start was not announced", "database", a.in.Database, "error", err)
		}
		if started.Nobody {
			return
		}
	}
	options := announceEndOptions
	options.Summary = "announce the end for " + a.in.Database
	var result job.AnnounceResult
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), steps.Announce, a.in).Get(ctx, &result)
	if err != nil {
		log.Warn("The end was not announced", "database", a.in.Database, "error", err)
	}
	workflow.SetCurrentDetails(ctx, workflow.GetCurrentDetails(ctx)+untold(result.Untold))
}

// maxUntold bounds how many of those who were not told are named.
const maxUntold = 4

// untold is a paragraph of Markdown for each of those who were not told.
func untold(all []job.Undelivered) string {
	var b strings.Builder
	for i, u := range all {
		if i == maxUntold {
			b.WriteString(fmt.Sprintf("\n\nNot told so far: %d more", len(all)-i))
			break
		}
		b.WriteString(fmt.Sprintf("\n\nNot told so far: %s by %s: %s", plain(u.Event), plain(u.Channel), plain(u.Error)))
	}
	return b.String()
}
