package check_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/check"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestMain(m *testing.M) {
	enginetest.RunIfChild()
	os.Exit(m.Run())
}

var now = time.Date(2026, 11, 10, 3, 0, 0, 0, time.UTC)

// world is a repository of verified backups, and how it is read.
type world struct {
	t   *testing.T
	r   *repo.Repo
	fs  vfs.FS
	key string
}

func newWorld(t *testing.T, n int) (*world, []string) {
	t.Helper()
	r, err := repo.Open(vfs.OS(), t.TempDir())
	require.NoError(t, err)
	w := &world{t: t, r: r, fs: vfs.OS()}
	var ids []string
	for i := range n {
		ids = append(ids, w.backup(i, func(path string) { enginetest.Create(t, path, "CREATE TABLE a AS SELECT range AS i FROM range(1000)") }))
	}
	return w, ids
}

// backup commits what made puts at its path.
func (w *world) backup(n int, made func(path string)) string {
	w.t.Helper()
	run := "run-" + string(rune('a'+n))
	s, err := w.r.Stage("shop", run)
	require.NoError(w.t, err)
	path := filepath.Join(s.Dir(), "shop.duckdb")
	made(path)
	data, err := os.ReadFile(path)
	require.NoError(w.t, err)
	sum := sha256.Sum256(data)
	started := now.AddDate(0, 0, n-9)
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, 1, run), Database: "shop", State: repo.StateVerified, Run: run, Started: started, Finished: started,
		Files:        []repo.File{{Name: "shop.duckdb", Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}},
		Source:       repo.Source{Encrypted: w.key != ""},
		Verification: &repo.Verification{Level: "full", At: started}, Tool: "test",
	}
	require.NoError(w.t, s.Commit(m))
	return m.ID
}

func (w *world) check(turn check.Turn) (*check.Report, error) {
	w.t.Helper()
	return check.Run(context.Background(), check.Request{
		FS: w.fs, Repo: w.r, Databases: []string{"shop"}, Turn: turn,
		Key: func(string) (string, error) { return w.key, nil }, Now: func() time.Time { return now },
	})
}

func (w *world) path(id string) string {
	return filepath.Join(w.r.BackupDir("shop", id), "shop.duckdb")
}

func (w *world) flip(id string) {
	w.t.Helper()
	data, err := os.ReadFile(w.path(id))
	require.NoError(w.t, err)
	data[300000] ^= 1
	require.NoError(w.t, os.WriteFile(w.path(id), data, 0o600))
}

func (w *world) get(id string) (*repo.Manifest, *repo.Check) {
	w.t.Helper()
	m, err := w.r.Get("shop", id)
	require.NoError(w.t, err)
	notes, err := w.r.Notes("shop", id)
	require.NoError(w.t, err)
	return m, notes.Check
}

func TestGoodBackupsPass(t *testing.T) {
	w, ids := newWorld(t, 3)
	rep, err := w.check(check.Turn{})
	require.NoError(t, err)
	require.Len(t, rep.Checked, 3)
	assert.Empty(t, rep.Strays)
	assert.Equal(t, now, *rep.Oldest)
	for _, id := range ids {
		m, c := w.get(id)
		assert.Equal(t, repo.StateVerified, m.State)
		require.NotNil(t, c)
		assert.True(t, c.Passed)
		assert.Equal(t, now, c.At)
	}
}

func TestRotIsMarkedAndStays(t *testing.T) {
	w, ids := newWorld(t, 2)
	w.flip(ids[0])
	rep, err := w.check(check.Turn{})
	require.Error(t, err)
	assert.Equal(t, failure.BackupBad, failure.Of(err))
	assert.ErrorContains(t, err, ids[0])
	require.Len(t, rep.Checked, 2)
	assert.True(t, rep.Checked[0].Rotted)
	assert.True(t, rep.Checked[1].Passed)
	m, c := w.get(ids[0])
	assert.Equal(t, repo.StateRotten, m.State)
	assert.Contains(t, m.Failure, "SHA-256")
	assert.False(t, c.Passed)
	latest, err := w.r.Get("shop", repo.Latest)
	require.NoError(t, err)
	assert.Equal(t, ids[1], latest.ID)

	// Its turn comes at once, and the byte that is back does not make it verified.
	w.flip(ids[0])
	rep, err = w.check(check.Turn{Share: 2})
	require.ErrorContains(t, err, "stays rotten")
	require.Len(t, rep.Checked, 1)
	assert.Equal(t, ids[0], rep.Checked[0].ID)
	m, _ = w.get(ids[0])
	assert.Equal(t, repo.StateRotten, m.State)
}

