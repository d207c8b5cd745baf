package repo

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestTold(t *testing.T) {
	r, err := Open(vfs.OS(), t.TempDir())
	require.NoError(t, err)
	data, err := r.Told("shop")
	require.NoError(t, err)
	assert.Nil(t, data)
	set := func(want, text string) error {
		return r.EditTold("shop", func(data []byte) ([]byte, error) {
			assert.Equal(t, want, string(data))
			if text == "" {
				return nil, nil
			}
			return []byte(text), nil
		})
	}
	require.NoError(t, set("", "one"))
	require.NoError(t, set("one", ""))
	require.NoError(t, set("one", "two"))
	wrong := errors.New("wrong")
	assert.ErrorIs(t, r.EditTold("shop", func([]byte) ([]byte, error) { return []byte("three"), wrong }), wrong)
	data, err = r.Told("shop")
	require.NoError(t, err)
	assert.Equal(t, "two", string(data))

	strays, err := r.Strays("shop")
	require.NoError(t, err)
	assert.Empty(t, strays)
	list, err := r.List("shop")
	require.NoError(t, err)
	assert.Empty(t, list)
	info, err := os.Stat(filepath.Join(r.Dir(), "shop", toldName))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	_, err = r.Told("../shop")
	assert.Equal(t, failure.UnknownDatabase, failure.Of(err))
	assert.Equal(t, failure.UnknownDatabase, failure.Of(r.EditTold("../shop", nil)))
}

func TestToldIsEditedByOneAtATime(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			r, err := Open(vfs.OS(), dir)
			assert.NoError(t, err)
			assert.NoError(t, r.EditTold("shop", func(data []byte) ([]byte, error) { return append(data, 'x'), nil }))
		})
	}
	all.Wait()
	r, err := Open(vfs.OS(), dir)
	require.NoError(t, err)
	data, err := r.Told("shop")
	require.NoError(t, err)
	assert.Len(t, data, 16)
}

// The record is the old one or the new one, whatever fails.
func TestToldUnderFailure(t *testing.T) {
	for n := 1; ; n++ {
		mem := vfstest.NewMem()
		require.NoError(t, mem.Mkdir("/r", 0o700))
		require.NoError(t, mem.SyncDir("/"))
		good, err := Open(mem, "/r")
		require.NoError(t, err)
		set := func(text string) func([]byte) ([]byte, error) {
			return func([]byte) ([]byte, error) { return []byte(text), nil }
		}
		require.NoError(t, good.EditTold("shop", set("old")))
		bad := vfstest.FailNth(mem, n, syscall.ENOSPC)
		r, err := Open(bad, "/r")
		require.NoError(t, err)
		err = r.EditTold("shop", set("new"))
		data, readErr := good.Told("shop")
		require.NoError(t, readErr)
		assert.Contains(t, []string{"old", "new"}, string(data), "operation %d", n)
		for seed := range int64(4) {
			after, crashErr := Open(mem.CrashClone(seed), "/r")
			require.NoError(t, crashErr)
			data, readErr := after.Told("shop")
			require.NoError(t, readErr)
			assert.Contains(t, []string{"old", "new"}, string(data), "operation %d, seed %d", n, seed)
			if err == nil {
				assert.Equal(t, "new", string(data), "operation %d, seed %d", n, seed)
			}
		}
		if !bad.Fired() {
			require.NoError(t, err)
			require.Greater(t, n, 4)
			break
		}
	}
}
