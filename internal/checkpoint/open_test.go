package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// openRequest asks for a checkpoint of a real database by opening it.
func openRequest(path string, held bool) Request {
	return Request{
		FS: vfs.OS(), Path: path,
		Options: config.Checkpoint{Mode: config.CheckpointOpen, OnError: config.OnErrorFail, Timeout: config.Duration(time.Minute)},
		Observe: func() (Observation, error) {
			info, err := os.Stat(path + ".wal")
			if errors.Is(err, os.ErrNotExist) {
				return Observation{Held: held}, nil
			}
			return Observation{WALBytes: info.Size(), Held: held}, err
		},
	}
}

func TestOpenFoldsTheWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.Create(t, path, "PRAGMA disable_checkpoint_on_shutdown", "CREATE TABLE t AS SELECT 1 AS x")
	got, err := Run(t.Context(), openRequest(path, false))
	require.NoError(t, err)
	assert.Positive(t, got.WALBytesBefore)
	assert.Zero(t, got.WALBytesAfter)
	assert.Equal(t, "1", enginetest.Query(t, path, "SELECT count(*) FROM t"))
}

// The owner may come between the look at the lock and the opening.
func TestOpenLosesTheRaceForTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.StartOwner(t, path, enginetest.OwnerOptions{})
	_, err := Run(t.Context(), openRequest(path, false))
	require.Error(t, err)
	assert.Same(t, failure.Hook, failure.Of(err))
	assert.ErrorContains(t, err, path)
}
