package hotcopy_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
)

// BenchmarkCopy compares a copy of a database at rest with what cp does, in
// one run. A copy syncs, reads back and hashes what it wrote; cp does none of
// that. The file systems decide whether the kernel copies, shares or neither.
func BenchmarkCopy(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "big.duckdb")
	enginetest.CreateKilled(b, path,
		"CREATE TABLE big AS SELECT i, md5(i::VARCHAR) AS s, random() AS r FROM range(8000000) r(i)", "CHECKPOINT",
		"INSERT INTO big VALUES (-1, '', 0)")
	info, err := os.Stat(path)
	require.NoError(b, err)
	for _, how := range []struct {
		name string
		do   func(to string) error
	}{
		{"cp", func(to string) error { return copyPlainly(path, filepath.Join(to, "copy.duckdb"), false) }},
		{"cp and sync", func(to string) error { return copyPlainly(path, filepath.Join(to, "copy.duckdb"), true) }},
		{"by reading", func(to string) error { return copyHot(path, to, true) }},
		{"as the file system can", func(to string) error { return copyHot(path, to, false) }},
	} {
		b.Run(how.name, func(b *testing.B) {
			b.SetBytes(info.Size())
			for b.Loop() {
				to, err := os.MkdirTemp(dir, "copy")
				require.NoError(b, err)
				require.NoError(b, how.do(to))
				b.StopTimer()
				require.NoError(b, os.RemoveAll(to))
				b.StartTimer()
			}
		})
	}
}

func copyHot(path, to string, neverClone bool) error {
	_, err := hotcopy.Copy(context.Background(), hotcopy.Options{FS: vfs.OS(), Path: path, Dir: to, Name: "copy", NeverClone: neverClone})
	return err
}

func copyPlainly(from, to string, sync bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	// As cp without reflinks: a plain loop of reads and writes.
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 256<<10)); err != nil {
		return err
	}
	if sync {
		if err := out.Sync(); err != nil {
			return err
		}
	}
	return out.Close()
}
