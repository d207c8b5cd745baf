package crashtest

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// engineFaults are those of the machine's own file system, where no crash can
// be played.
var engineFaults = []fault{
	{name: "EIO", errno: faults[0].errno},
	{name: "ENOSPC", errno: faults[1].errno, hits: takesSpace},
}

// engineOperations are those in which the engine reads.
func engineOperations() []operation {
	var with []operation
	for _, op := range operations() {
		switch op.name {
		case "restore":
			op.do = func(w world) error { return w.restore(repo.Latest, true, scanWithEngine) }
		case "verify":
		default:
			continue
		}
		with = append(with, op)
	}
	return with
}

// TestMatrixWithEngine is the matrix of the operations in which the engine
// reads: both make a scratch copy, because a writer has to replay the WAL.
func TestMatrixWithEngine(t *testing.T) {
	all := allContents(t)
	for _, op := range engineOperations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			template := t.TempDir()
			s := newStage(t, makeWorld(t, vfs.OS(), template, "full", all), op, newContentBook(t))
			s.others = 5
			s.fresh = func() ground { return onDisk(t, template) }
			var cells []*cell
			for _, f := range engineFaults {
				cells = append(cells, s.failEach(t, f))
			}
			report(t, cells, map[string]int{"verify": 100, "restore": 100})
		})
	}
}

// onDisk makes ground of a copy of a directory.
func onDisk(t *testing.T, from string) ground {
	t.Helper()
	root, err := os.MkdirTemp(bin, "ground")
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(root, os.DirFS(from)))
	w := world{fs: vfs.OS(), root: root, level: "full"}
	return ground{world: w, fork: func() world { return onDisk(t, root).world }}
}

// scanWithEngine reads a restored database as the starter does.
func scanWithEngine(ctx context.Context, path string, readWrite bool) (tables []repo.Table, err error) {
	dir, err := os.MkdirTemp(bin, "scan")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	report, err := engine.Scan(ctx, engine.ScanRequest{Path: path, ReadWrite: readWrite, Level: engine.LevelFull, TempDir: dir})
	if err != nil {
		return nil, failure.Errorf(failure.Engine, "%s: %w", path, err)
	}
	for _, t := range report.Tables {
		tables = append(tables, repo.Table(t))
	}
	return tables, nil
}
