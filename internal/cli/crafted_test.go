package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// TestCommandsBesideACraftedManifest: what cannot be read is named, is not
// removed, and keeps no command from the other backups.
func TestCommandsBesideACraftedManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	made := makeRepository(t, dir)
	bad := filepath.Join(dir, "shop", made[1])
	name := filepath.Join(bad, "manifest.json")
	good, err := os.ReadFile(name)
	require.NoError(t, err)
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("theirs"), 0o600))
	for what, plant := range map[string]func() error{
		"a path": func() error {
			return os.WriteFile(name, []byte(strings.ReplaceAll(string(good), `"shop.duckdb"`, `"../../../../outside"`)), 0o600)
		},
		"a number": func() error {
			return os.WriteFile(name, []byte(strings.Replace(string(good), `"seconds": 1.5`, `"seconds": 1e999`, 1)), 0o600)
		},
		"a nesting": func() error { return os.WriteFile(name, []byte(strings.Repeat("[", 1<<20)), 0o600) },
		"a hole":    func() error { return os.Truncate(name, 1<<40) },
		"a link":    func() error { return os.Symlink(outside, name) },
		"a pipe":    func() error { return syscall.Mkfifo(name, 0o600) },
	} {
		require.NoError(t, os.Remove(name))
		if what == "a hole" {
			require.NoError(t, os.WriteFile(name, good, 0o600))
		}
		require.NoError(t, plant(), what)
		for command, want := range map[string]int{
			"list": failure.ExitPartly, "check": failure.ExitBad, "prune --keep-last 1 --min-verified 1 --grace 0": failure.ExitPartly,
			"verify --backup " + made[2]: failure.ExitDone, "verify --backup " + made[1]: failure.ExitBad,
			"restore --backup " + made[0]: failure.ExitDone, "restore --backup latest": failure.ExitDone, "restore --backup " + made[1]: failure.ExitBad,
		} {
			args := append(strings.Fields(command), "--repository", dir, "--database", "shop")
			if strings.HasPrefix(command, "restore") {
				args = append(args, "--target", filepath.Join(t.TempDir(), "shop.duckdb"))
			}
			status, out, errOut := run(t, t.Context(), args...)
			assert.Equal(t, want, status, "%s: %s: %s%s", what, command, out, errOut)
			if want != failure.ExitDone {
				assert.Contains(t, errOut, name, "%s: %s", what, command)
			}
			if command == "list" {
				assert.Contains(t, out, made[0])
				assert.Contains(t, out, made[2])
			}
		}
		r, err := repo.Open(vfs.OS(), dir)
		require.NoError(t, err)
		_, err = r.Sweep("shop", 0, time.Now().Add(time.Hour))
		require.NoError(t, err)
		assert.FileExists(t, filepath.Join(bad, "shop.duckdb"), "%s: what cannot be read is not removed", what)
		text, err := os.ReadFile(outside)
		require.NoError(t, err)
		assert.Equal(t, "theirs", string(text))
	}
	status, out, _ := run(t, t.Context(), "prune", "--repository", dir, "--database", "shop", "--keep-last", "1", "--min-verified", "1", "--grace", "0", "--confirm")
	assert.Equal(t, failure.ExitPartly, status)
	assert.Regexp(t, `(?m)^removed +`+made[0], out, "the others go by the policy")
	assert.FileExists(t, filepath.Join(bad, "shop.duckdb"), "and it does not")
}
