package hotcopy

import "context"

// Hold keeps the owner from checkpointing while a copy runs. Begin returns once
// no checkpoint can start any more and none runs; End ends the hold and returns
// nil only if it was in force until that call. Both are called at most once per
// hold; End may be called after a failed Begin, and with a context of its own.
type Hold interface {
	Begin(ctx context.Context) (Held, error)
	End(ctx context.Context) error
}

// Held is what the owner says when a hold begins; EngineVersion may be empty.
type Held struct {
	EngineVersion string
	Token         string
}
