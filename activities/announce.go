package activities

import (
	"context"

	"canvasback/internal/job"
)

// Announcer tells people how a run goes. Its error says why it was interrupted,
// and nothing else: whom it could not tell is in the result.
type Announcer interface {
	Announce(ctx context.Context, in job.AnnounceInput) (job.AnnounceResult, error)
}

// Announce tells those whom the configuration names of the start or the end of
// a run.
func (a *Activities) Announce(ctx context.Context, in job.AnnounceInput) (job.AnnounceResult, error) {
	if a.Announcer == nil {
		return job.AnnounceResult{Nobody: true}, nil
	}
	s := begin(ctx, "announce")
	defer s.end()
	result, err := a.Announcer.Announce(s.ctx, in)
	return result, s.outcome(err)
}
