package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

// Engine says how the engine reads. The zero value has its defaults and no limit.
type Engine struct {
	Key         string   // of an encrypted database; empty: none
	Command     []string // argv of a DuckDB command-line shell in place of the linked engine; whole restores only
	Scratch     string   // directory for what it spills; empty: the system's temporary one
	MemoryLimit string   // DuckDB's form, "2GB"
	Threads     int
	Timeout     time.Duration
}

// Scanner is a Request.Scan that reads every row with the engine. An engine
// without time or memory has no verdict: failure.VerifyTimeout, VerifyMemory.
func Scanner(e Engine) func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
	return func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
		return e.scan(ctx, path, readWrite)
	}
}

func (e Engine) scan(ctx context.Context, path string, readWrite bool) (tables []repo.Table, err error) {
	scratch, err := os.MkdirTemp(e.Scratch, "canvasback-restore-")
	if err != nil {
		return nil, failure.Errorf(failure.Engine, "a directory for the engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	report, err := engine.Scan(ctx, engine.ScanRequest{
		Path: path, Key: e.Key, ReadWrite: readWrite, Level: engine.LevelFull, TempDir: scratch,
		MemoryLimit: e.MemoryLimit, Threads: e.Threads, Timeout: e.Timeout, Command: e.Command,
	})
	if err != nil {
		return nil, engineFailure(ctx, path, err)
	}
	if len(report.Missing) > 0 {
		err := fmt.Errorf("%w: %s", engine.ErrMissing, strings.Join(report.Missing, "; "))
		return nil, engineFailure(ctx, path, err)
	}
	for _, t := range report.Tables {
		tables = append(tables, repo.Table(t))
	}
	return tables, nil
}

// engineFailure gives an error of the engine its kind. What the engine rejects
// is a verdict against the file at path.
func engineFailure(ctx context.Context, path string, err error) error {
	kind := failure.Engine
	switch {
	case ctx.Err() != nil:
		kind = failure.Interrupted
	case errors.Is(err, engine.ErrRejected), errors.Is(err, engine.ErrCrashed):
		kind = failure.BackupBad
	case errors.Is(err, engine.ErrKey):
		kind = failure.WrongKey
	case errors.Is(err, engine.ErrTimeout):
		kind = failure.VerifyTimeout
	case errors.Is(err, engine.ErrMemory):
		kind = failure.VerifyMemory
	case errors.Is(err, engine.ErrTooNew), errors.Is(err, engine.ErrMissing):
		kind = failure.NewerStorage
	case errors.Is(err, engine.ErrTables):
		kind = failure.Usage
	case errors.Is(err, engine.ErrResources):
		kind = failure.TargetBad
	}
	return failure.Errorf(kind, "%s: %w", path, err)
}
