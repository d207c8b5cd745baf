package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blocks are the YAML blocks of a document of the repository.
func blocks(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", document))
	require.NoError(t, err)
	var found []string
	for _, after := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, closed := strings.Cut(after, "```\n")
		require.True(t, closed)
		found = append(found, block)
	}
	require.NotEmpty(t, found, "%s shows no configuration", document)
	return found
}

// TestConfigurationsOfTheDocuments loads every configuration that they show; of
// a part of one, which names no repository, it reads the keys.
func TestConfigurationsOfTheDocuments(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, documents)
	loaded, read := 0, 0
	for _, path := range append(documents, "../../README.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if !strings.Contains(string(text), "```yaml\n") {
			continue
		}
		for _, block := range blocks(t, strings.TrimPrefix(path, "../../")) {
			switch {
			case strings.Contains("\n"+block, "\nrepository: "):
				_, file := write(t, block)
				_, err := Load(file)
				assert.NoError(t, err, "%s shows:\n%s", path, block)
				loaded++
			case strings.Contains("\n"+block, "\ndatabases:"):
				_, _, faults := parse([]byte(block))
				assert.Empty(t, faults, "%s shows:\n%s", path, block)
				read++
			}
		}
	}
	assert.GreaterOrEqual(t, loaded, 3)
	assert.GreaterOrEqual(t, read, 1)
}

// commented is a key that the complete example has in a comment only, because
// to set it excludes something else.
var commented = regexp.MustCompile(`(?m)^( *)# ([a-z_]+: \{)`)

// chosen are the keys of the complete example that have a value of its own.
var chosen = []string{
	"host", "repository", "databases[].name", "databases[].path", "databases[].max_age",
	"databases[].assertions[].name", "databases[].assertions[].sql", "databases[].assertions[].expect",
}

// TestCompleteExample holds the example of docs/configuration.md to the code:
// it has every key, and each with its default but for those above.
func TestCompleteExample(t *testing.T) {
	all := blocks(t, "docs/configuration.md")
	text := all[len(all)-1]
	_, file := write(t, text)
	shown, err := Load(file)
	require.NoError(t, err)
	_, set, faults := parse([]byte(text))
	require.Empty(t, faults)
	_, mentioned, faults := parse([]byte(commented.ReplaceAllString(text, "$1$2")))
	require.Empty(t, faults)

	standard := filled(Database{Assertions: []Assertion{{}}})
	for _, k := range allKeys(t) {
		at := strings.ReplaceAll(k.path, "[]", "[0]")
		if strings.HasPrefix(k.path, "databases[].notify") {
			continue // as that of the file
		}
		_, there := mentioned[at]
		assert.True(t, there, "the example lacks %s", k.path)
		if _, ok := set[at]; !ok || k.kind == "" || slices.Contains(chosen, k.path) {
			continue
		}
		assert.Equal(t, written(k.value(standard)), written(k.value(shown)), "the default of %s", k.path)
	}
}

// TestConfigurationsOfDeploy loads those that come with the manifests.
func TestConfigurationsOfDeploy(t *testing.T) {
	files, err := filepath.Glob("../../deploy/kubernetes/*/canvasback.yaml")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		_, err := Load(file)
		assert.NoError(t, err, file)
	}
}
