// Command screenshots takes the pictures of the Temporal UI that the documents
// show, from real runs: a backup that goes well, one that goes on after its
// worker was killed, one that fails, a drill and a schedule.
//
//	go run ./standalone/screenshots docs
//
// It needs Node.js with npm, and Chromium: CHROMIUM names it if it is not
// /usr/bin/chromium. NODE_PATH may name a folder that has playwright-core. It takes
// about three minutes, in one of which Temporal waits for the heartbeat of a killed
// worker.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"

	"canvasback/internal/app"
	"canvasback/standalone/sample"
	"canvasback/standalone/server"
)

func main() {
	sample.RunIfChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER")
		os.Exit(2)
	}
	if err := shoot(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

// stage is a host with three databases: shop, which a process writes, archive,
// which nobody does and whose copies are slow, and broken.
type stage struct {
	dir     string
	server  *server.Server
	client  client.Client
	worker  *exec.Cmd
	closers []func() error
}

func shoot(ctx context.Context, folder string) (err error) {
	dir, err := os.MkdirTemp("", "canvasback-screenshots-")
	if err != nil {
		return err
	}
	s := &stage{dir: dir}
	s.onClose(func() error { return os.RemoveAll(dir) })
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.set(ctx); err != nil {
		return err
	}
	if err := s.play(ctx); err != nil {
		return err
	}
	return s.pictures(ctx, folder)
}

func (s *stage) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *stage) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// set starts all that is there before the first run.
func (s *stage) set(ctx context.Context) error {
	if err := s.do(ctx, "go", "build", "-o", s.dir+"/", "canvasback/worker", "canvasback/starter"); err != nil {
		return err
	}
	still, err := sample.Start(ctx, s.path("archive.duckdb"))
	if err != nil {
		return err
	}
	if err := still.Stop(); err != nil {
		return err
	}
	written, err := sample.Start(ctx, s.path("shop.duckdb"))
	if err != nil {
		return err
	}
	s.onClose(written.Stop)
	if err := os.WriteFile(s.path("broken.duckdb"), make([]byte, 1<<20), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(s.path("backups"), 0o700); err != nil {
		return err
	}
	config := fmt.Sprintf(`host: db1
repository: %s
databases:
  - {name: shop, path: %s, retention: {keep_last: 2}}
  - {name: archive, path: %s, copy: {bandwidth: 300KB}}
  - {name: broken, path: %s}
`, s.path("backups"), s.path("shop.duckdb"), s.path("archive.duckdb"), s.path("broken.duckdb"))
	if err := os.WriteFile(s.path("canvasback.yaml"), []byte(config), 0o600); err != nil {
		return err
	}
	if s.server, err = server.Start(ctx, server.Options{Attributes: app.AttributeTypes}); err != nil {
		return err
	}
	s.onClose(s.server.Stop)
	if s.client, err = app.Connect(ctx, app.ConnectOptions{Address: s.server.HostPort()}); err != nil {
		return err
	}
	s.onClose(func() error { s.client.Close(); return nil })
	s.onClose(s.killWorker)
	return s.startWorker(ctx)
}

// startWorker returns when the worker asks for work.
func (s *stage) startWorker(ctx context.Context) error {
	s.worker = exec.Command(s.path("worker"), "--config", s.path("canvasback.yaml"), "--address", s.server.HostPort())
	if err := s.worker.Start(); err != nil {
		return err
	}
	return s.until(ctx, func() (bool, error) { return app.Polled(ctx, s.client, "db1") })
}

func (s *stage) killWorker() error {
	if s.worker == nil {
		return nil
	}
	err := s.worker.Process.Kill()
	_ = s.worker.Wait() // it was killed
	s.worker = nil
	return err
}

// play makes the runs that the pictures show.
func (s *stage) play(ctx context.Context) error {
	for _, args := range [][]string{
		{"schedule", "create", "--database", "shop", "--schedule", "0 3 * * *", "--timezone", "Europe/Amsterdam"},
		{"run", "--database", "shop"},
		{"run", "--database", "shop"},
		{"run", "--database", "shop"},
		{"drill", "--database", "shop"},
		{"run", "--database", "archive", "--no-wait"},
	} {
		if err := s.starter(ctx, args...); err != nil {
			return err
		}
		if err := s.nextSecond(ctx); err != nil {
			return err
		}
	}
	if err := s.waitForCopy(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.killWorker(), s.startWorker(ctx)); err != nil {
		return err
	}
	err := s.until(ctx, func() (bool, error) {
		run, err := app.Running(ctx, s.client, app.TaskBackup, "archive")
		return run == nil, err
	})
	if err != nil {
		return err
	}
	if err := s.starter(ctx, "run", "--database", "broken"); err == nil {
		return errors.New("a backup of what is no database went well")
	}
	return nil
}

// nextSecond lets runs of the schedule begin in seconds of their own: those of one
// second have one workflow ID, and the schedule's page then takes some for running.
func (s *stage) nextSecond(ctx context.Context) error {
	next := time.Now().Truncate(time.Second).Add(time.Second)
	return s.until(ctx, func() (bool, error) { return !time.Now().Before(next), nil })
}

// waitForCopy returns in the middle of a copy.
func (s *stage) waitForCopy(ctx context.Context) error {
	return s.until(ctx, func() (bool, error) {
		run, err := app.Running(ctx, s.client, app.TaskBackup, "archive")
		if run == nil || err != nil {
			return false, err
		}
		p, err := app.ProgressOf(ctx, s.client, *run)
		return p != nil && p.Step == "copy" && p.Total > 0 && p.Done > p.Total/3, err
	})
}

// until waits for f to be true.
func (s *stage) until(ctx context.Context, f func() (bool, error)) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pictures lets a browser look at the runs.
func (s *stage) pictures(ctx context.Context, folder string) error {
	modules := os.Getenv("NODE_PATH")
	if modules == "" {
		if err := s.do(ctx, "npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", s.path("npm"), "playwright-core@1"); err != nil {
			return err
		}
		modules = s.path("npm/node_modules")
	}
	return s.do(ctx, "env", "NODE_PATH="+modules, "node", filepath.Join("docs", "screenshots.mjs"), s.server.UIAddress(), folder)
}

func (s *stage) starter(ctx context.Context, args ...string) error {
	return s.do(ctx, s.path("starter"), append(args, "--address", s.server.HostPort(), "--host", "db1")...)
}

func (s *stage) do(ctx context.Context, name string, args ...string) error {
	fmt.Printf("%s %q\n", filepath.Base(name), args)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %q: %w", filepath.Base(name), args, err)
	}
	return nil
}
