package hotcopy

import (
	"context"
	"errors"
	"time"
)

// heldGate bounds the wait under a hold: what looks like a checkpoint then is
// what a failed one left behind.
const heldGate = time.Second

// gate waits until no checkpoint is under way and returns that view. If it does
// not end within the bound it returns the view of the checkpoint that stalled:
// its owner died, is frozen, or is very slow.
func (s *source) gate(ctx context.Context, o *Options, attempt int, bound time.Duration) (v *view, waited time.Duration, err error) {
	start := o.clock.Now()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		v, err := s.look(ctx, o)
		if err != nil {
			return nil, o.since(start), err
		}
		waited := o.since(start)
		if v.phase() == quiet || o.skips(withoutGate) {
			return v, waited, nil
		}
		if _, held, err := s.db.LockOwner(); err == nil && !held {
			bound = min(bound, o.Settle) // nobody is there to end it
		}
		if waited >= bound {
			return v, waited, v.resolvable(s.path)
		}
		o.Progress(Progress{Phase: "gate", Attempt: attempt})
		if err := errors.Join(v.close(), o.sleep(ctx, pause)); err != nil {
			return nil, waited, err
		}
	}
}

// resolvable refuses a stalled state that no crash of DuckDB leaves behind.
func (v *view) resolvable(path string) error {
	if _, marked := v.main.marker(); marked || v.side.commits() == 0 {
		return nil
	}
	return errors.Join(v.close(), moving(movedCheckpoint,
		"%s holds commits, but the WAL of %s shows no checkpoint they could belong to", v.side.path, path))
}
