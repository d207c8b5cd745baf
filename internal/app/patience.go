package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.temporal.io/api/serviceerror"

	"canvasback/internal/failure"
)

// How a call that the server had no room for is made again: after a pause that
// doubles, with a random part so that many callers do not come at once. One that
// says it is asked too much is asked for patientFor; one that does not answer,
// which may be busy or away, so many times. The SDK tries on for ten seconds by
// itself each time.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 15 * time.Second
	patientFor   = 5 * time.Minute
	unanswered   = 3
)

// patiently calls f again where the server could not do it now. All else that f
// returns is returned.
func patiently(ctx context.Context, f func() error) error {
	end := time.Now().Add(patientFor)
	for pause, silent := firstPause, 0; ; pause = min(2*pause, longestPause) {
		err := f()
		switch {
		case err == nil || ctx.Err() != nil || time.Now().After(end):
			return err
		case exhausted(err):
		case failure.Of(err) == failure.TemporalUnreachable:
			if silent++; silent == unanswered {
				return err
			}
		default:
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