// A disk that fails is reported, and is no rot.
func TestDiskThatFailsIsNoRot(t *testing.T) {
	w, ids := newWorld(t, 2)
	w.fs = vfstest.Intercept(vfs.OS(), func(op vfstest.Op) error {
		if op.Name == w.path(ids[0]) && !op.Mutates() {
			return syscall.EIO
		}
		return nil
	})
	rep, err := w.check(check.Turn{})
	require.ErrorIs(t, err, syscall.EIO)
	assert.NotEqual(t, failure.BackupBad, failure.Of(err))
	require.Len(t, rep.Checked, 2)
	m, c := w.get(ids[0])
	assert.Equal(t, repo.StateVerified, m.State)
	assert.False(t, c.Passed)
	assert.Nil(t, rep.Oldest, "one could not be read")

	w.fs = vfs.OS()
	rep, err = w.check(check.Turn{Share: 1000})
	require.NoError(t, err)
	require.Len(t, rep.Checked, 1)
	assert.Equal(t, ids[0], rep.Checked[0].ID, "its turn comes first")
}

func TestEncryptedWithoutItsKey(t *testing.T) {
	w, _ := newWorld(t, 0)
	w.key = "a key of words"
	id := w.backup(0, func(path string) {
		enginetest.CreateEncrypted(t, path, w.key, "GCM", "CREATE TABLE a AS SELECT range AS i FROM range(1000)", "CHECKPOINT")
	})
	for _, key := range []string{"a key of words", ""} {
		w.key = key
		_, err := w.check(check.Turn{})
		require.NoError(t, err, "key %q", key)
	}
	w.flip(id)
	_, err := w.check(check.Turn{})
	assert.Equal(t, failure.BackupBad, failure.Of(err), "its bytes are compared without the key")
}

func TestStrays(t *testing.T) {
	w, ids := newWorld(t, 1)
	dir := w.r.BackupDir("shop", ids[0])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte("x\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "README"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(dir), "20200101T000000Z-i1-0000"), 0o700))
	rep, err := w.check(check.Turn{})
	require.NoError(t, err)
	require.Len(t, rep.Strays, 4)
	for i, text := range []string{"has no manifest", "SHA256SUMS: does not say", "notes.txt: the manifest does not name it", "README: belongs to no backup"} {
		assert.Contains(t, rep.Strays[i]+rep.Strays[min(i+1, 3)]+rep.Strays[max(i-1, 0)], text)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "SHA256SUMS")))
	rep, err = w.check(check.Turn{})
	require.NoError(t, err)
	assert.Contains(t, rep.Strays[1]+rep.Strays[2], "SHA256SUMS: is missing")
}

// A check that is interrupted goes on with what it did not come to.
func TestInterrupted(t *testing.T) {
	w, ids := newWorld(t, 3)
	ctx, cancel := context.WithCancel(context.Background())
	rep, err := check.Run(ctx, check.Request{
		FS: w.fs, Repo: w.r, Databases: []string{"shop"}, Key: func(string) (string, error) { return "", nil }, Now: func() time.Time { return now },
		Progress: func(_, id, _ string, _, _ int64) {
			if id == ids[1] {
				cancel()
			}
		},
	})
	assert.Equal(t, failure.Interrupted, failure.Of(err))
	assert.Len(t, rep.Checked, 1)
	_, c := w.get(ids[1])
	assert.Nil(t, c, "no verdict")
	rep, err = w.check(check.Turn{Share: 2})
	require.NoError(t, err)
	assert.Equal(t, ids[1], rep.Checked[0].ID)
}
