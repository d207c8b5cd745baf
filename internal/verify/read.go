package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// read lets the engine read the backup, in place where that changes nothing.
func read(ctx context.Context, req *Request, files parts, head *duckfile.Headers, needsWrite bool, v *repo.Verification) (err error) {
	scan := engine.ScanRequest{
		Path:        filepath.Join(req.Dir, files.main.Name),
		Key:         req.Key,
		Level:       engine.LevelFull,
		Assertions:  req.Assertions,
		TempDir:     req.Scratch,
		MemoryLimit: req.MemoryLimit,
		Threads:     req.Threads,
		Timeout:     req.Timeout,
		Command:     req.Command,
		Progress:    func(done, total int) { req.Progress(PhaseRead, int64(done), int64(total)) },
	}
	if req.Level == LevelOpen {
		scan.Level = engine.LevelOpen
	}
	before, err := identities(req, files)
	if err != nil {
		return err
	}
	if needsWrite {
		var scratch string
		scratch, err = makeScratch(ctx, req, files)
		if scratch != "" {
			defer func() { err = errors.Join(err, vfs.RemoveAll(req.FS, scratch)) }()
		}
		if err != nil {
			return err
		}
		scan.Path, scan.ReadWrite, v.ReadWrite = filepath.Join(scratch, files.main.Name), true, true
	}
	report, err := engine.Scan(ctx, scan)
	if err != nil {
		return engineVerdict(ctx, req.Dir, head, err)
	}
	after, err := identities(req, files)
	if err != nil {
		return err
	}
	for i, b := range before {
		if after[i] != b {
			return failure.Errorf(failure.Engine, "%s changed while it was verified", filepath.Join(req.Dir, files.all()[i].Name))
		}
	}
	v.Level, v.Engine, v.Tables = req.Level, report.Engine, []repo.Table{}
	for _, t := range report.Tables {
		v.Tables = append(v.Tables, repo.Table(t))
	}
	if req.Level != LevelOpen {
		v.Fingerprints = engine.FingerprintVersion
	}
	if len(report.Missing) > 0 {
		v.Level = LevelOpen
		return fmt.Errorf("%w: %s: it holds what only an extension can read, which %s does not have: %s", ErrStructure, req.Dir, report.Engine, strings.Join(report.Missing, "; "))
	}
	return assertions(req, report, v)
}

// identities tells whether someone wrote to the stored files.
func identities(req *Request, files parts) ([]vfs.Info, error) {
	var infos []vfs.Info
	for _, f := range files.all() {
		info, err := req.FS.Lstat(filepath.Join(req.Dir, f.Name))
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// engineVerdict sorts what the child process ended with.
func engineVerdict(ctx context.Context, dir string, head *duckfile.Headers, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("verify %s: %w", dir, context.Cause(ctx))
	case errors.Is(err, engine.ErrTooNew):
		return fmt.Errorf("%w: %s: it needs %s: name the command-line shell of one in the configuration, engine: {command: [/usr/bin/duckdb]}: %w", ErrStructure, dir, release(head), err)
	case errors.Is(err, engine.ErrMissing):
		return fmt.Errorf("%w: %s: %w", ErrStructure, dir, err)
	case errors.Is(err, engine.ErrTimeout):
		return failure.Errorf(failure.VerifyTimeout, "the backup could not be verified in time: %s: %w", dir, err)
	case errors.Is(err, engine.ErrMemory):
		return failure.Errorf(failure.VerifyMemory, "the backup could not be verified with this memory: %s: %w", dir, err)
	case errors.Is(err, engine.ErrRejected), errors.Is(err, engine.ErrCrashed):
		return bad("%s: %w", dir, err)
	default:
		return failure.Errorf(failure.Engine, "verify %s: %w", dir, err)
	}
}

// release names the first DuckDB that reads files with the headers. An upgrade
// of a file's version shows in the compatibility alone.
func release(head *duckfile.Headers) string {
	releases := []struct {
		version, compatibility uint64
		name                   string
	}{{64, 3, "1.1"}, {65, 4, "1.2"}, {66, 5, "1.3"}, {67, 6, "1.4"}, {68, 7, "1.5"}, {69, 69, "2.0"}}
	version, compatibility := head.StorageVersion(), head.Current().Compatibility
	needed := version
	if head.Main.Encryption.Version > 0 {
		needed = max(version, 68) // the encryption is of 1.5, whatever the version
	}
	for _, r := range releases {
		if needed <= r.version && compatibility <= r.compatibility {
			return fmt.Sprintf("DuckDB %s or newer (storage version %d)", r.name, version)
		}
	}
	return fmt.Sprintf("a DuckDB that is newer than 2.0 (storage version %d)", version)
}

// assertions records what the operator's queries returned. One that does not
// hold makes the backup bad; one that found no time or no memory says nothing,
// and neither does one that the engine does not understand: that is a mistake of
// the configuration.
func assertions(req *Request, report *engine.ScanReport, v *repo.Verification) error {
	if len(report.Assertions) != len(req.Assertions) {
		return failure.Errorf(failure.Engine, "verify %s: %d results of %d assertions", req.Dir, len(report.Assertions), len(req.Assertions))
	}
	var failed, late, starved, mistaken []string
	for i, r := range report.Assertions {
		want := req.Assertions[i].Expect
		got := r.Got
		if r.Error != "" {
			got = "error: " + r.Error
		}
		v.Assertions = append(v.Assertions, repo.Assertion{Name: r.Name, Got: got, Want: want, Passed: r.Passed})
		text := fmt.Sprintf("assertion %q: got %q, want %q", r.Name, got, want)
		switch {
		case r.Passed:
		case r.Undecided == engine.UndecidedTime:
			late = append(late, text)
		case r.Undecided == engine.UndecidedMemory:
			starved = append(starved, text)
		case r.Undecided == engine.UndecidedQuery:
			mistaken = append(mistaken, text)
		default:
			failed = append(failed, text)
		}
	}
	switch {
	case len(failed) > 0:
		return bad("%s: %s", req.Dir, strings.Join(failed, "; "))
	case len(mistaken) > 0:
		return failure.Errorf(failure.InvalidConfig, "verify %s: %s does not understand what it was asked: %s", req.Dir, report.Engine, strings.Join(mistaken, "; "))
	case len(late) > 0:
		return failure.Errorf(failure.VerifyTimeout, "the backup could not be verified in time: %s: %s", req.Dir, strings.Join(late, "; "))
	case len(starved) > 0:
		return failure.Errorf(failure.VerifyMemory, "the backup could not be verified with this memory: %s: %s", req.Dir, strings.Join(starved, "; "))
	default:
		return nil
	}
}
