package storetest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/repo/storetest"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/mounttest"
)

// TestMounts runs the suite on file systems of which nothing else is kept.
func TestMounts(t *testing.T) {
	for _, fsType := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fsType, func(t *testing.T) {
			point := mounttest.Mount(t, fsType, 96<<20)
			storetest.Run(t, storetest.Options{New: func(t testing.TB) storetest.Store {
				dir, err := os.MkdirTemp(point, "repo-")
				require.NoError(t, err)
				return storetest.Store{FS: vfs.OS(), Dir: dir, Processes: true, Small: true}
			}})
		})
	}
}
