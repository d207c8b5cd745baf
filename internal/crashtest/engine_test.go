package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/repo"
	"canvasback/internal/restore"
	"canvasback/internal/vfs"
)

// engineFaults are those of the machine's own file system, where no crash can
// be played.
var engineFaults = []fault{
	{name: "EIO", errno: faults[0].errno},
	{name: "ENOSPC", errno: faults[1].errno, hits: takesSpace},
}

// engineOperations are those in which the engine reads or writes.
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
	for name, export := range map[string]bool{"extract": false, "export": true} {
		with = append(with, operation{
			name: name, prepare: nothing,
			do:   func(w world) error { return w.extract(export) },
			done: func(w world) error { return w.wantExtracted(export) },
		})
	}
	return with
}

// part is where tables of a backup go.
func (w world) part() string { return filepath.Join(filepath.Dir(w.target()), "part") }

// extract takes the table out of the newest backup, unless that was done.
func (w world) extract(export bool) error {
	if _, err := os.Lstat(w.part()); err == nil {
		return w.wantExtracted(export)
	}
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	_, err = restore.Extract(context.Background(), restore.ExtractRequest{
		FS: w.fs, Repo: r, Database: "shop", Backup: repo.Latest, Tables: []string{"t"}, Target: w.part(), Export: export,
	})
	return err
}

// wantExtracted: the new database has all rows, and the directory all that its
// list of files has.
func (w world) wantExtracted(export bool) error {
	rows := rowsOf(versions - 1)
	if !export {
		tables, err := scanWithEngine(context.Background(), w.part(), false)
		if err == nil && (len(tables) != 1 || tables[0].Rows != rows) {
			err = fmt.Errorf("%s has %v, not the %d rows of the backup", w.part(), tables, rows)
		}
		return err
	}
	data, err := os.ReadFile(filepath.Join(w.part(), "export.json"))
	if err != nil {
		return err
	}
	var doc struct{ Tables []restore.ExtractTable }
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	if len(doc.Tables) != 1 || doc.Tables[0].Rows != rows || doc.Tables[0].Bytes == 0 {
		return fmt.Errorf("%s lists %+v, not the %d rows of the backup", w.part(), doc.Tables, rows)
	}
	info, err := os.Stat(filepath.Join(w.part(), doc.Tables[0].File))
	if err == nil && info.Size() != doc.Tables[0].Bytes {
		err = fmt.Errorf("%s has %d bytes, its list says %d", info.Name(), info.Size(), doc.Tables[0].Bytes)
	}
	return err
}

// TestMatrixWithEngine is the matrix of the operations in which the engine
// takes part: all make a scratch copy, because a writer has to replay the WAL.
func TestMatrixWithEngine(t *testing.T) {
	all := allContents(t)
	for _, op := range engineOperations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			template := t.TempDir()
			s := newStage(t, makeWorld(t, vfs.OS(), template, "full", all), op, newContentBook(t))
			s.others = 8
			s.fresh = func() ground { return onDisk(t, template) }
			var cells []*cell
			for _, f := range engineFaults {
				cells = append(cells, s.failEach(t, f))
			}
			report(t, cells, map[string]int{"verify": 100, "restore": 100, "extract": 60, "export": 60})
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
func scanWithEngine(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
	return restore.Scanner(restore.Engine{Scratch: bin})(ctx, path, readWrite)
}
