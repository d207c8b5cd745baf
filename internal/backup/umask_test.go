package backup_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/job"
	"canvasback/internal/vfs"
)

// umaskVariable makes the test binary a child that backs up under the umask.
const umaskVariable = "CANVASBACK_TEST_UMASK"

// nobody is a user whom a mode keeps out, as it does not keep out root.
const nobody = 65534

func umaskChild(umask, dir string) int {
	n, err := strconv.ParseInt(umask, 8, 0)
	if err == nil {
		err = allUnder(int(n), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// allUnder makes backups, removes one, drills and restores, as the programs do
// that begin with KeepOwnRights.
func allUnder(umask int, dir string) error {
	if os.Getuid() == 0 {
		if err := unix.Setgroups(nil); err != nil {
			return err
		}
		if err := unix.Setresgid(nobody, nobody, nobody); err != nil {
			return err
		}
		if err := unix.Setresuid(nobody, nobody, nobody); err != nil {
			return err
		}
	}
	unix.Umask(umask)
	vfs.KeepOwnRights()
	cfg, err := config.FromFlags([]string{"shop=" + filepath.Join(dir, "shop.duckdb")}, filepath.Join(dir, "backups"), "h")
	if err != nil {
		return err
	}
	db := &cfg.Databases[0]
	db.Copy.Settle = config.Duration(200 * time.Millisecond)
	db.Drill.Directory = filepath.Join(dir, "drills")
	db.Restore.Targets = map[string]string{"new": filepath.Join(dir, "restored.duckdb")}
	r, err := backup.New(cfg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	first, err := r.Backup(ctx, "shop", nil)
	if err != nil {
		return err
	}
	second, err := r.Backup(ctx, "shop", nil)
	if err != nil {
		return err
	}
	if _, err := r.Drill(ctx, job.DrillInput{Database: "shop"}, nil); err != nil {
		return err
	}
	if err := r.Repo.Trash("shop", first.Manifest.ID, "test", time.Now(), time.Hour); err != nil {
		return err
	}
	_, err = r.Restore(ctx, job.RestoreStepInput{Database: "shop", ID: second.Manifest.ID, Target: "new"}, func(job.Progress) {})
	return err
}

// TestAllThatIsMadeIsPrivate also shows that the engine's child can work where
// the umask would take the user's own rights away.
func TestAllThatIsMadeIsPrivate(t *testing.T) {
	for _, umask := range []string{"0", "0277", "0777"} {
		t.Run(umask, func(t *testing.T) {
			dir := t.TempDir()
			enginetest.CreateKilled(t, filepath.Join(dir, "shop.duckdb"), orders...)
			require.NoError(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
				if err == nil && os.Getuid() == 0 {
					err = os.Chown(name, nobody, nobody)
				}
				return err
			}))
			require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
			made := []string{"backups", "drills"}
			for _, name := range made {
				require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
				if os.Getuid() == 0 {
					require.NoError(t, os.Chown(filepath.Join(dir, name), nobody, nobody))
				}
			}
			child := exec.Command(os.Args[0], dir)
			child.Env = append(os.Environ(), umaskVariable+"="+umask)
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
			files, dirs := 0, 0
			for _, name := range append(made, "restored.duckdb", "restored.duckdb.wal") {
				require.NoError(t, filepath.WalkDir(filepath.Join(dir, name), func(name string, e fs.DirEntry, err error) error {
					if err != nil {
						return err
					}
					info, err := e.Info()
					if err != nil {
						return err
					}
					if e.IsDir() {
						dirs++
						assert.Equal(t, fs.ModeDir|0o700, info.Mode(), name)
					} else {
						files++
						assert.Equal(t, fs.FileMode(0o600), info.Mode(), name)
					}
					return nil
				}))
			}
			assert.Greater(t, files, 12, "two backups, their notes and locks, and the restored files")
			assert.Greater(t, dirs, 6)
		})
	}
}
