package hotcopy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
)

func options(t *testing.T, path string) hotcopy.Options {
	return hotcopy.Options{FS: vfs.OS(), Path: path, Dir: t.TempDir(), Name: "copy", Settle: 300 * time.Millisecond, Gate: time.Second, MaxAttempts: 400}
}

// sleepInCheckpoints makes every checkpoint of the owner stand still behind its
// marker, so that it can be met there.
var sleepInCheckpoints = []string{"SET GLOBAL debug_checkpoint_sleep_ms = 1500"}

func waitForCheckpoint(t *testing.T, path string, side bool) {
	require.Eventually(t, func() bool {
		in, err := hotcopy.Inspect(vfs.OS(), path, nil)
		return err == nil && in.Checkpoint == "running" && (!side || in.CheckpointWAL != nil && in.CheckpointWAL.Commits > 0)
	}, time.Minute, time.Millisecond)
}

func TestCopyOfADatabaseWhoseOwnerDiedInACheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "64KB", Setup: sleepInCheckpoints})
	o.WaitCommits(t, 10)
	waitForCheckpoint(t, path, false)
	atLeast := o.Committed()
	o.Kill(t)
	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, "C", res.Rule)
	assert.False(t, res.Held)
	assert.Equal(t, "running", res.Evidence["unfinished_checkpoint"])
	enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
}

// TestCopyWhileACheckpointStandsStill meets an owner that stands still between
// its marker and the next header.
func TestCopyWhileACheckpointStandsStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "64KB", Setup: sleepInCheckpoints})
	o.WaitCommits(t, 10)
	waitForCheckpoint(t, path, false)
	atLeast := o.Committed()
	o.Freeze(t)
	opts := options(t, path)
	_, err := hotcopy.Copy(context.Background(), opts)
	o.Thaw(t)
	require.Error(t, err, "a stopped process may be about to write anything")
	assert.Equal(t, failure.OwnerStopped.Name, failure.Of(err).Name, "%v", err)
	assert.ErrorContains(t, err, "stopped by a signal")
	opts.Gate = time.Minute
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.True(t, res.Held)
	enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
	o.Stop(t)
}

// TestCopyOfAFrozenOwner: a commit in the WAL proves that no checkpoint is at
// work, also of a process that does not run.
func TestCopyOfAFrozenOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "1GB"})
	o.WaitCommits(t, 10)
	o.Freeze(t)
	atLeast := o.Committed()
	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	o.Thaw(t)
	require.NoError(t, err)
	assert.Equal(t, "A", res.Rule)
	enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
	o.Stop(t)
}

// TestCopyUnderBulkLoad meets an owner whose every commit bypasses the WAL and
// checkpoints, so that rule A never applies and the header never stands still.
func TestCopyUnderBulkLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "1KB", BulkEvery: 1, BulkRows: 130_000, Pause: 400 * time.Millisecond})
	o.WaitCommits(t, 5)
	rules := map[string]int{}
	for range 3 {
		atLeast := o.Committed()
		opts := options(t, path)
		opts.Settle, opts.MaxAttempts = 3*time.Second, 400
		res, err := hotcopy.Copy(context.Background(), opts)
		require.NoError(t, err)
		rules[fmt.Sprint(res.Rule, " ", res.Evidence["variant"])]++
		t.Log(res.Rule, res.Attempts, res.Evidence)
		enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
	}
	t.Log(rules)
	o.Stop(t)
}

func TestCopyIsTakenUpWhereItWasInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "still.duckdb")
	enginetest.CreateKilled(t, path,
		"CREATE TABLE big AS SELECT i, repeat(md5(i::VARCHAR), 8) AS s FROM range(500000) r(i)", "CHECKPOINT",
		"CREATE TABLE ledger(id BIGINT)", "INSERT INTO ledger VALUES (1)")
	opts := options(t, path)
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stopped in the middle")
	opts.Progress = func(p hotcopy.Progress) {
		if p.Phase == "copy" && p.Done >= p.Total/2 {
			cancel(stop)
		}
	}
	_, err := hotcopy.Copy(ctx, opts)
	require.ErrorIs(t, err, stop)
	opts.Progress = nil
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	whole := res.Blocks * res.BlockBytes
	assert.Greater(t, res.BytesResumed, whole*4/10)
	assert.Equal(t, whole, res.BytesRead, "nothing is read twice")
	assert.Equal(t, "A", res.Rule)
	assert.Equal(t, "500000", enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT count(*) FROM big"))
}

