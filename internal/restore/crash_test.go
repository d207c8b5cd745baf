package restore

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

// scene is a state of the world before a restore.
type scene struct {
	name    string
	backup  map[string]string
	keepOld bool // and an old database with two WAL files is there
}

var scenes = []scene{
	{"with WAL to an absent target", newFiles, false},
	{"without WAL to an absent target", map[string]string{"": "new database"}, false},
	{"with WAL over an old database", newFiles, true},
	{"without WAL over an old database", map[string]string{"": "new database"}, true},
}

func (s scene) mem(t testing.TB) *vfstest.Mem {
	mem := newMem(t, s.backup, repo.StateVerified)
	if s.keepOld {
		addOld(t, mem)
	}
	return mem
}

func (s scene) run(t testing.TB, fsys vfs.FS, mem *vfstest.Mem) (*Result, error) {
	req := request(t, fsys, mem)
	req.KeepOld = s.keepOld
	return Run(t.Context(), req)
}

// isOld and isNew: the target and all that DuckDB would take for its WAL are
// of one database.
func isOld(t testing.TB, mem *vfstest.Mem, path string) bool { return is(t, mem, path, oldFiles) }

func (s scene) isNew(t testing.TB, mem *vfstest.Mem) bool { return is(t, mem, target, s.backup) }

func is(t testing.TB, mem *vfstest.Mem, path string, files map[string]string) bool {
	for _, suffix := range []string{"", ".wal", ".wal.checkpoint", ".wal.recovery"} {
		want, ok := files[suffix]
		if !ok {
			want = "-"
		}
		if get(t, mem, path+suffix) != want {
			return false
		}
	}
	return true
}

// check holds the state to the promise of the package comment.
func (s scene) check(t testing.TB, mem *vfstest.Mem, context ...any) {
	t.Helper()
	absent := get(t, mem, target) == "-"
	switch {
	case !s.keepOld:
		require.True(t, absent || s.isNew(t, mem), context...)
	case absent || s.isNew(t, mem):
		require.True(t, isOld(t, mem, aside), append([]any{"the old database is complete at its new name"}, context...)...)
	default:
		require.True(t, isOld(t, mem, target), context...)
	}
}

// again restores once more, as the operator does, and wants the new database.
func (s scene) again(t testing.TB, mem *vfstest.Mem, context ...any) {
	t.Helper()
	if s.isNew(t, mem) {
		return
	}
	_, err := s.run(t, mem, mem)
	require.NoError(t, err, context...)
	require.True(t, s.isNew(t, mem), context...)
	require.True(t, s.isNew(t, mem.CrashClone(0)), "durable on return")
}

func TestRestoreUnderFailure(t *testing.T) {
	all := []vfstest.Kind{
		vfstest.OpOpen, vfstest.OpCreate, vfstest.OpStat, vfstest.OpReadDir, vfstest.OpMkdir, vfstest.OpRename, vfstest.OpRemove, vfstest.OpSyncDir,
		vfstest.OpFreeBytes, vfstest.OpRead, vfstest.OpWrite, vfstest.OpTruncate, vfstest.OpSync, vfstest.OpLock, vfstest.OpLockOwner, vfstest.OpClose,
	}
	for _, s := range scenes {
		for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
			t.Run(s.name+"/"+errno.Error(), func(t *testing.T) {
				for n := 1; ; n++ {
					mem := s.mem(t)
					bad := vfstest.FailNth(mem, n, errno, all...)
					_, err := s.run(t, bad, mem)
					s.check(t, mem, "operation %d, %v: %v", n, bad.Op(), err)
					if err == nil {
						require.True(t, s.isNew(t, mem.CrashClone(0)), "no error, so it is there: operation %d, %v", n, bad.Op())
					}
					s.again(t, mem, "operation %d, %v", n, bad.Op())
					if !bad.Fired() {
						require.NoError(t, err)
						require.Greater(t, n, 20, "the sweep saw operations")
						return
					}
				}
			})
		}
	}
}

func TestRestoreUnderCrash(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			mem := s.mem(t)
			points := 0
			crash := func(op vfstest.Op) {
				s.check(t, mem, "killed before %v", op)
				for seed := range int64(6) {
					c := mem.CrashClone(seed)
					s.check(t, c, "point %d, before %v, seed %d", points, op, seed)
					s.again(t, c, "point %d, before %v, seed %d", points, op, seed)
				}
			}
			fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
				if op.Mutates() {
					points++
					crash(op)
				}
				return nil
			})
			_, err := s.run(t, fsys, mem)
			require.NoError(t, err)
			crash(vfstest.Op{})
			require.True(t, s.isNew(t, mem.CrashClone(0)))
			require.Greater(t, points, 10, "the sweep saw operations")
		})
	}
}
