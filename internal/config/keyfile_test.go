package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

func TestReadKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.key")
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		key, want     string
	}{
		{"a line", "s3cret key\n", 0o600, "s3cret key", ""},
		{"a line of Windows", "s3cret\r\n", 0o400, "s3cret", ""},
		{"spaces belong to it", " s3cret ", 0o600, " s3cret ", ""},
		{"readable by others", "s3cret", 0o640, "", "others than its owner may read or change it (mode 0640): make it 0600"},
		{"empty", "\n", 0o600, "", "it is empty"},
		{"too large", strings.Repeat("s3cret", 1000), 0o600, "", "6000 bytes, more than 4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(path)
			require.NoError(t, os.WriteFile(path, []byte(tt.content), tt.mode))
			key, err := ReadKeyFile(path)
			assert.Equal(t, tt.key, key)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, "key file "+path+": "+tt.want)
			assert.Same(t, failure.InvalidConfig, failure.Of(err))
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
	key, err := ReadKeyFile("")
	require.NoError(t, err)
	assert.Empty(t, key)
	_, err = ReadKeyFile(filepath.Dir(path))
	require.ErrorContains(t, err, "not a regular file")
	_, err = ReadKeyFile(path + ".none")
	require.ErrorContains(t, err, "no such file")
}

func TestTooOpen(t *testing.T) {
	const root, worker, other = 0, 998, 1000
	for _, tt := range []struct {
		name          string
		mode          os.FileMode
		owner, reader int
		want          bool
	}{
		{"the reader's own", 0o600, worker, worker, false},
		{"the reader's own, for its group too", 0o640, worker, worker, true},
		{"another's, for the group", 0o640, other, worker, true},
		{"root's, for the group: a credential of systemd", 0o440, root, worker, false},
		{"root's, for the group, who may write", 0o460, root, worker, true},
		{"root's, for all", 0o444, root, worker, true},
		{"root's own, read by root, for its group too", 0o640, root, root, true},
	} {
		assert.Equal(t, tt.want, tooOpen(tt.mode, tt.owner, tt.reader), tt.name)
	}
}
