package mounttest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/vfs/mounttest"
)

func device(t *testing.T, name string) (dev, ino uint64) {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(name, &st))
	return st.Dev, st.Ino
}

func TestMountIsAFileSystemOfItsOwnAndGoes(t *testing.T) {
	for _, fsType := range []string{"xfs", "btrfs", "ext4"} {
		var point string
		t.Run(fsType, func(t *testing.T) {
			point = mounttest.Mount(t, fsType, 0)
			require.NoError(t, os.WriteFile(filepath.Join(point, "f"), []byte("x"), 0o600))
			inside, _ := device(t, point)
			outside, _ := device(t, filepath.Dir(point))
			assert.NotEqual(t, outside, inside)
		})
		assert.NoDirExists(t, point, "unmounted, and its temporary directory removed")
	}
}

func TestBindIsTheSameDirectory(t *testing.T) {
	from := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(from, "f"), []byte("x"), 0o600))
	var point string
	t.Run("bound", func(t *testing.T) {
		point = mounttest.Bind(t, from)
		dev, ino := device(t, filepath.Join(from, "f"))
		sameDev, sameIno := device(t, filepath.Join(point, "f"))
		assert.Equal(t, dev, sameDev)
		assert.Equal(t, ino, sameIno)
	})
	assert.NoDirExists(t, point)
	assert.FileExists(t, filepath.Join(from, "f"), "what was bound stays")
}

func TestMountInUseIsHidden(t *testing.T) {
	var f *os.File
	t.Run("in use", func(t *testing.T) {
		var err error
		f, err = os.Create(filepath.Join(mounttest.Mount(t, "ext4", 0), "f"))
		require.NoError(t, err)
	})
	_, err := f.WriteString("still there")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.NoFileExists(t, f.Name())
}
