package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
)

func TestBackupInterruptedInMidCopy(t *testing.T) {
	dir := t.TempDir()
	db, backups := filepath.Join(dir, "shop.duckdb"), filepath.Join(dir, "backups")
	enginetest.Create(t, db, "CREATE TABLE t AS SELECT random() AS x FROM range(500000)")
	require.NoError(t, os.Mkdir(backups, 0o700))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	copying := func() bool {
		staged, err := filepath.Glob(filepath.Join(backups, "shop", ".staging", "*", "shop.duckdb"))
		return err == nil && len(staged) > 0
	}
	seen := make(chan bool, 1)
	go func() {
		seen <- assert.Eventually(t, copying, 30*time.Second, 5*time.Millisecond, "the copy began")
		cancel()
	}()
	status, out, errOut := run(t, ctx, "backup", "--local", "--database", "shop="+db, "--repository", backups, "--bandwidth", "100KB", "--json")
	require.True(t, <-seen)
	assert.Equal(t, failure.ExitInterrupted, status, errOut)
	assert.Contains(t, errOut, "canvasback: error: interrupted: ")
	var doc struct{ Error errorDoc }
	require.NoError(t, json.Unmarshal([]byte(out), &doc), out)
	assert.Equal(t, "Interrupted", doc.Error.Kind)

	status, out, _ = run(t, t.Context(), "list", "--repository", backups, "--json")
	assert.Equal(t, failure.ExitDone, status)
	assert.JSONEq(t, "[]", out)
	assert.False(t, copying(), "what was staged is gone")

	status, _, errOut = run(t, t.Context(), "backup", "--local", "--database", "shop="+db, "--repository", backups, "--settle", "100ms")
	assert.Equal(t, failure.ExitDone, status, "the next backup is not kept out: %s", errOut)
}
