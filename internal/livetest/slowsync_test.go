package livetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// syncTakes is how much longer each sync of the database file takes.
	syncTakes = time.Second
	// shortSettle is far below that.
	shortSettle = 50 * time.Millisecond
	// tries bounds the copies among which one must be bad.
	tries = 200
	// longCopies are taken with the default settling time.
	longCopies = 4
)

// TestShortSettleIsNotEnoughWhereSyncsAreSlow shows that the settling time is
// no ornament. DuckDB 1.5.6 lets other connections overwrite blocks of the
// current header while it syncs the database file before it writes the next
// one; without commits in the WAL, nothing tells but the time that passes. With
// a time far below that of a sync some copy is bad; with the default none is.
func TestShortSettleIsNotEnoughWhereSyncsAreSlow(t *testing.T) {
	t.Parallel()
	kind := Kinds(t, bin)[2]
	require.Equal(t, "DuckDB 1.5.6", kind.Name)
	database := filepath.Join(t.TempDir(), "shop.duckdb")
	// No commit is in the WAL, each is a checkpoint; a large table is changed
	// again and again, and the second connection writes to the blocks it had.
	cmd := exec.Command(kind.program, "--database", database, "--checkpoint-threshold", "1KB", "--skip-wal-threshold", "1",
		"--exchange", "1", "--flood", "250000", "--calm", "1ms", "--roll-back")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+buildSlowSync(t), "SLOWSYNC_FILE="+database,
		fmt.Sprintf("SLOWSYNC_MS=%d", syncTakes.Milliseconds()))
	owner := startWriter(t, cmd, database)
	owner.WaitFor(t, 2)

	bad := 0
	for i := 0; bad == 0 && i < tries; i++ {
		taken, verdict := takeAndCheck(t, Source{Kind: kind, Owner: owner, Settle: shortSettle})
		if verdict.Kind != "" {
			bad++
			t.Logf("copy %d, accepted by rule %s in %v, is bad: %s %q", i+1, taken.Rule, taken.Took, verdict.Kind, verdict.Faults)
		}
	}
	assert.NotZerof(t, bad, "%d copies that settled for %v are all good", tries, shortSettle)

	for i := range longCopies {
		taken, verdict := takeAndCheck(t, Source{Kind: kind, Owner: owner})
		assert.Emptyf(t, verdict.Kind, "copy by rule %s: %q", taken.Rule, verdict.Faults)
		t.Logf("copy %d with the default settling time: rule %s, %d attempts, %v", i+1, taken.Rule, taken.Attempts, taken.Took)
	}
	require.NoError(t, owner.Ended())
}

func takeAndCheck(t *testing.T, source Source) (Taken, Verdict) {
	dir := t.TempDir()
	taken, err := Ours.Take(context.Background(), source, filepath.Join(dir, "copy.duckdb"))
	require.NoError(t, err)
	verdict, err := source.Kind.Check(t, taken.Path, taken.AtLeast, taken.AtMost)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	return taken, verdict
}

// buildSlowSync compiles the library that makes syncs slow.
func buildSlowSync(t *testing.T) string {
	library := filepath.Join(t.TempDir(), "slowsync.so")
	run(t, "testdata", "gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, "slowsync.c", "-ldl")
	return library
}
