package notify

import (
	"context"
	"sync"

	"canvasback/internal/failure"
	"canvasback/internal/job"
)

// Watch runs a backup or drill that Temporal knows nothing of and announces its
// start, meanwhile, and its end. It returns what the run returns: run fills in
// the backup and its state. A run that was interrupted has neither passed nor
// failed, and nothing is said of its end.
func (n *Notifier) Watch(ctx context.Context, database, task string, run func(in *job.AnnounceInput) error) error {
	in := job.AnnounceInput{Database: database, Task: task, Run: newUUID(), Started: n.clock().UTC()}
	starting, stop := context.WithCancel(ctx)
	defer stop()
	var started sync.WaitGroup
	start := in // run fills in its own
	started.Go(func() { n.Announce(starting, start) })
	err := run(&in)
	if ctx.Err() != nil {
		stop()
		started.Wait()
		return err
	}
	in.End = job.AnnouncePassed
	if err != nil {
		kind := failure.Of(err)
		in.End, in.Kind, in.Message, in.Hint = job.AnnounceFailed, kind.Name, err.Error(), kind.Hint
	}
	started.Wait()
	n.Announce(ctx, in) // what was not sent is Complain's to report
	return err
}
