package hotcopy_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs/mounttest"
)

// TestCopyByClone copies from an owner that writes and checkpoints without
// pause, on file systems that clone, and from them to one that cannot.
func TestCopyByClone(t *testing.T) {
	for _, fsType := range []string{"xfs", "btrfs", "ext4"} {
		t.Run(fsType, func(t *testing.T) {
			mount := mounttest.Mount(t, fsType, 400<<20)
			clones := fsType != "ext4"
			path := filepath.Join(mount, "live.duckdb")
			o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{CheckpointThreshold: "64KB", BulkEvery: 20, BulkRows: 2000, Pause: 2 * time.Millisecond})
			o.WaitCommits(t, 30)
			rules := map[string]int{}
			for i := range 6 {
				opts := options(t, path)
				opts.Settle = time.Second
				here := i%3 != 2
				if here {
					opts.Dir = filepath.Join(mount, "copy")
					require.NoError(t, os.Mkdir(opts.Dir, 0o700))
				}
				atLeast := o.Committed()
				res, err := hotcopy.Copy(context.Background(), opts)
				require.NoError(t, err)
				assert.Equal(t, clones && here, res.Cloned)
				if res.Cloned {
					assert.NotEmpty(t, res.Evidence["cloned"])
					assert.Less(t, res.BytesRead, res.Blocks*res.BlockBytes, "what is cloned is not read from the live file")
				}
				rules[res.Rule]++
				enginetest.CheckPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), atLeast)
				require.NoError(t, os.RemoveAll(opts.Dir))
			}
			t.Log(rules)
			opts := options(t, path)
			opts.Dir, opts.NeverClone = filepath.Join(mount, "copy"), true
			require.NoError(t, os.Mkdir(opts.Dir, 0o700))
			res, err := hotcopy.Copy(context.Background(), opts)
			require.NoError(t, err)
			assert.False(t, res.Cloned, "where it is not wanted")
			o.Stop(t)
		})
	}
}
