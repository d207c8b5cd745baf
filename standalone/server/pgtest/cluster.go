package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"canvasback/standalone/server"
)

const (
	host = "127.0.0.1"
	user = "temporal"
	// startWait is how long a cluster may take until it answers.
	startWait = time.Minute
	// startTries bounds how often another port is picked.
	startTries = 5
)

// Cluster is a running PostgreSQL with the two databases that those of the
// tests are copies of.
type Cluster struct {
	dir, bin, password string
	as                 *syscall.Credential // nil: this process's user
	port               int
	cmd                *exec.Cmd
	exited             chan struct{}
	said               bytes.Buffer // read when exited is closed
	copies             atomic.Int64
}

// Start makes a cluster in a temporary directory, in memory where there is room,
// and sets the schemas up. The
// cluster does not survive a loss of power: it does not wait for the disk.
func Start(ctx context.Context) (*Cluster, error) {
	c := &Cluster{password: rand.Text()}
	err := c.start(ctx)
	if err == nil {
		err = errors.Join(c.setUp(ctx, template(main), "temporal"), c.setUp(ctx, template(visibility), "visibility"))
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Kinds of databases.
const (
	main       = "temporal"
	visibility = "temporal_visibility"
)

func template(kind string) string { return kind + "_template" }

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if c.bin, err = programs(); err != nil {
		return err
	}
	if c.as, err = unprivileged(); err != nil {
		return err
	}
	if c.dir, err = os.MkdirTemp(inMemory(), "canvasback-postgres-"); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if c.as != nil {
		if err := os.Chown(c.dir, int(c.as.Uid), int(c.as.Gid)); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	password := filepath.Join(c.dir, "password")
	if err := os.WriteFile(password, []byte(c.password), 0o644); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	cmd := c.command(ctx, "initdb", "--pgdata", c.data(), "--username", user, "--pwfile", password, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	for range startTries {
		if err = c.serve(ctx); !errors.Is(err, errEnded) {
			return err
		}
	}
	return err
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// errEnded is what a port that is taken leads to.
var errEnded = errors.New("pgtest: postgres ended")

// serve starts the server on a free port below those of outgoing connections.
func (c *Cluster) serve(ctx context.Context) error {
	n, err := rand.Int(rand.Reader, big.NewInt(5000))
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	c.port = 12000 + int(n.Int64())
	c.said.Reset()
	c.cmd = c.command(context.Background(), "postgres", "-D", c.data(), "-c", "listen_addresses="+host, "-c", "port="+strconv.Itoa(c.port),
		"-c", "unix_socket_directories=", "-c", "max_connections=500", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.said
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	exited := make(chan struct{})
	c.exited = exited
	go func() {
		defer close(exited)
		_ = c.cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		out, err := c.command(ctx, "pg_isready", "--host", host, "--port", strconv.Itoa(c.port)).CombinedOutput()
		select {
		case <-exited:
			return fmt.Errorf("%w:\n%s", errEnded, &c.said)
		case <-ctx.Done():
			return fmt.Errorf("pgtest: postgres does not answer: %w: %s %v", context.Cause(ctx), out, err)
		case <-time.After(50 * time.Millisecond):
		}
		if err == nil {
			return nil
		}
	}
}

// Databases copies the two databases and returns where the copies are.
func (c *Cluster) Databases(ctx context.Context) (*server.PostgreSQL, error) {
	n := c.copies.Add(1)
	p := &server.PostgreSQL{
		Plugin: "postgres12", Address: net.JoinHostPort(host, strconv.Itoa(c.port)), User: user, Password: c.password,
		Main: fmt.Sprintf("%s_%d", main, n), Visibility: fmt.Sprintf("%s_%d", visibility, n),
	}
	for kind, name := range map[string]string{main: p.Main, visibility: p.Visibility} {
		// The schema's version is noted under the database's name.
		for _, step := range [][]string{
			{"createdb", "--template", template(kind), name},
			{"psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", "UPDATE schema_version SET db_name = current_database()", name},
		} {
			args := append([]string{"--host", host, "--port", strconv.Itoa(c.port), "--username", user}, step[1:]...)
			if out, err := c.command(ctx, step[0], args...).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("pgtest: %s %s: %w\n%s", step[0], name, err, out)
			}
		}
	}
	return p, nil
}

// Stop ends the cluster and removes it. Servers on it are stopped before.
func (c *Cluster) Stop() error {
	if c.exited != nil {
		_ = c.cmd.Process.Signal(syscall.SIGINT) // "fast": without waiting for clients
		select {
		case <-c.exited:
		case <-time.After(startWait):
			_ = c.cmd.Process.Signal(syscall.SIGQUIT)
			<-c.exited
		}
	}
	return os.RemoveAll(c.dir)
}

func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "PGPASSWORD="+c.password, "LC_ALL=C")
	cmd.SysProcAttr = attributes(c.as)
	return cmd
}

// programs is the directory of PostgreSQL's programs: the newest of Debian's,
// or where the search path has them.
func programs() (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("pgtest: there is no PostgreSQL server here (Debian's package postgresql): %w", err)
	}
	return filepath.Dir(path), nil
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// unprivileged is the user that the server runs as where this process is
// root's: PostgreSQL refuses root.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("pgtest: %w", err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("pgtest: PostgreSQL refuses root, and there is neither a user postgres nor nobody")
}
