package doctor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/backup"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/mounttest"
	"canvasback/internal/vfs/vfstest"
)

func TestRepositoryDirectory(t *testing.T) {
	c := setUp(t)
	dir := c.Config.Repository
	c.Config.Repository = filepath.Join(dir, "none")
	f := c.repository()
	require.Len(t, f, 1)
	is(t, f[0], Fail, "does not exist")
	assert.Contains(t, f[0].Mend, "install -d -m 0700")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	c.Config.Repository = file
	is(t, c.repository()[0], Fail, "is not a directory")
}

func TestRepositoryMode(t *testing.T) {
	c := setUp(t)
	r, err := repo.Open(c.FS, c.Config.Repository)
	require.NoError(t, err)
	is(t, c.repositoryMode(r), OK, c.Config.Repository)
	for mode, want := range map[os.FileMode]string{
		0o750: "may look into", 0o705: "may look into", 0o710: "may look into", 0o777 | os.ModeSticky: "may look into",
		0o770: "may change and remove", 0o702: "may change and remove", 0o777: "may change and remove",
	} {
		require.NoError(t, os.Chmod(c.Config.Repository, mode))
		is(t, c.repositoryMode(r), Warn, "others than its owner "+want)
	}
}

func TestRepositoryKind(t *testing.T) {
	c := setUp(t)
	for kind, want := range map[vfs.FSKind]Status{{Name: "xfs"}: OK, {Name: "tmpfs"}: Fail, {Name: "nfs", Network: true}: Warn} {
		c.FS = kindFS{vfs.OS(), kind}
		is(t, c.repositoryKind(), want, kind.Name)
	}
}

// TestRepositoryOfAMountedDisk has real file systems: one that is too small, one
// that is full, one that is mounted read-only, and another one than the
// database's.
func TestRepositoryOfAMountedDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.duckdb")
	enginetest.Create(t, path, `CREATE TABLE noise AS SELECT hash(range) a, hash(range + 1_000_000_000) b FROM range(2_000_000)`)
	c := setUpFor(t, path)
	is(t, shop(c).apart(), Warn, "lie in one file system")
	is(t, shop(c).space(), OK, "are free")
	c.Config.Repository = mounttest.Mount(t, "ext4", 24<<20)
	is(t, shop(c).apart(), OK, "two file systems")
	is(t, shop(c).space(), Fail, "one backup takes up to")
	r, err := repo.Open(c.FS, c.Config.Repository)
	require.NoError(t, err)
	is(t, c.repositoryWritable(r), OK, "writable")
	is(t, operations(c.FS, c.Config.Repository), OK, "renamed and locked")

	filler, err := os.Create(filepath.Join(c.Config.Repository, "filler"))
	require.NoError(t, err)
	// What is reserved while it is not written yet comes free with a sync.
	for _, size := range []int{1 << 16, 4096, 4096, 1} {
		for chunk := make([]byte, size); err == nil; {
			_, err = filler.Write(chunk)
		}
		require.ErrorIs(t, err, unix.ENOSPC)
		require.NoError(t, filler.Sync())
		err = nil
	}
	require.NoError(t, filler.Close())
	is(t, c.repositoryWritable(r), Fail, "no space left")
	require.NoError(t, os.Remove(filler.Name()))

	require.NoError(t, unix.Mount("", c.Config.Repository, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	is(t, c.repositoryWritable(r), Fail, "read-only")
	c.Config.Databases[0].Drill.Directory = c.Config.Repository
	is(t, shop(c).drillDirectory(), Fail, "may not make files")
}

func TestSpaceForOneAndNotForTwo(t *testing.T) {
	c := setUp(t)
	info, err := os.Stat(c.Config.Databases[0].Path)
	require.NoError(t, err)
	for free, want := range map[int64]Status{2 * info.Size(): OK, 2*info.Size() - 1: Warn, info.Size(): Warn, info.Size() - 1: Fail} {
		c.FS = freeFS{vfs.OS(), free}
		is(t, shop(c).space(), want, "free")
	}
}

type freeFS struct {
	vfs.FS
	free int64
}

func (f freeFS) FreeBytes(string) (int64, error) { return f.free, nil }

// TestOperations fails each one, and then nothing is left.
func TestOperations(t *testing.T) {
	dir := t.TempDir()
	kinds := []vfstest.Kind{vfstest.OpCreate, vfstest.OpWrite, vfstest.OpSync, vfstest.OpRename, vfstest.OpSyncDir, vfstest.OpLock, vfstest.OpRemove}
	n := 1
	for ; ; n++ {
		fsys := vfstest.FailNth(vfs.OS(), n, unix.EIO, kinds...)
		f := operations(fsys, dir)
		if !fsys.Fired() {
			is(t, f, OK, "synced")
			break
		}
		is(t, f, Fail, dir)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries { // where it was the removal that failed
			require.NoError(t, os.Remove(filepath.Join(dir, e.Name())))
			assert.Contains(t, f.Found, "could not be removed")
		}
	}
	assert.Equal(t, 11, n, "each of the ten operations was failed")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestBackupTimes(t *testing.T) {
	c := setUp(t)
	runner, err := backup.New(c.Config)
	require.NoError(t, err)
	is(t, backupTimes(runner.Repo, "shop", time.Now()), OK, "no backup yet")
	sum, err := runner.Backup(t.Context(), "shop", nil)
	require.NoError(t, err)
	is(t, backupTimes(runner.Repo, "shop", time.Now()), OK, "1 backups")
	is(t, backupTimes(runner.Repo, "shop", sum.Manifest.Started.Add(-clockTolerance-time.Second)), Fail, "in the future")
	is(t, backupTimes(runner.Repo, "shop", sum.Manifest.Started.Add(-clockTolerance)), OK, "1 backups")
	require.NoError(t, os.WriteFile(filepath.Join(runner.Repo.BackupDir("shop", sum.Manifest.ID), "manifest.json"), []byte("{"), 0o600))
	is(t, backupTimes(runner.Repo, "shop", time.Now()), Fail, "cannot be listed")
}

func TestKernelClock(t *testing.T) {
	is(t, kernelClock(true, true), OK, "kept right")
	is(t, kernelClock(false, true), Warn, "nothing keeps its clock right")
	is(t, kernelClock(false, false), Skipped, "does not tell")
	_, known := synchronized()
	assert.True(t, known, "Linux tells")
}
