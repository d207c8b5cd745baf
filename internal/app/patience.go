package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.temporal.io/api/serviceerror"
)

// How a call that the server had no room for is made again: after a pause that
// doubles, with a random part so that many callers do not come at once, for a
// bounded time. The SDK tries on for ten seconds by itself before.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 15 * time.Second
	patientFor   = 5 * time.Minute
)

// patiently calls f again for as long as the server says that it is asked too
// much. All else that f returns is returned.
func patiently(ctx context.Context, f func() error) error {
	end := time.Now().Add(patientFor)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := f()
		if !exhausted(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// exhausted tells an error of a server that limits how often it is asked.
func exhausted(err error) bool {
	_, is := errors.AsType[*serviceerror.ResourceExhausted](err)
	return is
}