func TestCopyIsNotTakenUpWhenTheDatabaseMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "still.duckdb")
	enginetest.Create(t, path, "CREATE TABLE big AS SELECT i, repeat(md5(i::VARCHAR), 8) AS s FROM range(300000) r(i)")
	opts := options(t, path)
	ctx, cancel := context.WithCancel(context.Background())
	opts.Progress = func(p hotcopy.Progress) {
		if p.Phase == "copy" && p.Done >= p.Total/2 {
			cancel()
		}
	}
	_, err := hotcopy.Copy(ctx, opts)
	require.ErrorIs(t, err, context.Canceled)
	enginetest.Create(t, path, "CREATE TABLE more AS SELECT 42 AS i", "DELETE FROM big WHERE i % 2 = 0")
	opts.Progress = nil
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Zero(t, res.BytesResumed)
	assert.Equal(t, "150000", enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT count(*) FROM big"))
}

func TestCopyOfADatabaseReplacedMeanwhile(t *testing.T) {
	for _, how := range []struct {
		name string
		do   func(path string) error
	}{
		{"by another file", func(path string) error { return os.Rename(path+".other", path) }},
		{"deleted", os.Remove},
	} {
		t.Run(how.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.duckdb")
			enginetest.Create(t, path, "CREATE TABLE t AS SELECT 1 AS i")
			enginetest.Create(t, path+".other", "CREATE TABLE t AS SELECT 2 AS i")
			opts := options(t, path)
			done := false
			opts.Progress = func(p hotcopy.Progress) {
				if p.Phase == "copy" && !done {
					done = true
					require.NoError(t, how.do(path))
				}
			}
			_, err := hotcopy.Copy(context.Background(), opts)
			require.Error(t, err)
			assert.Equal(t, failure.Replaced, failure.Of(err))
			assert.Contains(t, err.Error(), path)
		})
	}
}

func TestCopyRefuses(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.duckdb")
	enginetest.Create(t, good, "CREATE TABLE t AS SELECT i FROM range(100000) r(i)")
	change := func(f func([]byte) []byte) func(t *testing.T) string {
		return func(t *testing.T) string {
			b, err := os.ReadFile(good)
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "bad.duckdb")
			require.NoError(t, os.WriteFile(path, f(b), 0o600))
			return path
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T) string
		kind *failure.Kind
	}{
		{"no such file", func(t *testing.T) string { return filepath.Join(t.TempDir(), "none.duckdb") }, failure.NoSuchFile},
		{"a directory", func(t *testing.T) string { return t.TempDir() }, failure.NotAFile},
		{"an empty file", change(func(b []byte) []byte { return nil }), failure.NotDuckDB},
		{"not a DuckDB file", change(func(b []byte) []byte { return []byte("SQLite format 3\x00 and so on") }), failure.NotDuckDB},
		{"a newer storage version", change(func(b []byte) []byte { b[12] = 70; return sealed(b, 0) }), failure.NewerStorage},
		{"an unknown cipher", change(func(b []byte) []byte { b[20] = 1; return sealed(b, 0) }), failure.NewerStorage},
		{"a header with a bad checksum", change(func(b []byte) []byte { b[4096+8] ^= 1; return b }), failure.Corrupt},
		{"a file that ends in its headers", change(func(b []byte) []byte { return b[:5000] }), failure.Truncated},
		{"a file that ends in its blocks", change(func(b []byte) []byte { return b[:len(b)-1] }), failure.Truncated},
		{"a damaged block", change(func(b []byte) []byte { b[len(b)-100] ^= 1; return b }), failure.Corrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.make(t)
			opts := options(t, path)
			_, err := hotcopy.Copy(context.Background(), opts)
			require.Error(t, err)
			assert.Equal(t, c.kind.Name, failure.Of(err).Name, "%v", err)
			assert.Contains(t, err.Error(), path)
		})
	}
}

// sealed renews the checksum of the header at off.
func sealed(b []byte, off int) []byte {
	sum := duckfile.Checksum(b[off+8 : off+4096])
	for i := range 8 {
		b[off+i] = byte(sum >> (8 * i))
	}
	return b
}
