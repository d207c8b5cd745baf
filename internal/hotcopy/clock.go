package hotcopy

import (
	"context"
	"time"
)

// clock is the time that a copy goes by. Tests step a simulated one.
type clock interface {
	Now() time.Time
	// Sleep returns after d, or with the context's cause when ctx ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// wall is this machine's clock.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// since is the time that has passed on the copy's clock.
func (o *Options) since(t time.Time) time.Duration { return o.clock.Now().Sub(t) }

func (o *Options) sleep(ctx context.Context, d time.Duration) error { return o.clock.Sleep(ctx, d) }
