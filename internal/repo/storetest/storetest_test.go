package storetest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/repo/storetest"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

func TestMain(m *testing.M) {
	storetest.RunIfChild()
	os.Exit(m.Run())
}

func TestMemory(t *testing.T) {
	storetest.Run(t, storetest.Options{EveryError: true, New: func(t testing.TB) storetest.Store {
		mem := vfstest.NewMem()
		require.NoError(t, mem.Mkdir("/repo", 0o700))
		require.NoError(t, mem.SyncDir("/"))
		return storetest.Store{FS: mem, Dir: "/repo", Crash: func(seed int64) vfs.FS { return mem.CrashClone(seed) }}
	}})
}

func TestMachine(t *testing.T) {
	storetest.Run(t, storetest.Options{New: func(t testing.TB) storetest.Store {
		return storetest.Store{FS: vfs.OS(), Dir: t.TempDir(), Processes: true}
	}})
}
