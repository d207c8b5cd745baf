package hotcopy_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs/mounttest"
)

// TestCopyToAFullDisk meets a disk that has no room, and one that looks as if
// it had until the blocks are written.
func TestCopyToAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	enginetest.CreateKilled(t, path, "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS s FROM range(800000) r(i)", "CHECKPOINT")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(12<<20))

	opts := options(t, path)
	opts.Dir = mounttest.Mount(t, "ext4", 8<<20)
	_, err = hotcopy.Copy(context.Background(), opts)
	require.Error(t, err)
	assert.Equal(t, failure.RepoFull, failure.Of(err), "%v", err)

	opts.Dir = mounttest.Mount(t, "ext4", 64<<20)
	opts.Progress = func(p hotcopy.Progress) {
		if p.Phase == "copy" && p.Done > 0 {
			fillUp(t, opts.Dir)
		}
	}
	_, err = hotcopy.Copy(context.Background(), opts)
	require.Error(t, err)
	assert.Equal(t, failure.RepoFull, failure.Of(err), "%v", err)

	opts.Progress = nil
	require.NoError(t, os.Remove(filepath.Join(opts.Dir, "other")))
	_, err = hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err, "with room again, in the same place")
	assert.Equal(t, "800000", enginetest.Query(t, filepath.Join(opts.Dir, "copy.duckdb"), "SELECT count(DISTINCT s) FROM t"))
}

// fillUp leaves no byte of room in dir.
func fillUp(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "other"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
}
