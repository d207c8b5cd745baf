package config

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const oneDatabase = "repository: backups\ndatabases:\n- name: shop\n  path: shop.duckdb\n"

func TestChanged(t *testing.T) {
	_, path := write(t, oneDatabase)
	c, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, path, c.File())
	assert.Regexp(t, "^[0-9a-f]{12}$", c.Sum())
	changed := func() bool {
		changed, err := c.Changed()
		require.NoError(t, err)
		return changed
	}
	assert.False(t, changed())
	require.NoError(t, os.WriteFile(path, []byte(oneDatabase+"  max_age: 26h\n"), 0o600))
	assert.True(t, changed(), "another content")
	require.NoError(t, os.WriteFile(path, []byte(oneDatabase), 0o600))
	assert.False(t, changed(), "the same again, though written anew")
	require.NoError(t, os.Remove(path))
	assert.True(t, changed(), "it is gone")
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = c.Changed()
	assert.ErrorContains(t, err, path)
}

func TestFlagsNeverChange(t *testing.T) {
	c, err := FromFlags([]string{"shop=/srv/shop.duckdb"}, "/backups", "db1")
	require.NoError(t, err)
	changed, err := c.Changed()
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Empty(t, c.Sum())
}

func TestMaxAge(t *testing.T) {
	for text, want := range map[string]string{
		"0s":  ":5: databases[0].max_age: 0 is no age: leave the key out for twice the longest time between two starts of the schedule, and an hour",
		"-1h": ":5: databases[0].max_age: -1h0m0s is no age: more than 0, or left out",
		"1d":  `:5: "1d" is not a duration such as 90s or 1h30m`,
	} {
		_, path := write(t, oneDatabase+"  max_age: "+text+"\n")
		_, err := Load(path)
		assert.EqualError(t, err, path+want)
	}
}
