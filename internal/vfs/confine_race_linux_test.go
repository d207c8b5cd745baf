package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// swap exchanges the two names again and again, each time in one step, until
// the test ends.
func swap(t *testing.T, a, b string) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				done <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		assert.NoError(t, <-done)
	})
}

// use makes, changes, reads and removes what is below sub.
func use(fsys FS, sub string) []error {
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	file := filepath.Join(sub, "file")
	try(WriteAtomic(fsys, file, []byte("ours"), 0o600))
	try(fsys.Mkdir(filepath.Join(sub, "made"), 0o700))
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_TRUNC, os.O_RDWR | os.O_CREATE | os.O_EXCL} {
		f, err := fsys.OpenFile(file, flag, 0o600)
		if err == nil {
			if flag != os.O_RDONLY {
				_, err = f.Write([]byte("ours"))
			}
			err = errors.Join(err, f.Close())
		}
		try(err)
	}
	try(fsys.Rename(file, filepath.Join(sub, "made", "moved")))
	try(RemoveAll(fsys, filepath.Join(sub, "made")))
	_, err := fsys.ReadDir(sub)
	try(err)
	try(RemoveAll(fsys, file))
	return errs
}

// contested is a confined directory in which sub is now a directory, now a link
// to the directory outside, and at times gone while it is looked at.
func contested(t *testing.T) (dir, outside string) {
	t.Helper()
	_, dir, outside = confined(t)
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	swap(t, filepath.Join(dir, "sub"), filepath.Join(dir, "link"))
	return dir, outside
}

func leftAlone(t *testing.T, outside string) bool {
	t.Helper()
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(outside, "file"))
	return err == nil && string(text) == "theirs" && len(entries) == 1
}

// raceLimit is for a machine that hardly runs the other goroutine.
const raceLimit = 5 * time.Minute

func TestALinkThatComesBetweenLookAndUse(t *testing.T) {
	dir, outside := contested(t)
	fsys, err := OS().Confine(dir)
	require.NoError(t, err)
	began, refused, done := time.Now(), 0, 0
	for round := 0; round < 300 || refused < 100 || done < 100; round++ {
		require.Less(t, time.Since(began), raceLimit, "%d refused, %d done", refused, done)
		for _, err := range use(fsys, filepath.Join(dir, "sub")) {
			if errors.Is(err, ErrLink) {
				refused++
			} else if err == nil {
				done++
			}
		}
		require.True(t, leftAlone(t, outside), "round %d", round)
	}
}

// TestTheRaceIsReal is the counter-proof: the same is led outside where nothing
// is confined.
func TestTheRaceIsReal(t *testing.T) {
	dir, outside := contested(t)
	for began := time.Now(); leftAlone(t, outside); {
		require.Less(t, time.Since(began), raceLimit, "nothing was led outside")
		use(OS(), filepath.Join(dir, "sub"))
	}
}

// TestAPipeThatComesBetweenLookAndUse: nobody has its other end.
func TestAPipeThatComesBetweenLookAndUse(t *testing.T) {
	fsys, dir, _ := confined(t)
	file, pipe := filepath.Join(dir, "sub", "file"), filepath.Join(dir, "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	swap(t, file, pipe)
	opened, refused := 0, 0
	for began := time.Now(); opened < 100 || refused < 100; {
		require.Less(t, time.Since(began), raceLimit, "%d opened, %d refused", opened, refused)
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR} {
			f, err := fsys.OpenFile(file, flag, 0)
			if err != nil {
				require.ErrorIs(t, err, ErrSpecial)
				refused++
				continue
			}
			info, err := f.Stat()
			require.NoError(t, err)
			require.True(t, info.Mode.IsRegular())
			require.NoError(t, f.Close())
			opened++
		}
	}
}
