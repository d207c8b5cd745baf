package hotcopy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/hotcopy"
)

const secret = "a key of some length"

// TestCopyOfAnEncryptedDatabase copies from an owner that writes and
// checkpoints, with its key: everything is seen, so every rule applies.
func TestCopyOfAnEncryptedDatabase(t *testing.T) {
	for _, cipher := range []string{"GCM", "CTR"} {
		t.Run(cipher, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.duckdb")
			o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{Key: secret, Cipher: cipher, CheckpointThreshold: "64KB", BulkEvery: 15, BulkRows: 2000})
			o.WaitCommits(t, 40)
			rules := map[string]int{}
			for range 6 {
				atLeast := o.Committed()
				opts := options(t, path)
				opts.Key, opts.Settle = duckfile.NewKey(secret), time.Second
				res, err := hotcopy.Copy(context.Background(), opts)
				require.NoError(t, err)
				rules[res.Rule]++
				assert.True(t, res.Encrypted)
				assert.False(t, res.Opaque)
				assert.Positive(t, res.Blocks)
				enginetest.CheckEncryptedPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), secret, atLeast)
			}
			t.Log(rules)
			o.Stop(t)
		})
	}
}

// TestCopyWithoutTheKey: only rule C, and only of a file that holds still.
func TestCopyWithoutTheKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{Key: secret, Cipher: "GCM", CheckpointThreshold: "1GB", Pause: time.Millisecond})
	o.WaitCommits(t, 30)
	atLeast := o.Committed()
	opts := options(t, path)
	res, err := hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, "C", res.Rule, "a commit in the WAL proves nothing where a marker cannot be told from it")
	assert.True(t, res.Opaque)
	assert.Contains(t, res.Evidence["opaque"], "no key was given")
	enginetest.CheckEncryptedPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), secret, atLeast)
	o.Stop(t)

	opts = options(t, path)
	time.Sleep(2 * opts.Settle) // the file's age is the thing tested
	res, err = hotcopy.Copy(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, "untouched", res.Evidence["variant"])
	enginetest.CheckEncryptedPrefix(t, filepath.Join(opts.Dir, "copy.duckdb"), secret, o.Committed())
}

func TestCopyWithoutTheKeyOfAnOwnerThatCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.duckdb")
	o := enginetest.StartOwner(t, path, enginetest.OwnerOptions{Key: secret, Cipher: "CTR", CheckpointThreshold: "1KB", Pause: time.Millisecond})
	o.WaitCommits(t, 30)
	opts := options(t, path)
	opts.Settle, opts.MaxAttempts = 20*time.Second, 5
	_, err := hotcopy.Copy(context.Background(), opts)
	require.Error(t, err)
	assert.Equal(t, failure.Moving.Name, failure.Of(err).Name, "%v", err)
	assert.Regexp(t, `in 5 attempts \(.* times`, err.Error(), "it says what kept moving")
	o.Stop(t)
}

func TestCopyWithAWrongKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.duckdb")
	enginetest.CreateEncrypted(t, path, secret, "GCM", "CREATE TABLE t AS SELECT 1 AS i")
	opts := options(t, path)
	opts.Key = duckfile.NewKey("another key")
	_, err := hotcopy.Copy(context.Background(), opts)
	require.Error(t, err)
	assert.Equal(t, failure.WrongKey.Name, failure.Of(err).Name, "%v", err)
	assert.NotContains(t, fmt.Sprint(err, opts), "another key")
	entries, err := os.ReadDir(opts.Dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing is written before the key is known to fit")
}
