package sample

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parentEnv makes this test binary a parent that starts a writer on the named
// file, prints the writer's process ID and waits to be killed.
const parentEnv = "CANVASBACK_TEST_SAMPLE_PARENT"

func TestMain(m *testing.M) {
	RunIfChild()
	if path := os.Getenv(parentEnv); path != "" {
		p, err := Start(context.Background(), path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		select {}
	}
	os.Exit(m.Run())
}

// ledger opens the database, which nobody else may hold, and checks that the
// ids have no gap.
func ledger(t *testing.T, path string) int64 {
	t.Helper()
	db, err := sql.Open("duckdb", path+"?access_mode=READ_ONLY")
	require.NoError(t, err)
	defer db.Close()
	var rows, distinct, newest int64
	require.NoError(t, db.QueryRow(`SELECT count(*), count(DISTINCT id), coalesce(max(id), 0) FROM ledger`).Scan(&rows, &distinct, &newest))
	assert.Equal(t, newest, rows)
	assert.Equal(t, newest, distinct)
	return newest
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 20*time.Second, 10*time.Millisecond, what)
}

func TestProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.duckdb")
	p, err := Start(t.Context(), path)
	require.NoError(t, err)
	n := p.Commits()
	require.Positive(t, n)
	waitFor(t, "commits go on", func() bool { return p.Commits() > n+20 })

	_, err = sql.Open("duckdb", path)
	require.ErrorContains(t, err, "lock", "the writer holds the file")
	require.NoError(t, p.Stop())
	require.NoError(t, p.Stop(), "a second time")
	stopped := p.Commits()
	assert.Equal(t, stopped, ledger(t, path), "what was counted is there")

	t.Run("a second writer goes on where the first one stopped", func(t *testing.T) {
		p, err := Start(t.Context(), path)
		require.NoError(t, err)
		waitFor(t, "commits go on", func() bool { return p.Commits() > stopped+10 })
		require.NoError(t, p.Stop())
		assert.Equal(t, p.Commits(), ledger(t, path))
	})

	t.Run("a file that is no database ends the start with the engine's words", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other.duckdb")
		require.NoError(t, os.WriteFile(other, []byte(strings.Repeat("no database ", 1000)), 0o600))
		_, err := Start(t.Context(), other)
		require.ErrorContains(t, err, other)
		require.ErrorContains(t, err, "not a valid DuckDB database file")
	})
}

func TestWriterDiesWithItsParent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.duckdb")
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+path)
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscan(line, &pid)
	require.NoError(t, err, line)
	require.NoError(t, syscall.Kill(pid, 0), "the writer is alive")

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	waitFor(t, "the writer is gone", func() bool { return gone(pid) })
	require.Positive(t, ledger(t, path), "and has let the file go in good order")
}

// gone also holds for a process that nobody has waited for.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
