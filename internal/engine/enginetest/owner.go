package enginetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// OwnerOptions shape the load of an owner. Zero values mean the defaults.
type OwnerOptions struct {
	CheckpointThreshold string        // the owner's setting, default "256KB"
	CheckpointEvery     int           // explicit CHECKPOINT after so many commits, 0: none
	Pause               time.Duration // between commits, 0: none
	Accounts            int           // default 50
	BulkEvery           int           // one bulk step after so many commits, default 25, negative: none
	BulkRows            int           // rows of a bulk batch, default 5000; from 122880 on they bypass the WAL
	KeepBatches         int           // batches kept before the oldest is deleted, default 4
	Storage             string        // storage version of a new file
	Key                 string        // of an encrypted database
	Cipher              string        // of a new one, "GCM" or "CTR"
	Setup               []string      // statements run before the load begins
	Seed                uint64        // of the transfers, default 1
}

func (o OwnerOptions) withDefaults() OwnerOptions {
	if o.CheckpointThreshold == "" {
		o.CheckpointThreshold = "256KB"
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Accounts, 50}, {&o.BulkEvery, 25}, {&o.BulkRows, 5000}, {&o.KeepBatches, 4}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	return o
}

// Owner is a child process that holds a database's lock and writes to it
// without end. Its methods are safe for concurrent use.
type Owner struct {
	cmd       *exec.Cmd
	stdin     io.WriteCloser
	committed atomic.Int64
	answers   chan string
	done      chan struct{} // closed when the process has ended and its output is read
	waitErr   error         // valid after done
	stderr    strings.Builder

	mu      sync.Mutex // guards stopped and the use of stdin
	stopped bool
}

// StartOwner starts an owner of the database file, which need not exist, and
// returns after its first commit. It is stopped at the test's end; if it ended
// by itself before, the test fails.
func StartOwner(t testing.TB, path string, opts OwnerOptions) *Owner {
	t.Helper()
	opts = opts.withDefaults()
	req := request{Path: path, Storage: opts.Storage, Key: opts.Key, Cipher: opts.Cipher, Owner: &opts}
	cmd, err := start(&req)
	require.NoError(t, err)
	o := &Owner{cmd: cmd, answers: make(chan string, 1), done: make(chan struct{})}
	cmd.Stderr = &o.stderr
	o.stdin, err = cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	first := make(chan struct{})
	go o.listen(stdout, first)
	require.NoError(t, json.NewEncoder(o.stdin).Encode(req))
	t.Cleanup(func() {
		o.mu.Lock()
		stopped := o.stopped
		o.mu.Unlock()
		if !stopped {
			o.Stop(t)
		}
	})
	select {
	case <-first:
	case <-o.done:
		require.FailNow(t, "the owner ended", "%v: %s", o.waitErr, o.stderr.String())
	case <-time.After(time.Minute):
		require.FailNow(t, "the owner made no commit in a minute")
	}
	return o
}

// listen reads what the owner reports until it ends.
func (o *Owner) listen(stdout io.Reader, first chan struct{}) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		if kind == "answer" {
			o.answers <- rest
			continue
		}
		id, err := strconv.ParseInt(rest, 10, 64)
		if kind == "commit" && err == nil && o.committed.Swap(id) == 0 {
			close(first)
		}
	}
	o.waitErr = o.cmd.Wait()
	close(o.done)
}

// Committed is the highest ledger ID whose commit the owner had confirmed.
func (o *Owner) Committed() int64 { return o.committed.Load() }

// PID is the owner's process ID.
func (o *Owner) PID() int { return o.cmd.Process.Pid }

// WaitCommits returns once the owner has committed n more entries.
func (o *Owner) WaitCommits(t testing.TB, n int64) {
	t.Helper()
	goal := o.Committed() + n
	require.Eventually(t, func() bool { return o.Committed() >= goal }, time.Minute, 2*time.Millisecond, "the owner's commits stand still")
}

// Exec runs a statement inside the owner, between two of its transactions.
func (o *Owner) Exec(t testing.TB, stmt string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.False(t, o.stopped, "the owner was stopped")
	require.NoError(t, json.NewEncoder(o.stdin).Encode(stmt))
	select {
	case answer := <-o.answers:
		require.Equal(t, `""`, answer, stmt)
	case <-o.done:
		require.FailNow(t, "the owner ended", "%v: %s", o.waitErr, o.stderr.String())
	case <-time.After(time.Minute):
		require.FailNow(t, "the owner did not answer in a minute", stmt)
	}
}

// Freeze stops the process between two instructions, Thaw lets it go on.
func (o *Owner) Freeze(t testing.TB) { require.NoError(t, o.cmd.Process.Signal(syscall.SIGSTOP)) }

// Thaw undoes Freeze.
func (o *Owner) Thaw(t testing.TB) { require.NoError(t, o.cmd.Process.Signal(syscall.SIGCONT)) }

// Stop lets the owner finish its transaction and close the database, which
// folds the WAL. An owner that failed fails the test.
func (o *Owner) Stop(t testing.TB) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return
	}
	o.stopped = true
	_ = o.stdin.Close()
	select {
	case <-o.done:
		require.NoError(t, o.waitErr, o.stderr.String())
	case <-time.After(time.Minute):
		_ = o.cmd.Process.Kill()
		require.FailNow(t, "the owner did not stop in a minute")
	}
}

// Kill ends the owner as a crash would and waits for its end.
func (o *Owner) Kill(t testing.TB) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	require.NoError(t, o.cmd.Process.Kill())
	<-o.done
}

// report writes one line to the parent; without a parent the owner ends.
func report(kind string, value any) error {
	_, err := fmt.Fprintf(os.Stdout, "%s %v\n", kind, value)
	return err
}
