package livetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"

	"golang.org/x/time/rate"
)

// Method is one way to copy the database of a running owner.
type Method struct {
	Name string
	// take puts the copy at target and its WAL beside it.
	take func(ctx context.Context, s Source, target string) (rule string, attempts int, err error)
}

// Source is what a method copies from.
type Source struct {
	Kind  Kind
	Owner *Owner
	// Limit is how many bytes of the files are read in a second; 0: no limit.
	Limit int64
	// Settle is that of package hotcopy.
	Settle time.Duration
	// Vouch has package hotcopy believe the kind's version, if there is one.
	Vouch bool
}

// Taken is a copy, not yet checked: it must hold the ledger entries 1..n for an
// n from AtLeast to AtMost.
type Taken struct {
	Path            string
	AtLeast, AtMost int64
	Rule            string // and variant, of ours
	Attempts        int
	Took            time.Duration
}

// Ours copies as the product does, but for the attempts, of which it has 60.
var Ours = Method{"canvasback", func(ctx context.Context, s Source, target string) (string, int, error) {
	o := hotcopy.Options{
		FS: vfs.OS(), Path: s.Owner.Database, Dir: filepath.Dir(target), Name: strings.TrimSuffix(filepath.Base(target), ".duckdb"),
		Settle:      s.Settle,
		MaxAttempts: 300, // owners, copies and checkers share the cores here
	}
	if l := s.limiter(); l != nil { // a nil *rate.Limiter would be a Limiter
		o.Limiter = l
	}
	if s.Vouch {
		o.EngineVersion = s.Kind.Vouched
	}
	result, err := hotcopy.Copy(ctx, o)
	if err != nil {
		return "", 0, err
	}
	rule := result.Rule
	if variant := result.Evidence["variant"]; variant != "" {
		rule += " " + variant
	}
	return rule, result.Attempts, nil
}}

// Baselines are what people do without it.
var Baselines = []Method{
	{"checkpoint, cp db", func(ctx context.Context, s Source, target string) (string, int, error) {
		return "", 1, errors.Join(s.Owner.Fold(), s.copyFiles(ctx, target, ""))
	}},
	{"cp db, then wal", func(ctx context.Context, s Source, target string) (string, int, error) {
		return "", 1, s.copyFiles(ctx, target, "", ".wal")
	}},
	{"cp wal, then db", func(ctx context.Context, s Source, target string) (string, int, error) {
		return "", 1, s.copyFiles(ctx, target, ".wal", "")
	}},
}

// Take copies to target, which ends in .duckdb and does not exist, in a
// directory that the copy has to itself.
func (m Method) Take(ctx context.Context, s Source, target string) (Taken, error) {
	t := Taken{Path: target}
	var err error
	if t.AtLeast, err = s.Owner.Ask(); err != nil {
		return t, err
	}
	begin := time.Now()
	if t.Rule, t.Attempts, err = m.take(ctx, s, target); err != nil {
		return t, fmt.Errorf("%s: %w", m.Name, err)
	}
	t.Took = time.Since(begin)
	// One more may be committed that the owner does not yet count.
	t.AtMost, err = s.Owner.Ask()
	t.AtMost++
	return t, err
}

// limiter bounds each method's reads in the same way; nil: no bound.
func (s Source) limiter() *rate.Limiter {
	if s.Limit == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(s.Limit), hotcopy.MaxRead)
}

// copyFiles copies the database file and what lies beside it, one after the
// other, from their first to their last byte. A log that is not there is none.
func (s Source) copyFiles(ctx context.Context, target string, suffixes ...string) error {
	limiter := s.limiter()
	for _, suffix := range suffixes {
		err := copyFile(ctx, s.Owner.Database+suffix, target+suffix, limiter)
		if err != nil && (suffix == "" || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func copyFile(ctx context.Context, from, to string, limiter *rate.Limiter) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, &limited{ctx, in, limiter})
	return err
}

// limited reads small pieces at the limiter's pace.
type limited struct {
	ctx     context.Context
	r       io.Reader
	limiter *rate.Limiter // nil: at any pace
}

const pieceBytes = 128 << 10

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(len(p), pieceBytes)])
	if l.limiter != nil && n > 0 {
		if err := l.limiter.WaitN(l.ctx, n); err != nil {
			return n, err
		}
	}
	return n, err
}
