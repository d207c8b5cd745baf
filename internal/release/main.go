// Command release makes the archive of a release: the programs, completions,
// man pages, a list of what is in them (CycloneDX) and checksums. The same
// commit, built with the same Go and C compiler, gives the same bytes wherever
// and whenever it is built; -verify builds twice in two places and compares.
//
//	go run ./internal/release -version 1.2.3 -out dist
//	go run ./internal/release -verify
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// plan is what to build and from where.
type plan struct {
	source   string // the root of the main module
	version  string
	revision string
	epoch    int64    // of everything that carries a date, seconds since 1970
	programs []string // names; standalone has a module of its own
	cache    string   // the Go command's; empty: as it is
}

func main() {
	version := flag.String("version", "", "version of the release (default: devel and the commit)")
	out := flag.String("out", "dist", "directory of the archive, made where it is missing")
	names := flag.String("programs", "worker,starter,standalone", "what goes in")
	verify := flag.Bool("verify", false, "build -programs twice, in two places with a cold cache each, and compare; -out is left alone")
	flag.Parse()
	if err := run(context.Background(), *version, *out, strings.Split(*names, ","), *verify); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, version, out string, programs []string, verify bool) error {
	p, err := newPlan(ctx, version, programs)
	if err != nil {
		return err
	}
	if verify {
		return p.verify(ctx)
	}
	return p.release(ctx, out)
}

// newPlan asks git for the commit and its time, and refuses files that are not
// committed: nobody could build the same again. SOURCE_DATE_EPOCH goes before
// the time of the commit.
func newPlan(ctx context.Context, version string, programs []string) (*plan, error) {
	root, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	p := &plan{source: root, version: version, programs: programs}
	if changed, err := git(ctx, root, "status", "--porcelain"); err != nil || changed != "" {
		return nil, fmt.Errorf("these files are not committed:\n%s%w", changed, orNil(err))
	}
	if p.revision, err = git(ctx, root, "rev-parse", "HEAD"); err != nil {
		return nil, err
	}
	when := os.Getenv("SOURCE_DATE_EPOCH")
	if when == "" {
		if when, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
			return nil, err
		}
	}
	if p.epoch, err = strconv.ParseInt(when, 10, 64); err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH %q: seconds since 1970 are wanted", when)
	}
	if p.version == "" {
		p.version = "devel-" + p.revision[:12]
	}
	return p, nil
}

// orNil keeps a nil error out of a text.
func orNil(err error) error {
	if err == nil {
		return errUncommitted
	}
	return err
}

var errUncommitted = fmt.Errorf("commit them, or put them away")

func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds the program to the file. Nothing of where and by whom it is built
// goes in: paths are trimmed, for C, too, and the commit comes from the plan.
func (p *plan) build(ctx context.Context, program, file string) error {
	dir, pkg := p.source, "./"+program
	if program == "standalone" {
		dir, pkg = filepath.Join(p.source, "standalone"), "."
	}
	const vars = "canvasback/internal/version."
	return p.goCommand(ctx, dir, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", file,
		"-ldflags", fmt.Sprintf("-s -w -buildid= -X %srelease=%s -X %srevision=%s", vars, p.version, vars, p.revision), pkg)
}

func (p *plan) goCommand(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=1", "GOFLAGS=", "CGO_CFLAGS=-O2", "CGO_CXXFLAGS=-O2", "CGO_LDFLAGS=", "SOURCE_DATE_EPOCH="+strconv.FormatInt(p.epoch, 10))
	if p.cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+p.cache)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	return nil
}
