package livetest

import (
	"os"
	"path/filepath"
	"testing"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/vfs"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	engine.RunIfChild()
	enginetest.RunIfChild()
	var err error
	if bin, err = os.MkdirTemp("", "livetest"); err != nil {
		panic(err)
	}
	status := m.Run()
	if err := os.RemoveAll(bin); err != nil {
		panic(err)
	}
	os.Exit(status)
}

// bin has the programs that the tests share.
var bin string

const (
	// backupsInARow are taken of each owner through the starter while it writes;
	// TestCopiesOfLiveOwners takes more, without it.
	backupsInARow = 3
	// warmUp is the ledger entry after which the first one begins: by then
	// each kind of write and several checkpoints have happened.
	warmUp = 110
)

func TestNodeServiceIsBackedUpWhileItWrites(t *testing.T) {
	t.Parallel()
	service := startNode(t, installNode(t, bin), filepath.Join(t.TempDir(), "shop.duckdb"))
	backUpInARow(t, service.Owner)
}

func TestOwnerOfAnotherVersionIsBackedUpWhileItWrites(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, module  string
		writer, flags []string
	}{
		// The operator vouches for the versions whose checkpoints never
		// overwrite a block before the header moved, which makes it rule B
		// where the WAL is empty.
		{"DuckDB 1.1.3", "duckdb11", nil, []string{"--engine-version", "1.1.3"}},
		{"DuckDB 1.1.3 folding each commit", "duckdb11", folding, []string{"--engine-version", "1.1.3"}},
		{"DuckDB 1.4.1", "duckdb14", nil, []string{"--engine-version", "1.4.1"}},
		{"DuckDB 1.4.1 folding each commit", "duckdb14", folding, []string{"--engine-version", "1.4.1"}},
		{"DuckDB 1.5.6", "duckdb15", []string{"--flood", "130000"}, nil},
		{"DuckDB 1.5.6 copied slowly", "duckdb15", []string{"--pause", "10ms"}, []string{"--bandwidth", "24MB"}},
		{"DuckDB 1.5.6 folding each commit", "duckdb15", folding, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			program := buildIn(t, bin, filepath.Join("internal", "livetest", "owners", test.module))
			owner := StartWriter(t, program, filepath.Join(t.TempDir(), "shop.duckdb"), test.writer...)
			backUpInARow(t, owner, test.flags...)
		})
	}
}

// folding makes the owner checkpoint at almost every commit, so that a copy
// meets an empty WAL and moving headers.
var folding = []string{"--checkpoint-threshold", "1KB", "--pause", "50ms"}

// backUpInARow takes backups while the owner writes, restores each and checks
// it, and looks at the owner's own database in the end.
func backUpInARow(t *testing.T, owner *Owner, flags ...string) {
	starter := buildIn(t, bin, "starter")
	repository := filepath.Join(t.TempDir(), "backups")
	require.NoError(t, os.Mkdir(repository, 0o755))
	owner.WaitFor(t, warmUp)
	rules := map[string]int{}
	var newest int64
	for i := range backupsInARow {
		before := owner.Committed(t)
		var backup Backup
		Starter(t, starter, &backup, append([]string{"backup", "--local", "--database", "shop=" + owner.Database,
			"--repository", repository, "--keep-last", "100", "--settle", "1s"}, flags...)...)
		require.Equal(t, "verified", backup.State)
		require.Equal(t, "shop", backup.Database)
		require.NotEmpty(t, backup.Files)
		require.NotEmpty(t, backup.Tables)
		rules[backup.Rule]++
		last := restoreAndCheck(t, starter, repository, backup.ID, before)
		assert.GreaterOrEqual(t, last, newest, "a later backup holds less")
		newest = max(newest, last)
		t.Logf("backup %d: %s, rule %s, attempts %d, %d bytes, %d entries (%d before it began)",
			i+1, backup.ID, backup.Rule, backup.Attempts, backup.Bytes, last, before)
	}
	t.Logf("%d backups accepted by rules %v", backupsInARow, rules)

	var listed []Backup
	Starter(t, starter, &listed, "list", "--repository", repository, "--database", "shop")
	assert.Len(t, listed, backupsInARow)
	checkUnharmed(t, owner, newest)
}

func restoreAndCheck(t *testing.T, starter, repository, id string, atLeast int64) int64 {
	t.Helper()
	target := filepath.Join(t.TempDir(), "restored.duckdb")
	var result map[string]any
	Starter(t, starter, &result, "restore", "--repository", repository, "--database", "shop", "--backup", id, "--target", target)
	last := CheckPrefix(t, target, atLeast)
	for _, suffix := range []string{"", ".wal"} {
		if err := os.Remove(target + suffix); err != nil && !os.IsNotExist(err) {
			require.NoError(t, err)
		}
	}
	return last
}

// checkUnharmed looks at the owner: it still writes, still holds its lock, and
// after it has stopped its database holds everything that any backup did.
func checkUnharmed(t *testing.T, owner *Owner, newest int64) {
	t.Helper()
	file, err := vfs.OS().Open(owner.Database)
	require.NoError(t, err)
	pid, held, err := file.LockOwner()
	require.NoError(t, err)
	require.NoError(t, file.Close())
	assert.True(t, held, "the owner lost its lock")
	assert.Equal(t, owner.PID, pid)
	owner.WaitFor(t, owner.Committed(t)+1)
	committed := owner.Committed(t)
	owner.Stop(t)
	last := CheckPrefix(t, owner.Database, max(committed, newest))
	t.Logf("the owner's own database holds %d entries", last)
}
