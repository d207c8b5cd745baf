package storetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// childName is argv[0] of this package's children.
const childName = "canvasback-storetest"

// request is what a child is to do, its only argument.
type request struct {
	Dir   string
	Job   string // "update", "stage", "lease", "read" or "mix"
	ID    string
	Seed  int
	Times int
}

// RunIfChild takes over the process if it is a child of this package, and
// never returns then.
func RunIfChild() {
	if len(os.Args) != 2 || os.Args[0] != childName {
		return
	}
	if err := childMain(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func childMain(arg string) error {
	var req request
	if err := json.Unmarshal([]byte(arg), &req); err != nil {
		return err
	}
	fsys := vfs.OS()
	r, err := repo.Open(fsys, req.Dir)
	if err != nil {
		return err
	}
	switch req.Job {
	case "update":
		for range req.Times {
			if err := r.Update(database, req.ID, count); err != nil {
				return err
			}
		}
		return nil
	case "mix":
		w := &worker{fs: fsys, repo: r, seed: req.Seed, say: func(what, id string) { fmt.Println(what, id) }}
		return w.run(req.Times)
	}
	return hold(fsys, r, req)
}

// hold takes something, says so, and waits until stdin ends.
func hold(fsys vfs.FS, r *repo.Repo, req request) (err error) {
	switch req.Job {
	case "stage":
		var st *repo.Staging
		if st, err = r.Stage(database, "child"); err == nil {
			err = fill(fsys, st.Dir(), "child")
			defer st.Close()
		}
	case "lease":
		var l *repo.Lease
		if l, err = r.Acquire(database, "child", start); err == nil {
			defer l.Close(start.Add(time.Hour))
		}
	case "read":
		var rd *repo.Reading
		if rd, err = r.Read(database, req.ID); err == nil {
			defer rd.Close()
		}
	default:
		err = fmt.Errorf("no job %q", req.Job)
	}
	if err != nil {
		return err
	}
	fmt.Println("held", req.Job)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// child is another process at work in a store.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	out    *bufio.Reader
	errors strings.Builder
}

func startChild(t testing.TB, req request) *child {
	t.Helper()
	require.NotEqual(t, childName, os.Args[0], "TestMain must call storetest.RunIfChild")
	exe, err := os.Executable()
	require.NoError(t, err)
	arg, err := json.Marshal(req)
	require.NoError(t, err)
	c := &child{cmd: exec.CommandContext(t.Context(), exe)}
	c.cmd.Args = []string{childName, string(arg)}
	c.cmd.Stderr = &c.errors
	c.stdin, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(out)
	require.NoError(t, c.cmd.Start())
	return c
}

// line is the next line of what the child says.
func (c *child) line(t testing.TB) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	require.NoError(t, err, "the child ended: %s", &c.errors)
	return strings.TrimSpace(line)
}

// wait lets the child end by itself, without an error.
func (c *child) wait(t testing.TB) {
	t.Helper()
	_, err := io.Copy(io.Discard, c.out)
	require.NoError(t, err)
	require.NoError(t, c.cmd.Wait(), "%s", &c.errors)
}

// kill ends the child as a crash of it would.
func (c *child) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Kill())
	_, err := io.Copy(io.Discard, c.out)
	require.NoError(t, err)
	var exit *exec.ExitError
	require.True(t, errors.As(c.cmd.Wait(), &exit))
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s", &c.errors)
}

func filepathTrash(s Store, id string) string { return filepath.Join(s.Dir, database, ".trash", id) }

// testKilled: what a process holds is kept from all others, and free when it
// is killed.
func testKilled(t *testing.T, o Options) {
	s := o.New(t)
	if !s.Processes {
		return // no other process sees it
	}
	r := open(t, s)
	m := mustBackup(t, s, "run-1", start, repo.StateVerified)
	take := func(job string) *child {
		c := startChild(t, request{Dir: s.Dir, Job: job, ID: m.ID})
		require.Equal(t, "held "+job, c.line(t))
		return c
	}
	c := take("lease")
	_, err := r.Acquire(database, "run-2", start.Add(2*time.Hour))
	requireKind(t, failure.Busy, err)
	assert.ErrorContains(t, err, "child")
	c.kill(t)
	l, err := r.Acquire(database, "run-2", start.Add(time.Second))
	require.NoError(t, err, "the holder is dead, and its run had no more time")
	require.NoError(t, l.End())

	c = take("lease")
	require.NoError(t, c.stdin.Close())
	c.wait(t)
	_, err = r.Acquire(database, "run-2", start.Add(time.Hour-1))
	requireKind(t, failure.Busy, err, "the record holds it")
	l, err = r.Acquire(database, "run-2", start.Add(time.Hour))
	require.NoError(t, err)
	require.NoError(t, l.End())

	c = take("read")
	requireKind(t, failure.Reading, r.Remove(database, m.ID))
	requireKind(t, failure.Reading, r.Trash(database, m.ID, "", start, time.Hour))
	c.kill(t)
	require.NoError(t, r.Remove(database, m.ID))

	c = take("stage")
	_, err = r.Stage(database, "child")
	requireKind(t, failure.Busy, err)
	removed, err := sweepLate(r)
	require.NoError(t, err)
	assert.Empty(t, removed, "it is alive")
	c.kill(t)
	removed, err = r.Sweep(database, time.Hour, time.Now())
	require.NoError(t, err)
	assert.Empty(t, removed, "it is recent")
	st, err := r.Stage(database, "child")
	require.NoError(t, err)
	require.NoError(t, st.Commit(manifestOf("child", start, repo.StateCopied)), "resumed")
	take("stage").kill(t)
	removed, err = sweepLate(r)
	require.NoError(t, err)
	assert.Equal(t, []string{st.Dir()}, removed)
	assert.Len(t, mustBeWhole(t, s), 1)
	mustBeClean(t, s)
}
