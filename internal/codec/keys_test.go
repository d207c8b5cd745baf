package codec

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

func noEnv(string) string { return "" }

func TestKeyFilesAreRead(t *testing.T) {
	path := keyFile(t, "# keys", "", "new  "+secretOf(1), "\told "+secretOf(2)+"  ")
	for name, load := range map[string]func() (*Keys, error){
		"flag": func() (*Keys, error) { return Load(path, noEnv) },
		"environment": func() (*Keys, error) {
			return Load("", func(name string) string { return map[string]string{Env: path}[name] })
		},
		"both": func() (*Keys, error) { return Load(path, func(string) string { return "/elsewhere" }) },
	} {
		k, err := load()
		require.NoError(t, err, name)
		assert.Equal(t, []string{"new", "old"}, k.IDs(), name)
		assert.Equal(t, path, k.File(), name)
	}
	k, err := Load("", noEnv)
	require.NoError(t, err)
	assert.Nil(t, k)
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, keyBytes-1))
	many := make([]string, MaxKeys+1)
	for i := range many {
		many[i] = fmt.Sprintf("k%d %s", i, secretOf(byte(i)))
	}
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"only a comment":   {[]string{"# nothing"}, "there is no key in it: 'starter codec key' makes one"},
		"a key alone":      {[]string{secretOf(1)}, "line 1: want the name of a key and the key in base64"},
		"the wrong way":    {[]string{secretOf(1) + " k1"}, "line 1: want the name of a key and the key in base64"},
		"three words":      {[]string{"k1 " + secretOf(1) + " x"}, "line 1: want the name of a key and the key in base64"},
		"a short key":      {[]string{"k0 " + secretOf(1), "k1 " + short}, "line 2: the key k1 is not 32 bytes in base64"},
		"not base64":       {[]string{"k1 " + secretOf(1)[:43] + "!"}, "line 1: the key k1 is not 32 bytes in base64"},
		"loose base64":     {[]string{"k1 " + secretOf(1)[:42] + "/="}, "line 1: the key k1 is not 32 bytes in base64"},
		"a name twice":     {[]string{"k1 " + secretOf(1), "k1 " + secretOf(2)}, "line 2: the key k1 is there twice"},
		"too many to hold": {many, "33 keys, more than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			path := keyFile(t, test.lines...)
			_, err := Load(path, noEnv)
			require.Error(t, err)
			assert.Equal(t, failure.InvalidConfig, failure.Of(err))
			assert.Equal(t, "key file "+path+": "+test.want, err.Error())
			for _, line := range test.lines {
				for _, word := range strings.Fields(line) {
					assert.False(t, len(word) > 40 && strings.Contains(err.Error(), word[:20]), "a key is shown")
				}
			}
		})
	}
}

func TestKeyFilesOfOthersAreRefused(t *testing.T) {
	path := keyFile(t, "k1 "+secretOf(1))
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601, 0o620} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := Load(path, noEnv)
		assert.Equal(t, failure.InvalidConfig, failure.Of(err), "%o", mode)
		assert.ErrorContains(t, err, "make it 0600", "%o", mode)
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := Load(path, noEnv)
		assert.NoError(t, err, "%o", mode)
	}
	if os.Geteuid() == 0 { // nobody else may give a file away
		require.NoError(t, os.Chown(path, 4242, -1))
		_, err := Load(path, noEnv)
		assert.ErrorContains(t, err, "it belongs to user 4242")
	}
	_, err := Load(t.TempDir(), noEnv)
	assert.ErrorContains(t, err, "not a regular file")
	_, err = Load(filepath.Join(t.TempDir(), "none"), noEnv)
	assert.ErrorContains(t, err, "no such file")

	assert.False(t, foreign(0, 1000), "root's")
	assert.False(t, foreign(1000, 1000))
	assert.True(t, foreign(1001, 1000))
	assert.True(t, foreign(1000, 0))
}

func TestKeysAreMade(t *testing.T) {
	path, day := filepath.Join(t.TempDir(), "codec.keys"), time.Date(2026, 1, 5, 23, 0, 0, 0, time.UTC)
	first, err := Create(path, day)
	require.NoError(t, err)
	assert.Regexp(t, `^20260105-[0-9a-f]{8}$`, first)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	ids := func() []string {
		k, err := Load(path, noEnv)
		require.NoError(t, err)
		return k.IDs()
	}
	assert.Equal(t, []string{first}, ids())

	_, err = Create(path, day)
	assert.Equal(t, failure.TargetExists, failure.Of(err))
	second, err := Add(path, day)
	require.NoError(t, err)
	third, err := Add(path, day)
	require.NoError(t, err)
	assert.Equal(t, []string{first, second, third}, ids())
	require.NoError(t, Use(path, third))
	assert.Equal(t, []string{third, first, second}, ids())
	require.NoError(t, Use(path, third))
	assert.Equal(t, []string{third, first, second}, ids())
	assert.Equal(t, failure.Usage, failure.Of(Use(path, "nobody")))
	assert.Equal(t, []string{third, first, second}, ids())

	info, err = os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), fileHead), "the comments stay: %s", text)
	assert.Equal(t, 3, strings.Count(string(text), "="), "three keys, each of which ends in one")

	_, err = Create(filepath.Join(path, "below"), day)
	assert.Equal(t, failure.TargetBad, failure.Of(err))
}

// TestAFullFileFits: config bounds what it reads.
func TestAFullFileFits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "codec.keys")
	_, err := Create(path, time.Now())
	require.NoError(t, err)
	for range MaxKeys - 1 {
		_, err = Add(path, time.Now())
		require.NoError(t, err)
	}
	k, err := Load(path, noEnv)
	require.NoError(t, err)
	assert.Len(t, k.IDs(), MaxKeys)
	_, err = Add(path, time.Now())
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
}
