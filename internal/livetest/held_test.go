package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// heldCopies are taken of each owner, one hold for each.
const heldCopies = 5

// TestCopiesUnderAHold: whatever the version, every copy is accepted at the
// first attempt by the owner's word, and holds what it must.
func TestCopiesUnderAHold(t *testing.T) {
	for _, module := range []string{"duckdb11", "duckdb14", "duckdb15"} {
		t.Run(module, func(t *testing.T) {
			program := buildIn(t, bin, filepath.Join("internal", "livetest", "owners", module))
			sockets, err := os.MkdirTemp("", "hook")
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, os.RemoveAll(sockets)) })
			socket := filepath.Join(sockets, "s")
			// Without the hold it checkpoints at nearly every commit.
			owner := StartWriter(t, program, filepath.Join(t.TempDir(), "shop.duckdb"), "--hook", socket, "--checkpoint-threshold", "1KB")
			copyUnderHolds(t, owner, config.Hold{Mode: config.HoldHTTP, URL: "http://hook", Socket: socket})
		})
	}
	t.Run("Node.js", func(t *testing.T) {
		service := StartNode(t, filepath.Join(t.TempDir(), "shop.duckdb"), "--hold", "--checkpoint-threshold", "1KB")
		copyUnderHolds(t, service.Owner, config.Hold{Mode: config.HoldHTTP, URL: service.URL + "/hold"})
	})
}

func copyUnderHolds(t *testing.T, owner *Owner, options config.Hold) {
	owner.WaitFor(t, 60)
	for i := range heldCopies {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		require.NoError(t, os.Mkdir(dir, 0o700))
		before := owner.Committed(t)
		result, err := hotcopy.Copy(t.Context(), hotcopy.Options{
			FS: vfs.OS(), Path: owner.Database, Dir: dir, Name: "copy",
			Hold: newHold(owner, options, time.Minute), HoldRequired: true,
		})
		require.NoErrorf(t, err, "the owner printed:\n%s", owner.stderr)
		assert.Equal(t, "hold", result.Rule)
		assert.Equal(t, 1, result.Attempts)
		assert.NotEmpty(t, result.EngineVersion)
		CheckPrefix(t, filepath.Join(dir, "copy.duckdb"), before)
		checkNoHoldIn(t, filepath.Join(dir, "copy.duckdb"))
		require.NoError(t, os.RemoveAll(dir))
	}
	iteration := look(t, owner).Iteration
	waitForHeader(t, owner, iteration)
}
