package livetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Frozen copies everything while the owner is stopped in the midst of whatever
// it does: what its death, or a snapshot of the volume, would leave.
func (s Source) Frozen(ctx context.Context, target string) (t Taken, err error) {
	t.Path = target
	if t.AtLeast, err = s.Owner.Ask(); err != nil {
		return t, err
	}
	s.Limit = 0
	err = s.Owner.freeze()
	if err == nil {
		err = s.copyFiles(ctx, target, logSuffixes...)
	}
	if err = errors.Join(err, syscall.Kill(s.Owner.PID, syscall.SIGCONT)); err != nil {
		return t, err
	}
	t.AtMost, err = s.Owner.Ask()
	t.AtMost++
	return t, err
}

// freezeTimeout bounds the wait for a thread that a disk holds up.
const freezeTimeout = 30 * time.Second

// freeze stops the process and returns when none of its threads runs any more:
// one that is writing ends its call first.
func (o *Owner) freeze() error {
	if err := syscall.Kill(o.PID, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the owner: %w", err)
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		stopped, err := o.stopped()
		if err != nil || stopped {
			return err
		}
		if time.Since(begin) > freezeTimeout {
			return errors.New("a thread of the owner does not stop")
		}
	}
}

// stopped tells whether every thread of the process is.
func (o *Owner) stopped() (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", o.PID))
	if err != nil || len(threads) == 0 {
		return false, errors.Join(err, o.Ended())
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return false, nil // the thread has just ended
		}
		if err != nil {
			return false, err
		}
		// The state follows the name, which stands in parentheses.
		_, state, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if !found || !bytes.HasPrefix(state, []byte("T")) {
			return false, nil
		}
	}
	return true, nil
}
