package cli

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// TestPruneOfWhatIsRead: a backup that somebody reads stays for now, and the
// command says that it did not do all.
func TestPruneOfWhatIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	made := makeRepository(t, dir)
	r, err := repo.Open(vfs.OS(), dir)
	require.NoError(t, err)
	reading, err := r.Read("shop", made[1])
	require.NoError(t, err)
	defer reading.Close()

	for _, grace := range []string{"0", "30d"} {
		args := []string{"prune", "--repository", dir, "--database", "shop", "--keep-last", "1", "--min-verified", "1", "--grace", grace, "--confirm"}
		status, out, errOut := run(t, t.Context(), append(args, "--json")...)
		assert.Equal(t, failure.ExitPartly, status)
		assert.Contains(t, errOut, "being read, and left for now: "+made[1]+"\n")
		var doc pruneDoc
		require.NoError(t, json.Unmarshal([]byte(out), &doc))
		assert.True(t, doc.Confirmed)
		require.Len(t, doc.Kept, 3)
		assert.Equal(t, made[1], doc.Kept[2].ID)
		assert.Equal(t, "would go, but is being read: no rule keeps it: last is full", doc.Kept[2].Reason)
		if grace == "0" {
			require.Len(t, doc.Removed, 1)
			assert.Equal(t, made[0], doc.Removed[0].ID)
			assert.Equal(t, doc.Removed[0].Bytes, doc.Bytes)
		}
		_, out, _ = run(t, t.Context(), args...)
		assert.Regexp(t, `(?m)^keep +`+made[1]+` .* would go, but is being read`, out)
		assert.Regexp(t, `(?m)^went +0 of 3 backups, 0 B$`, out)
	}

	require.NoError(t, reading.Close())
	status, out, _ := run(t, t.Context(), "prune", "--repository", dir, "--database", "shop", "--keep-last", "1", "--min-verified", "1", "--confirm")
	assert.Equal(t, failure.ExitDone, status)
	assert.Regexp(t, `(?m)^removed +`+made[1], out)
}

// TestPruneTakesTheDatabaseAndFreesItsTrash: it decides nothing while a run may
// change what there is, and what has no more grace goes.
func TestPruneTakesTheDatabaseAndFreesItsTrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	made := makeRepository(t, dir)
	r, err := repo.Open(vfs.OS(), dir)
	require.NoError(t, err)
	require.NoError(t, r.Trash("shop", made[0], "too many", time.Now().Add(-48*time.Hour), 24*time.Hour))
	args := []string{"prune", "--repository", dir, "--database", "shop", "--keep-last", "1", "--min-verified", "1"}

	lease, err := r.Acquire("shop", "another", time.Now())
	require.NoError(t, err)
	status, _, _ := run(t, t.Context(), args...)
	assert.Equal(t, failure.ExitDone, status, "to look needs no lease")
	status, _, errOut := run(t, t.Context(), append(args, "--confirm")...)
	assert.Equal(t, failure.ExitFailed, status)
	assert.Contains(t, errOut, `run "another"`)
	trashed, err := r.Trashed("shop")
	require.NoError(t, err)
	assert.Len(t, trashed, 1)

	require.NoError(t, lease.End())
	status, out, _ := run(t, t.Context(), append(args, "--confirm")...)
	assert.Equal(t, failure.ExitDone, status)
	assert.Regexp(t, `(?m)^removed +`+made[1], out)
	trashed, err = r.Trashed("shop")
	require.NoError(t, err)
	assert.Empty(t, trashed)
	lease, err = r.Acquire("shop", "another", time.Now())
	require.NoError(t, err, "it gives the database up")
	require.NoError(t, lease.End())
}
