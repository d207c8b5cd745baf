package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/vfs"
)

// thin is a file system on a disk that promises more than it has: its image is
// a sparse file in a small tmpfs. When that is full, what the file system
// above writes back is lost and a sync fails, once.
type thin struct {
	t            *testing.T
	store, point string
}

func newThin(t *testing.T) *thin {
	t.Helper()
	dir := t.TempDir()
	d := &thin{t: t, store: filepath.Join(dir, "store"), point: filepath.Join(dir, "mnt")}
	require.NoError(t, os.Mkdir(d.store, 0o700))
	require.NoError(t, os.Mkdir(d.point, 0o700))
	d.run("mount", "-t", "tmpfs", "-o", "size=96m", "canvasback-thin", d.store)
	t.Cleanup(func() { assert.NoError(t, unmount(d.store)) })
	f, err := os.Create(d.image())
	require.NoError(t, err)
	require.NoError(t, f.Truncate(160<<20))
	require.NoError(t, f.Close())
	d.run("mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", d.image())
	d.mount()
	t.Cleanup(func() { assert.NoError(t, unmount(d.point)) })
	return d
}

// unmount waits for processes that another test is just starting: each has all
// open files of this one until its program runs.
func unmount(point string) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Unmount(point, 0)
		if err != unix.EBUSY || time.Now().After(end) {
			return err
		}
	}
}

// warm makes the file system write every block of its journal and those of its
// first inodes once, so that the disk has them: then it loses content only, and
// the file system does not notice.
func (d *thin) warm() {
	var names []string
	for i := range 400 {
		names = append(names, filepath.Join(d.point, fmt.Sprintf("warm%d", i)))
		require.NoError(d.t, vfs.WriteAtomic(vfs.OS(), names[i], []byte("warm"), 0o600))
	}
	for _, name := range names {
		require.NoError(d.t, os.Remove(name))
	}
	require.NoError(d.t, vfs.OS().SyncDir(d.point))
}

func (d *thin) image() string { return filepath.Join(d.store, "image") }

func (d *thin) run(command ...string) {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(d.t, err, "%v: %s", command, out)
}

func (d *thin) mount() { d.run("mount", "-t", "ext4", "-o", "loop", d.image(), d.point) }

// again mounts the file system anew: what is only in memory is gone.
func (d *thin) again() {
	require.NoError(d.t, unmount(d.point))
	d.mount()
}

// exhaust leaves so many bytes of the disk.
func (d *thin) exhaust(leave int64) {
	var st unix.Statfs_t
	require.NoError(d.t, unix.Statfs(d.store, &st))
	f, err := os.Create(filepath.Join(d.store, "ballast"))
	require.NoError(d.t, err)
	defer f.Close()
	require.NoError(d.t, unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bfree)*st.Bsize-leave))
}

func (d *thin) replenish() { require.NoError(d.t, os.Remove(filepath.Join(d.store, "ballast"))) }

// TestDiskThatLosesWrites takes a backup on a disk that fails to write some of
// it back, and then, when the disk is well again, the same run goes on. What
// the disk lost may still be in the machine's memory, where every check finds
// it: only a file system that is mounted anew shows what is really stored.
func TestDiskThatLosesWrites(t *testing.T) {
	var failed atomic.Int64
	t.Cleanup(func() { assert.GreaterOrEqual(t, failed.Load(), int64(5), "backups that the disk failed") })
	for _, test := range []struct {
		name  string
		leave int64
		warm  bool
	}{
		{"no content", 64 << 10, true},
		{"some content", 1 << 20, true},
		{"the copy and no scratch copy", 3 << 20, true},
		{"almost the scratch copy", 5 << 20, true},
		{"all", 16 << 20, true},
		{"no journal", 64 << 10, false},
		{"some journal", 1 << 20, false},
		{"the copy and some journal", 4 << 20, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newThin(t)
			if test.warm {
				d.warm()
			}
			live := filepath.Join(t.TempDir(), "shop.duckdb")
			enginetest.CreateKilled(t, live,
				fmt.Sprintf("CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(%d)", plainRows-1000), "CHECKPOINT",
				"INSERT INTO t SELECT range, 'in the WAL' FROM range(1000)", "CREATE INDEX ti ON t(i)")
			w := world{fs: vfs.OS(), root: d.point, level: "full", keep: 100, sourceFile: live, clone: config.CloneNever}
			for _, dir := range []string{"repo", "target"} {
				require.NoError(t, os.Mkdir(filepath.Join(d.point, dir), 0o700))
			}
			require.NoError(t, w.put(w.target(), oldTarget))
			require.NoError(t, w.backup("first"))
			d.again()
			o, err := newOracle(w, newContentBook(t))
			require.NoError(t, err)
			o.plain = true

			d.exhaust(test.leave)
			err = w.backup("op")
			t.Logf("on the failing disk: %v", err)
			if err != nil {
				failed.Add(1)
			}
			d.replenish()
			if again := w.backup("op"); again != nil {
				// The file system itself may have given up. After it is mounted
				// anew, as an operator has to do then, the run goes on.
				t.Logf("on the disk that is well again: %v", again)
				d.again()
				require.NoError(t, o.check(w, false))
				require.NoError(t, w.backup("op"))
			}
			d.again()
			require.NoError(t, o.check(w, false), "what is really stored")
			require.NoError(t, w.backup("next"))
			require.NoError(t, w.wantSwept())
		})
	}
}
