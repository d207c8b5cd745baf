package vfs

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// umaskVariable makes the test binary a child that works under the umask.
const umaskVariable = "CANVASBACK_TEST_UMASK"

// nobody is a user whom a mode keeps out, as it does not keep out root.
const nobody = 65534

func umaskChild(value, dir string) (status int) {
	umask, err := strconv.ParseInt(value, 8, 0)
	if err == nil {
		err = makeUnder(int(umask), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func makeUnder(umask int, dir string) error {
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
	fsys, err := OS().Confine(dir)
	if err != nil {
		return err
	}
	if err := fsys.Mkdir(filepath.Join(dir, "one"), 0o700); err != nil {
		return err
	}
	if err := fsys.MkdirAll(filepath.Join(dir, "two", "deep"), 0o700); err != nil {
		return err
	}
	for i := range 2 { // made, then found
		if err := WriteAtomic(fsys, filepath.Join(dir, "one", "atomic"), []byte("x"), 0o600); err != nil {
			return err
		}
		lock, err := LockFile(fsys, filepath.Join(dir, "two", "lock"), 0o600)
		if err != nil {
			return fmt.Errorf("lock %d: %w", i, err)
		}
		if err := lock.Close(); err != nil {
			return err
		}
		f, err := fsys.OpenFile(filepath.Join(dir, "two", "deep", "open"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, umask := range []string{"0", "022", "077", "0277", "0777"} {
		t.Run(umask, func(t *testing.T) {
			dir := t.TempDir()
			if os.Getuid() == 0 {
				require.NoError(t, os.Chown(dir, nobody, nobody))
				require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
			}
			child := exec.Command(os.Args[0], dir)
			child.Env = append(os.Environ(), umaskVariable+"="+umask)
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
			got := map[string]fs.FileMode{}
			require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
				if err != nil || name == dir {
					return err
				}
				info, err := e.Info()
				rel, _ := filepath.Rel(dir, name)
				got[rel] = info.Mode()
				return err
			}))
			assert.Equal(t, map[string]fs.FileMode{
				"one": fs.ModeDir | 0o700, "one/atomic": 0o600,
				"two": fs.ModeDir | 0o700, "two/lock": 0o600, "two/deep": fs.ModeDir | 0o700, "two/deep/open": 0o640,
			}, got)
		})
	}
}
