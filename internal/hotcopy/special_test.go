package hotcopy_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
	"canvasback/internal/vfs"
)

// TestCopyOfWhatIsNoFile would wait for ever for the other end of a pipe.
func TestCopyOfWhatIsNoFile(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.duckdb")
	enginetest.Create(t, good, "CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
	pipe := func(at string) error { return unix.Mkfifo(at, 0o600) }
	device := func(at string) error { return unix.Mknod(at, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) }
	linkTo := func(what func(at string) error) func(at string) error {
		return func(at string) error {
			if err := what(at + ".real"); err != nil {
				return err
			}
			return os.Symlink(at+".real", at)
		}
	}
	for what, plant := range map[string]func(at string) error{
		"a pipe": pipe, "a device": device, "a link to a pipe": linkTo(pipe), "a link to a device": linkTo(device),
		"a directory":      func(at string) error { return os.Mkdir(at, 0o700) },
		"a link to itself": func(at string) error { return os.Symlink(at, at) },
		"a socket": func(at string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			t.Chdir(filepath.Dir(at))
			return unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Base(at)})
		},
	} {
		for _, suffix := range []string{"", ".wal", ".wal.checkpoint"} {
			t.Run(what+" for x.duckdb"+suffix, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x.duckdb")
				if suffix != "" {
					data, err := os.ReadFile(good)
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(path, data, 0o600))
				}
				require.NoError(t, plant(path+suffix))
				_, err := hotcopy.Copy(context.Background(), options(t, path))
				require.Error(t, err)
				assert.Equal(t, failure.NotAFile.Name, failure.Of(err).Name, "%v", err)
				assert.ErrorContains(t, err, path+suffix)
				_, err = hotcopy.Inspect(vfs.OS(), path, nil)
				require.Error(t, err)
				assert.Equal(t, failure.NotAFile.Name, failure.Of(err).Name, "%v", err)
			})
		}
	}
}

// TestCopyOfAHoleOfTenTerabytes has a header that claims all of ten terabytes, which are
// a hole: the first block of it is no block, and the rest is not read.
func TestCopyOfAHoleOfTenTerabytes(t *testing.T) {
	const size, header, block = 10 << 40, 4096, 256 << 10
	path := filepath.Join(t.TempDir(), "x.duckdb")
	enginetest.Create(t, path, "CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, slot := range []int{header, 2 * header} {
		binary.LittleEndian.PutUint64(b[slot+32:], (size-3*header)/block)
		b = sealed(b, slot)
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
	require.NoError(t, os.Truncate(path, size))
	opts := options(t, path)
	_, err = hotcopy.Copy(context.Background(), opts)
	require.Error(t, err)
	assert.Contains(t, []string{failure.Corrupt.Name, failure.RepoFull.Name}, failure.Of(err).Name, "%v", err)
}

// TestCopyDoesNotWriteThroughALink: somebody else has put it where the copy is
// to be made.
func TestCopyDoesNotWriteThroughALink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.duckdb")
	enginetest.CreateKilled(t, path, "CREATE TABLE t(i INT)", "INSERT INTO t VALUES (1)")
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("theirs"), 0o600))
	for _, name := range []string{".duckdb", ".duckdb.wal"} {
		for what, plant := range map[string]func(at string) error{
			"link": func(at string) error { return os.Symlink(outside, at) },
			"pipe": func(at string) error { return unix.Mkfifo(at, 0o600) },
		} {
			t.Run(what+" for "+name, func(t *testing.T) {
				opts := options(t, path)
				var err error
				opts.FS, err = opts.FS.Confine(opts.Dir)
				require.NoError(t, err)
				require.NoError(t, plant(filepath.Join(opts.Dir, opts.Name+name)))
				_, err = hotcopy.Copy(context.Background(), opts)
				require.Error(t, err)
				assert.Equal(t, failure.RepoCorrupt.Name, failure.Of(err).Name, "%v", err)
				text, err := os.ReadFile(outside)
				require.NoError(t, err)
				assert.Equal(t, "theirs", string(text))
			})
		}
	}
}
