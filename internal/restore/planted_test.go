package restore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// plantedScene is a repository with a backup, a directory for the target, and a
// file that is neither's.
func plantedScene(t *testing.T) (req Request, backup, outside string) {
	t.Helper()
	top := t.TempDir()
	dir, data := filepath.Join(top, "repository"), filepath.Join(top, "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Mkdir(data, 0o777))
	outside = filepath.Join(top, "outside")
	require.NoError(t, os.WriteFile(outside, []byte("theirs"), 0o600))
	m := addBackup(t, vfs.OS(), dir, map[string]string{"": "new database", ".wal": "new wal"}, repo.StateVerified)
	r, err := repo.Open(vfs.OS(), dir)
	require.NoError(t, err)
	return Request{
		FS: vfs.OS(), Repo: r, Database: "shop", Backup: repo.Latest, Target: filepath.Join(data, "shop.duckdb"), Scan: scanner(t, vfs.OS()), Now: noon,
	}, r.BackupDir("shop", m.ID), outside
}

// TestRestoreThroughWhatOthersPlant: the target's directory may be one that
// others write to as well.
func TestRestoreThroughWhatOthersPlant(t *testing.T) {
	for what, tt := range map[string]struct {
		plant func(req Request, backup, outside string) error
		kind  *failure.Kind // nil: the restore goes well
	}{
		"a link for the staging directory": {func(req Request, _, outside string) error {
			return os.Symlink(filepath.Dir(outside), filepath.Join(filepath.Dir(req.Target), ".shop.duckdb.restore"))
		}, failure.TargetBad},
		"a pipe for the staging directory": {func(req Request, _, _ string) error {
			return unix.Mkfifo(filepath.Join(filepath.Dir(req.Target), ".shop.duckdb.restore"), 0o600)
		}, failure.TargetBad},
		"a link for the lock": {inStage(func(stage, outside string) error { return os.Symlink(outside, filepath.Join(stage, ".lock")) }), failure.TargetBad},
		"a pipe for the lock": {inStage(func(stage, _ string) error { return unix.Mkfifo(filepath.Join(stage, ".lock"), 0o600) }), failure.TargetBad},
		"a link for a staged file": {inStage(func(stage, outside string) error {
			return os.Symlink(outside, filepath.Join(stage, stagedDB))
		}), nil},
		"a link for the target": {func(req Request, _, outside string) error { return os.Symlink(outside, req.Target) }, failure.TargetExists},
		"a link for the WAL":    {func(req Request, _, outside string) error { return os.Symlink(outside, req.Target+".wal") }, failure.TargetExists},
		"a link for a file of the backup": {func(_ Request, backup, outside string) error {
			return instead(filepath.Join(backup, "shop.duckdb"), func(at string) error { return os.Symlink(outside, at) })
		}, failure.BackupBad},
		"a pipe for a file of the backup": {func(_ Request, backup, _ string) error {
			return instead(filepath.Join(backup, "shop.duckdb"), func(at string) error { return unix.Mkfifo(at, 0o600) })
		}, failure.BackupBad},
		"a device for the WAL of the backup": {func(_ Request, backup, _ string) error {
			return instead(filepath.Join(backup, "shop.duckdb.wal"), func(at string) error { return unix.Mknod(at, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) })
		}, failure.BackupBad},
		"a file of the backup without an end": {func(_ Request, backup, _ string) error {
			return os.Truncate(filepath.Join(backup, "shop.duckdb"), 1<<43)
		}, failure.BackupBad},
	} {
		t.Run(what, func(t *testing.T) {
			req, backup, outside := plantedScene(t)
			require.NoError(t, tt.plant(req, backup, outside))
			_, err := Run(t.Context(), req)
			if tt.kind == nil {
				require.NoError(t, err)
				assert.Equal(t, "new database", get(t, vfs.OS(), req.Target))
			} else {
				requireKind(t, tt.kind, err)
			}
			text, err := os.ReadFile(outside)
			require.NoError(t, err)
			assert.Equal(t, "theirs", string(text))
			info, err := os.Stat(outside)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode())
		})
	}
}

// inStage plants something in a staging directory that an earlier restore, or
// somebody else, has left.
func inStage(plant func(stage, outside string) error) func(Request, string, string) error {
	return func(req Request, _, outside string) error {
		stage := filepath.Join(filepath.Dir(req.Target), ".shop.duckdb.restore")
		if err := os.Mkdir(stage, 0o700); err != nil {
			return err
		}
		return plant(stage, outside)
	}
}

func instead(at string, plant func(at string) error) error {
	if err := os.Remove(at); err != nil {
		return err
	}
	return plant(at)
}

// TestRestoreKeepsALinkAside: the operator's link is moved, and what it leads to
// stays.
func TestRestoreKeepsALinkAside(t *testing.T) {
	req, _, outside := plantedScene(t)
	require.NoError(t, os.Symlink(outside, req.Target))
	req.KeepOld = true
	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, res.MovedAside, 1)
	led, err := os.Readlink(res.MovedAside[0])
	require.NoError(t, err)
	assert.Equal(t, outside, led)
	assert.Equal(t, "new database", get(t, vfs.OS(), req.Target))
	assert.Equal(t, "theirs", get(t, vfs.OS(), outside))
}

// TestModeOfTheRestored: 0600, or that of the old one, whatever the umask.
func TestModeOfTheRestored(t *testing.T) {
	for _, umask := range []int{0, 0o277, 0o777} {
		for _, old := range []os.FileMode{0, 0o600, 0o640, 0o666} {
			req, _, _ := plantedScene(t)
			want := os.FileMode(0o600)
			if old != 0 {
				require.NoError(t, os.WriteFile(req.Target, []byte("old"), 0o600))
				require.NoError(t, os.Chmod(req.Target, old))
				req.KeepOld, want = true, old
			}
			was := unix.Umask(umask)
			_, err := Run(t.Context(), req)
			unix.Umask(was)
			require.NoError(t, err)
			for _, suffix := range []string{"", ".wal"} {
				info, err := os.Stat(req.Target + suffix)
				require.NoError(t, err)
				assert.Equal(t, want, info.Mode(), "umask %04o, old %04o", umask, old)
			}
		}
	}
}
