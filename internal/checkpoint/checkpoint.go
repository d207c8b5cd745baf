package checkpoint

import (
	"context"
	"fmt"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/hook"
	"canvasback/internal/job"
	"canvasback/internal/vfs"
)

// Observation is what can be seen of a database from outside. WALBytes is the
// size of its WAL. Held means that a process holds the database's lock; its
// pid is 0 if it is outside this PID namespace.
type Observation struct {
	Iteration uint64
	WALBytes  int64
	OwnerPID  int
	OwnerExe  string
	Held      bool
}

// Request asks for one checkpoint of the database at Path. Observe looks at
// the database, before and after.
type Request struct {
	FS      vfs.FS
	Path    string
	Options config.Checkpoint
	Observe func() (Observation, error)
}

// Run asks once and reports what changed. The failure of a hook is a
// failure.Hook, or, where the options say to go on, the result's Error. Errors
// of Observe come back as they are.
func Run(ctx context.Context, req Request) (job.CheckpointResult, error) {
	start := time.Now()
	before, err := req.Observe()
	if err != nil {
		return job.CheckpointResult{}, err
	}
	hookErr := req.ask(ctx, before)
	if ctx.Err() != nil {
		return job.CheckpointResult{}, fmt.Errorf("checkpoint of %s: %w", req.Path, context.Cause(ctx))
	}
	after := before
	if req.Options.Mode != config.CheckpointNone {
		if after, err = req.Observe(); err != nil {
			return job.CheckpointResult{}, err
		}
	}
	result := job.CheckpointResult{
		Mode:            req.Options.Mode,
		IterationBefore: before.Iteration,
		IterationAfter:  after.Iteration,
		WALBytesBefore:  before.WALBytes,
		WALBytesAfter:   after.WALBytes,
		OwnerPID:        after.OwnerPID,
		OwnerExe:        after.OwnerExe,
		Seconds:         time.Since(start).Seconds(),
	}
	if hookErr == nil {
		return result, nil
	}
	result.Error = hookErr.Error()
	if req.Options.OnError == config.OnErrorFail {
		return result, hookErr
	}
	return result, nil
}

// ask does what the mode says, within the timeout.
func (req Request) ask(ctx context.Context, seen Observation) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(req.Options.Timeout))
	defer cancel()
	var err error
	switch req.Options.Mode {
	case config.CheckpointNone:
		return nil
	case config.CheckpointCommand:
		_, err = hook.Command(ctx, req.Options.Command, []string{"CANVASBACK_DATABASE=" + req.Path})
	case config.CheckpointHTTP:
		_, err = hook.Post(ctx, req.Options.URL, req.Options.Socket, nil)
	case config.CheckpointOpen:
		err = req.open(ctx, seen)
	default:
		err = fmt.Errorf("unknown mode %q", req.Options.Mode)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no end within %s: %w", req.Options.Timeout, err)
	}
	return failure.Errorf(failure.Hook, "checkpoint of %s by %s: %w", req.Path, req.Options.Mode, err)
}

// open lets the engine fold the WAL of a database that nobody holds. It
// refuses what is not a database file yet, which the engine would make into
// one.
func (req Request) open(ctx context.Context, seen Observation) error {
	if seen.Held {
		return fmt.Errorf("%s holds it open", owner(seen))
	}
	info, err := req.FS.Stat(req.Path)
	if err != nil {
		return err
	}
	if !info.Mode.IsRegular() || info.Size == 0 {
		return fmt.Errorf("it is not a database file")
	}
	return engine.Checkpoint(ctx, req.Path, time.Duration(req.Options.Timeout))
}

func owner(seen Observation) string {
	switch {
	case seen.OwnerPID == 0:
		return "a process outside this container"
	case seen.OwnerExe == "":
		return fmt.Sprintf("process %d", seen.OwnerPID)
	default:
		return fmt.Sprintf("process %d (%s)", seen.OwnerPID, seen.OwnerExe)
	}
}
