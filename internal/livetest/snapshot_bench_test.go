package livetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"canvasback/internal/vfs/mounttest"

	"github.com/stretchr/testify/require"
)

// snapshots are what a file system does at one instant, or at one for each file.
var snapshots = []struct {
	fsType string
	Method
}{
	{"btrfs", Method{"btrfs snapshot", func(ctx context.Context, s Source, target string) (string, int, error) {
		live := filepath.Dir(s.Owner.Database)
		snapshot := filepath.Join(filepath.Dir(live), "snapshot")
		if err := btrfs(ctx, "subvolume", "snapshot", "-r", live, snapshot); err != nil {
			return "", 0, err
		}
		for _, suffix := range logSuffixes {
			from := filepath.Join(snapshot, filepath.Base(s.Owner.Database)) + suffix
			if err := copyFile(ctx, from, target+suffix, nil); err != nil && (suffix == "" || !errors.Is(err, os.ErrNotExist)) {
				return "", 0, err
			}
		}
		return "", 1, btrfs(ctx, "subvolume", "delete", snapshot)
	}}},
	{"xfs", Method{"reflink db, then wal", cloned("", ".wal")}},
	{"xfs", Method{"reflink wal, then db", cloned(".wal", "")}},
}

func btrfs(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "btrfs", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("btrfs %q: %w: %s", args, err, out)
	}
	return nil
}

// cloned clones the files one after the other. A log that is not there is none.
func cloned(suffixes ...string) func(context.Context, Source, string) (string, int, error) {
	return func(ctx context.Context, s Source, target string) (string, int, error) {
		for _, suffix := range suffixes {
			out, err := exec.CommandContext(ctx, "cp", "--reflink=always", s.Owner.Database+suffix, target+suffix).CombinedOutput()
			if _, gone := os.Stat(target + suffix); err != nil && (suffix == "" || gone == nil) {
				return "", 0, fmt.Errorf("cp: %w: %s", err, out)
			}
		}
		return "", 1, nil
	}
}

// BenchmarkSnapshots counts the bad ones among copies by snapshots and clones of
// services that write. It needs root, to mount file systems:
//
//	go test ./internal/livetest -run '^$' -bench Snapshots -benchtime 100x
func BenchmarkSnapshots(b *testing.B) {
	for _, snapshot := range snapshots {
		for _, kind := range Kinds(b, bin)[:3] {
			b.Run(snapshot.Name+"/"+kind.Name, func(b *testing.B) {
				tally := &Tally{}
				live := filepath.Join(mounttest.Mount(b, snapshot.fsType, 2<<30), "live")
				if snapshot.fsType == "btrfs" {
					require.NoError(b, btrfs(b.Context(), "subvolume", "create", live))
				} else {
					require.NoError(b, os.Mkdir(live, 0o700))
				}
				owner := kind.Start(b, filepath.Join(live, "shop.duckdb"), Load{Threshold: "256KB", Pause: 5 * time.Millisecond, Flood: 130_000, Calm: 50 * time.Millisecond})
				require.NoError(b, owner.Reach(60))
				source := Source{Kind: kind, Owner: owner}
				for i := range b.N {
					room := filepath.Join(filepath.Dir(live), fmt.Sprint("copy", i))
					require.NoError(b, os.Mkdir(room, 0o700))
					taken, err := snapshot.Take(b.Context(), source, filepath.Join(room, "copy.duckdb"))
					require.NoError(b, err)
					tally.Add(taken)
					verdict, err := kind.Check(b, taken.Path, taken.AtLeast, math.MaxInt64)
					require.NoError(b, err)
					tally.Judge(verdict)
					require.NoError(b, os.RemoveAll(room))
				}
				require.NoError(b, owner.Quit())
				b.Log(tally)
				b.ReportMetric(float64(tally.BadCopies()), "bad")
				b.ReportMetric(float64(tally.Lost), "lost")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
