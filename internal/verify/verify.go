// Package verify decides whether a stored backup is good. It trusts nothing of
// the copy step but the manifest's list of files:
//
//  1. size and SHA-256 of every file, and no WAL that the manifest lacks;
//  2. the checksum of every used block, and a WAL that ends with a commit;
//  3. DuckDB in a child process opens the copy and reads every column;
//  4. the operator's own assertions hold.
//
// Stored files are only read. A WAL that the engine cannot replay read-only is
// read on a scratch copy, which is removed on every path.
//
// A verdict against the copy is a failure.BackupBad. An engine that ran out of
// time or memory decides nothing: failure.VerifyTimeout and VerifyMemory. An
// accident of this machine (the context ended, a disk failed, the child could
// not run) is none of these.
package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// ErrStructure means that the backup is good as far as it was looked into, and
// that it cannot be read here: the engine is too old for it or lacks an
// extension, or it is encrypted and there is no key.
var ErrStructure = errors.New("verify: the backup cannot be opened here")

// Levels of verification, also known as L1 to L4: each includes the ones before.
const (
	LevelBytes  = "bytes"  // steps 1 and 2
	LevelOpen   = "open"   // the engine opens it and counts rows; assertions that the request names run
	LevelFull   = "full"   // the engine reads every column of every row
	LevelAssert = "assert" // and the operator's assertions hold
)

// Phases that Progress is told of. Done and total are bytes, in PhaseRead tables.
const (
	PhaseHash    = "hash"
	PhaseBlocks  = "blocks"
	PhaseScratch = "scratch"
	PhaseRead    = "read"
)

// Request names the backup and the means.
type Request struct {
	FS          vfs.FS
	Dir         string // the backup's directory
	Manifest    *repo.Manifest
	Key         string // of an encrypted database; empty: none, and one is only checked by its bytes
	Level       string // empty: LevelFull; LevelFull with assertions is LevelAssert
	Scratch     string // existing directory for scratch copies and what the engine spills
	MemoryLimit string // DuckDB's form, "2GB"; empty: the engine's default
	Threads     int    // 0: the engine's default
	Timeout     time.Duration
	Command     []string // argv of a DuckDB command-line shell to read it with; empty: the linked engine
	Assertions  []engine.Assertion
	Progress    func(phase string, done, total int64) // may be nil
}

// Run verifies the backup. Beside a verdict against the copy (failure.BackupBad,
// ErrStructure) and beside one that could not be reached (failure.VerifyTimeout,
// failure.VerifyMemory) it returns the evidence up to there, with Reason set;
// beside an accident it returns none.
func Run(ctx context.Context, req Request) (*repo.Verification, error) {
	if req.Progress == nil {
		req.Progress = func(string, int64, int64) {}
	}
	if err := setLevel(&req); err != nil {
		return nil, err
	}
	start := time.Now()
	v := &repo.Verification{Level: LevelBytes, Asked: req.Level, At: start.UTC()}
	err := steps(ctx, &req, v)
	v.Seconds = time.Since(start).Seconds()
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, ErrStructure) || failure.Of(err) == failure.BackupBad || Undecided(err):
		v.Reason = err.Error()
		return v, err
	default:
		return nil, err
	}
}

// Undecided tells whether the engine ran out of time or memory before it could
// say whether the backup is good.
func Undecided(err error) bool {
	kind := failure.Of(err)
	return err != nil && (kind == failure.VerifyTimeout || kind == failure.VerifyMemory)
}

// setLevel fills in the level and refuses one that cannot be reached.
func setLevel(req *Request) error {
	switch req.Level {
	case LevelBytes, LevelOpen:
	case LevelFull, "":
		req.Level = LevelFull
		if len(req.Assertions) > 0 {
			req.Level = LevelAssert
		}
	case LevelAssert:
		if len(req.Assertions) == 0 {
			return failure.Errorf(failure.InvalidConfig, "verify %s: level %q without assertions", req.Dir, req.Level)
		}
	default:
		return failure.Errorf(failure.InvalidConfig, "verify %s: unknown level %q", req.Dir, req.Level)
	}
	return nil
}

func steps(ctx context.Context, req *Request, v *repo.Verification) error {
	files, err := layout(req)
	if err != nil {
		return err
	}
	if err := hashes(ctx, req); err != nil {
		return err
	}
	if req.Manifest.Source.Opaque && req.Key == "" {
		return fmt.Errorf("%w: %s: it is encrypted and no key was given: its bytes are those that were copied, its blocks were not looked into", ErrStructure, req.Dir)
	}
	head, n, err := blocks(ctx, req, files.main)
	if err != nil {
		return err
	}
	v.Blocks = n
	needsWrite := false
	if files.wal != nil {
		if needsWrite, err = wal(ctx, req, *files.wal, head); err != nil {
			return err
		}
	}
	if req.Level == LevelBytes {
		return nil
	}
	return read(ctx, req, files, head, needsWrite, v)
}

// parts are the backup's files by their role.
type parts struct {
	main repo.File
	wal  *repo.File // nil: none
}

func (p parts) all() []repo.File {
	if p.wal == nil {
		return []repo.File{p.main}
	}
	return []repo.File{p.main, *p.wal}
}

// layout finds the database and its WAL in the manifest and refuses files that
// the engine would read though the manifest does not vouch for them.
func layout(req *Request) (parts, error) {
	var p parts
	for _, f := range req.Manifest.Files {
		switch {
		case f.Name != filepath.Base(f.Name):
			return p, bad("%s: the manifest names a file outside the backup: %q", req.Dir, f.Name)
		case strings.HasSuffix(f.Name, ".duckdb") && p.main.Name == "":
			p.main = f
		case strings.HasSuffix(f.Name, ".wal") && p.wal == nil:
			p.wal = &f
		default:
			return p, bad("%s: the manifest names a file that belongs to no backup: %q", req.Dir, f.Name)
		}
	}
	if p.main.Name == "" {
		return p, bad("%s: the manifest names no database file", req.Dir)
	}
	if p.wal != nil && p.wal.Name != p.main.Name+".wal" {
		return p, bad("%s: the WAL %q is not that of %q", req.Dir, p.wal.Name, p.main.Name)
	}
	for _, suffix := range []string{".wal", ".wal.checkpoint", ".wal.recovery"} {
		if suffix == ".wal" && p.wal != nil {
			continue
		}
		stray := filepath.Join(req.Dir, p.main.Name+suffix)
		if err := absent(req.FS, stray); err != nil {
			return p, err
		}
	}
	return p, nil
}

// bad is a verdict against the copy.
func bad(format string, args ...any) error {
	return failure.Errorf(failure.BackupBad, "the backup is bad: "+format, args...)
}
