package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// ProbeRequest is what an engine would be started with. The fields are those of
// ScanRequest.
type ProbeRequest struct {
	TempDir     string        `json:"temp_dir"`
	MemoryLimit string        `json:"memory_limit,omitempty"`
	Threads     int           `json:"threads,omitempty"`
	Timeout     time.Duration `json:"-"`
	Command     []string      `json:"-"`
}

// Probe starts the engine as Scan would, without any database, and returns its
// version, such as "v1.5.6". An error is an accident of this machine or of the
// request; ErrCrashed, ErrMemory and ErrTimeout are among them.
func Probe(ctx context.Context, req ProbeRequest) (version string, err error) {
	if req.TempDir != "" {
		dir, err := os.MkdirTemp(req.TempDir, "engine-")
		if err != nil {
			return "", fmt.Errorf("engine: make a directory to spill to: %w", err)
		}
		defer os.RemoveAll(dir)
		if req.TempDir, err = filepath.Abs(dir); err != nil {
			return "", fmt.Errorf("engine: make a directory to spill to: %w", err)
		}
	}
	if len(req.Command) > 0 {
		return probeShell(ctx, req)
	}
	report, err := run(ctx, request{Kind: kindProbe, Path: "no database", Probe: &req}, req.Timeout, nil)
	if err != nil {
		return "", err
	}
	return report.Engine, nil
}

func probeChild(ctx context.Context, req request, _ *replies) (_ *ScanReport, err error) {
	if req.Probe == nil {
		return nil, errors.New("a probe without limits")
	}
	s, err := bareSession(ctx, limits{TempDir: req.Probe.TempDir, MemoryLimit: req.Probe.MemoryLimit, Threads: req.Probe.Threads})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.conn.Close(), s.db.Close()) }()
	report := &ScanReport{Tables: []Table{}}
	report.Engine, err = s.version(ctx)
	return report, err
}

// bareSession is a session without a database. Its close would detach one.
func bareSession(ctx context.Context, lim limits) (*session, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, &childError{Class: classSetup, Text: err.Error()}
	}
	s := &session{db: sql.OpenDB(connector)}
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return nil, errors.Join(&childError{Class: classSetup, Text: err.Error()}, s.db.Close())
	}
	for _, stmt := range settings(lim) {
		if err := s.exec(ctx, stmt); err != nil {
			return nil, errors.Join(&childError{Class: classSetup, Text: shorten(stmt + ": " + err.Error())}, s.conn.Close(), s.db.Close())
		}
	}
	return s, nil
}

func (s *session) version(ctx context.Context) (string, error) {
	rows, err := s.strings(ctx, "SELECT version()")
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", errors.New("engine: it does not say its version")
	}
	return rows[0][0], nil
}

func probeShell(ctx context.Context, req ProbeRequest) (string, error) {
	ctx, cancel := limited(ctx, req.Timeout)
	defer cancel()
	s := &shell{path: req.Command[0], limits: limits{TempDir: req.TempDir, MemoryLimit: req.MemoryLimit, Threads: req.Threads}}
	var err error
	if s.program, err = shellProgram(req.Command, req.TempDir); err != nil {
		return "", err
	}
	if err := s.probe(ctx); err != nil {
		return "", err
	}
	return s.version, nil
}

// linkedTimeout bounds the start of an engine that is only asked for its version.
const linkedTimeout = time.Minute

// Linked is the version of the engine inside this program, which a child process
// is asked for.
func Linked(ctx context.Context) (version string, err error) {
	return Probe(ctx, ProbeRequest{Timeout: linkedTimeout})
}
