package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReadmeShowsTheDefaults loads the configuration that the README shows.
func TestReadmeShowsTheDefaults(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(readme), "```yaml\n")
	require.True(t, found)
	text, _, found = strings.Cut(text, "```\n")
	require.True(t, found)
	_, path := write(t, text)
	shown, err := Load(path)
	require.NoError(t, err)
	_, path = write(t, "host: db1\nrepository: /var/backups/canvasback\ndatabases:\n- {name: shop, path: /var/lib/shop/shop.duckdb, assertions: [{name: a, sql: select 1, expect: '1'}]}\n")
	bare, err := Load(path)
	require.NoError(t, err)
	d, b := shown.Databases[0], bare.Databases[0]
	assert.Equal(t, b.Checkpoint.Mode, d.Checkpoint.Mode)
	assert.Equal(t, b.Copy, d.Copy)
	assert.Equal(t, b.Retention.Grace, d.Retention.Grace)
	assert.Equal(t, b.Retention.KeepLast, d.Retention.KeepLast)
	assert.Equal(t, b.Retention.MinVerified, d.Retention.MinVerified)
	assert.Equal(t, b.Drill.Backup, d.Drill.Backup)
	assert.Equal(t, b.Hold.Deadline, d.Hold.Deadline)
}
