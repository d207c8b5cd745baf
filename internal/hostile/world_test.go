package hostile

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

const (
	// timeLimit is what any backup here may take, and memoryLimit what it may
	// hold in memory at its highest, any of its processes, in bytes. The engine's
	// own limit is 300 MB.
	timeLimit   = 3 * time.Minute
	memoryLimit = 800 << 20
)

// world is a directory with a database, a repository that holds a good backup
// of it, and a place for temporary files.
type world struct {
	t                          *testing.T
	dir, database, repo, spare string
	good                       string // the ID of the backup
}

// template makes the world that all others are copies of. Its database has a
// WAL with one commit.
func template(t *testing.T) *world {
	t.Helper()
	w := at(t, t.TempDir())
	for _, dir := range []string{filepath.Dir(w.database), w.repo, w.spare} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	enginetest.CreateStorage(t, w.database, "v1.5.0", "CREATE TABLE wide ("+columns(1000)+")")
	enginetest.CreateKilled(t, w.database,
		"CREATE TABLE orders AS SELECT i AS id, md5(i::VARCHAR) AS s FROM range(20000) r(i)",
		"CREATE TABLE gone AS SELECT hash(i) AS h FROM range(200000) r(i)", "CHECKPOINT", "DROP TABLE gone", "CHECKPOINT",
		"INSERT INTO orders VALUES (-1, 'late')")
	o := w.backup("")
	require.Empty(t, o.Kind, o.Message)
	require.Equal(t, repo.StateVerified, o.State)
	require.Equal(t, int64(1), o.Commits)
	w.good = w.backups()[0].ID
	return w
}

// columns of a table, so many that the catalog takes several sub-blocks.
func columns(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("a_column_with_a_long_name_%d INTEGER", i))
	}
	return strings.Join(names, ", ")
}

func at(t *testing.T, dir string) *world {
	return &world{t: t, dir: dir, database: filepath.Join(dir, "live", "shop.duckdb"), repo: filepath.Join(dir, "backups"), spare: filepath.Join(dir, "tmp")}
}

// copy is a world of its own.
func (w *world) copy(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(w.dir)))
	own := at(t, dir)
	own.good = w.good
	return own
}

func (w *world) backups() []repo.Manifest {
	w.t.Helper()
	r, err := repo.Open(vfs.OS(), w.repo)
	require.NoError(w.t, err)
	all, err := r.List("shop")
	require.NoError(w.t, err)
	return all
}

// backup takes one in a process of its own, with more lines of the database's
// configuration, and holds it to its limits.
func (w *world) backup(more string) outcome {
	w.t.Helper()
	file := filepath.Join(w.dir, "canvasback.yaml")
	require.NoError(w.t, os.WriteFile(file, fmt.Appendf(nil, `repository: %s
databases:
  - name: shop
    path: %s
    copy: {settle: 200ms, attempts: 20, timeout: 1m}
    verify: {level: full, memory_limit: 300MB, threads: 2, timeout: 20s}
%s`, w.repo, w.database, more), 0o600))
	exe, err := os.Executable()
	require.NoError(w.t, err)
	cmd := exec.Command(exe)
	cmd.Args = []string{childName, file}
	cmd.Dir = w.spare
	cmd.Env = []string{"TMPDIR=" + w.spare, "HOME=" + w.spare, "PATH=" + os.Getenv("PATH")}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = time.Minute
	began := time.Now()
	require.NoError(w.t, cmd.Run(), "%s", &errOut)
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	w.t.Logf("%s, at most %d MB", time.Since(began).Round(time.Millisecond), peak>>20)
	assert.Less(w.t, time.Since(began), timeLimit)
	assert.Less(w.t, peak, int64(memoryLimit))
	assert.Empty(w.t, errOut.String(), "nothing panics, and nothing below the program logs")
	var o outcome
	require.NoError(w.t, json.Unmarshal(out.Bytes(), &o), "%s", &out)
	assert.Less(w.t, len(o.Message), 16<<10)
	return o
}

// refused takes a backup that must fail, as one of the kinds and without a
// trace but a failed backup.
func (w *world) refused(o outcome, kind *failure.Kind, text string) {
	w.t.Helper()
	assert.Equal(w.t, kind.Name, o.Kind, "%s", o.Message)
	assert.Contains(w.t, o.Message, text)
	for _, m := range w.backups() {
		if m.ID != w.good {
			assert.NotEqual(w.t, repo.StateVerified, m.State, "%s counts", m.ID)
		}
	}
}

// snapshot is every file below dir but those in a directory of the name left
// out, with its mode and content. A sparse file of any size is taken by its size
// and its first MiB.
func snapshot(t *testing.T, dir, without string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == without {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = info.Mode().String()
		if !info.Mode().IsRegular() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		_, err = io.Copy(h, io.LimitReader(f, 1<<20))
		all[path] += fmt.Sprintf(" %d bytes %x", info.Size(), h.Sum(nil))
		return err
	}))
	return all
}
