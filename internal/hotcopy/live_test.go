package hotcopy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
)

func TestMain(m *testing.M) {
	engine.RunIfChild()
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

// TestCopyOfALiveOwner copies again and again from a process that writes and
// checkpoints without pause. Every copy must hold a gap-free prefix of the
// commits, at least up to the last one known before the copy began.
func TestCopyOfALiveOwner(t *testing.T) {
	for _, owner := range []struct {
		name   string
		opts   enginetest.OwnerOptions
		copies int
	}{
		{"checkpoints every few commits", enginetest.OwnerOptions{CheckpointThreshold: "64KB", Pause: time.Millisecond}, 12},
		{"checkpoints rarely", enginetest.OwnerOptions{CheckpointThreshold: "1GB"}, 6},
	} {
		t.Run(owner.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.duckdb")
			o := enginetest.StartOwner(t, path, owner.opts)
			o.WaitCommits(t, 20)
			rules := map[string]int{}
			for i := range owner.copies {
				dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
				require.NoError(t, os.Mkdir(dir, 0o700))
				atLeast := o.Committed()
				res, err := hotcopy.Copy(context.Background(), hotcopy.Options{
					FS: vfs.OS(), Path: path, Dir: dir, Name: "live", Settle: time.Second,
				})
				require.NoError(t, err)
				rules[res.Rule]++
				require.True(t, res.Held)
				require.Equal(t, o.PID(), res.OwnerPID)
				enginetest.CheckPrefix(t, filepath.Join(dir, "live.duckdb"), atLeast)
			}
			t.Logf("rules: %v", rules)
			o.Stop(t)
		})
	}
}
