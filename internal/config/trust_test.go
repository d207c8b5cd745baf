package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/failure"
)

// trustedFile is a configuration file in a directory that nobody else can change.
func trustedFile(t *testing.T) string {
	t.Helper()
	_, path := write(t, "repository: backups\ndatabases:\n- name: shop\n  path: shop.duckdb\n")
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o755))
	return path
}

func TestConfigurationThatOthersMayChange(t *testing.T) {
	path := trustedFile(t)
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o644: "", 0o444: "", 0o640: "", 0o400: "",
		0o622: "(mode 0622)", 0o666: "(mode 0666)", 0o664: "(mode 0664)", 0o646: "(mode 0646)", 0o602: "(mode 0602)",
	} {
		require.NoError(t, os.Chmod(path, mode))
		c, err := Load(path)
		if want == "" {
			require.NoError(t, err, "%04o", mode)
			assert.Empty(t, c.Doubts(), "%04o", mode)
			continue
		}
		require.EqualError(t, err, "configuration file "+path+": others than its owner may change it "+want+", and it names commands to run: make it 0600 or 0644")
		assert.Same(t, failure.InvalidConfig, failure.Of(err))
	}
	require.NoError(t, os.Chmod(path, 0o600))
	link := filepath.Join(filepath.Dir(path), "link.yaml")
	require.NoError(t, os.Symlink(path, link))
	_, err := Load(link)
	require.NoError(t, err, "the file counts, not the link to it")
	require.NoError(t, os.Chmod(path, 0o666))
	_, err = Load(link)
	require.ErrorContains(t, err, "may change it")
}

func TestDoubtsOfAConfiguration(t *testing.T) {
	path := trustedFile(t)
	dir := filepath.Dir(path)
	for mode, doubt := range map[os.FileMode]bool{0o755: false, 0o777: true, 0o775: true, 0o777 | os.ModeSticky: false, 0o700: false} {
		require.NoError(t, os.Chmod(dir, mode))
		c, err := Load(path)
		require.NoError(t, err)
		if !doubt {
			assert.Empty(t, c.Doubts(), "%v", mode)
			continue
		}
		require.Len(t, c.Doubts(), 1, "%v", mode)
		assert.Contains(t, c.Doubts()[0], "others than its owner may put another file in the place of "+path)
	}
	if os.Geteuid() == 0 { // else no other user's file can be made
		require.NoError(t, os.Chown(path, 65534, -1))
		c, err := Load(path)
		require.NoError(t, err)
		require.NotEmpty(t, c.Doubts())
		assert.Contains(t, c.Doubts()[0], path+" belongs to user 65534, who can change it")
	}
}

// TestWhatIsNoFile would wait for ever for a pipe, and read /dev/zero to its end.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	for _, path := range []string{pipe, dir, "/dev/zero"} {
		_, err := Load(path)
		require.EqualError(t, err, "configuration file "+path+": not a regular file")
		_, err = ReadKeyFile(path)
		require.EqualError(t, err, "key file "+path+": not a regular file")
	}
	path := trustedFile(t)
	c, err := Load(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, err = c.Changed()
	require.ErrorContains(t, err, "not a regular file")
}
