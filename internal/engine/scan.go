package engine

import (
	"context"
	"errors"
	"fmt"
)

// scanChild answers a scan request.
func scanChild(ctx context.Context, req request, out *replies) (*ScanReport, error) {
	scan := req.Scan
	if scan == nil {
		return nil, &childError{Class: classSetup, Text: "a scan without a request"}
	}
	lim := limits{TempDir: scan.TempDir, MemoryLimit: scan.MemoryLimit, Threads: scan.Threads, Key: scan.Key, Cipher: scan.Cipher}
	s, err := openSession(ctx, req.Path, !scan.ReadWrite, lim)
	if err != nil {
		return nil, err
	}
	report, err := s.reader(out).read(ctx, scan.Level)
	if err == nil && len(report.Missing) > 0 {
		_ = s.close() // what cannot be bound cannot be checkpointed either
		return report, nil
	}
	if err == nil && scan.ReadWrite {
		err = s.exec(ctx, "CHECKPOINT "+quoteName(s.alias))
		if err = errors.Join(err, s.close()); err != nil {
			return nil, err
		}
		if s, err = openSession(ctx, req.Path, true, lim); err != nil {
			return nil, fmt.Errorf("open again after a checkpoint: %w", err)
		}
		err = s.reader(out).sameRows(ctx, report.Tables)
	}
	if err == nil {
		// The operator's queries name tables, and perhaps macros, of the database.
		err = s.exec(ctx, "USE "+quoteName(s.alias))
	}
	if err == nil {
		report.Assertions = s.assert(ctx, scan.Assertions)
	}
	if err = errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	return report, nil
}

// checkpointChild answers a checkpoint request.
func checkpointChild(ctx context.Context, req request, _ *replies) (*ScanReport, error) {
	s, err := openSession(ctx, req.Path, false, limits{})
	if err != nil {
		return nil, err
	}
	err = s.exec(ctx, "CHECKPOINT "+quoteName(s.alias))
	if err = errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	return &ScanReport{}, nil
}

func (s *session) reader(out *replies) *reader {
	return &reader{asker: s, alias: s.alias, progress: out.progress}
}

func (s *session) ask(ctx context.Context, queries []string, got func(i int, rows [][]string) error) (int, error) {
	for i, query := range queries {
		rows, err := s.strings(ctx, query)
		if err == nil {
			err = got(i, rows)
		}
		if err != nil {
			return i, err
		}
	}
	return len(queries), nil
}

func (s *session) fatal(error) bool { return false }
