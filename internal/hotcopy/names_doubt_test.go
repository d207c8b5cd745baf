package hotcopy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// TestOwnerThatEndsIsNotAReplacedDatabase: the owner ends between the two looks at the locks, as every process that
// ends lets go of the database, whose descriptor is the older one, before its WAL.
func TestOwnerThatEndsIsNotAReplacedDatabase(t *testing.T) {
	before, _ := checkpointed(t)
	mem := vfstest.NewMem()
	require.NoError(t, mem.MkdirAll("/live", 0o700))
	require.NoError(t, mem.MkdirAll("/copy", 0o700))
	w := &writer{t: t, mem: mem}
	w.put(livePath, 0, before.db)
	w.put(livePath+".wal", 0, before.wal)
	require.NoError(t, mem.SetLockOwner(livePath, 11, true))
	require.NoError(t, mem.SetLockOwner(livePath+".wal", 11, true))
	looks := 0 // at the WAL's lock: in the first look, and in the last
	opts := held(mem, nil)
	opts.FS = vfstest.Intercept(mem, func(op vfstest.Op) error {
		switch {
		case op.Kind != vfstest.OpLockOwner:
		case op.Name == livePath+".wal":
			looks++
		case looks == 2:
			_ = mem.SetLockOwner(livePath, 0, false)
			_ = mem.SetLockOwner(livePath+".wal", 0, false)
		}
		return nil
	})
	res, err := Copy(t.Context(), opts)
	require.NoError(t, err)
	assert.Equal(t, "A", res.Rule)
}

// served shows the database as held by a process and its WAL as held by none.
type served struct{ vfs.FS }

func (s served) Open(name string) (vfs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return servedFile{f}, nil
}

type servedFile struct{ vfs.File }

func (f servedFile) Unwrap() vfs.File { return f.File }

func (f servedFile) LockOwner() (int, bool, error) {
	return 11, !strings.HasSuffix(f.Name(), ".wal"), nil
}

// TestWALBesideALinkThatIsNotTheOwners: a WAL that a crash of DuckDB 1.4 left beside a link; the service is now
// DuckDB 1.5, which has its WAL, none at the moment, beside the file.
func TestWALBesideALinkThatIsNotTheOwners(t *testing.T) {
	before, after := checkpointed(t)
	root := t.TempDir()
	for _, d := range []string{"real", "link", "copy"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, d), 0o700))
	}
	file, link := filepath.Join(root, "real/x.duckdb"), filepath.Join(root, "link/x.duckdb")
	require.NoError(t, os.WriteFile(file, after.db, 0o600))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.WriteFile(link+".wal", before.wal, 0o600))
	opts := Options{FS: served{vfs.OS()}, Path: link, Dir: filepath.Join(root, "copy"), Name: "x", Settle: 50 * time.Millisecond, MaxAttempts: 2}
	opts.opened = func(int, uint64, uint64) []string { return []string{file} }
	res, err := Copy(t.Context(), opts)
	if err == nil {
		assert.Zero(t, res.WALBytes, "the commits are in the file already: with them the copy has them twice")
		assert.NotEqual(t, "A", res.Rule)
	}
}
