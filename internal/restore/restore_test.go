package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
	"canvasback/internal/vfs/vfstest"
)

const target = "/data/shop.duckdb"

var (
	start = time.Date(2026, 11, 23, 3, 46, 0, 0, time.UTC)
	aside = target + ".before-20261123T120000Z"
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// files of the old database and of the backup, by suffix.
var (
	oldFiles = map[string]string{"": "old database", ".wal": "old wal", ".wal.checkpoint": "old checkpoint wal"}
	newFiles = map[string]string{"": "new database", ".wal": "new wal"}
)

func put(t testing.TB, fsys vfs.FS, name, text string) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, fsys.SyncDir(filepath.Dir(name)))
}

// get returns the content, "-" where there is no file.
func get(t testing.TB, fsys vfs.FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(data)
}

// tableOf stands for a whole scan: its fingerprint is of the file and its WAL.
func tableOf(db, wal string) []repo.Table {
	sum := sha256.Sum256([]byte(db + "|" + wal))
	return []repo.Table{{Name: "main.orders", Rows: int64(len(db)), Fingerprint: hex.EncodeToString(sum[:16])}}
}

func scanner(t testing.TB, fsys vfs.FS) func(context.Context, string, bool) ([]repo.Table, error) {
	return func(_ context.Context, path string, readWrite bool) ([]repo.Table, error) {
		return tableOf(get(t, fsys, path), get(t, fsys, path+".wal")), nil
	}
}

// newMem holds a repository with one backup, and /data.
func newMem(t testing.TB, files map[string]string, state repo.State) *vfstest.Mem {
	t.Helper()
	mem := vfstest.NewMem()
	require.NoError(t, mem.Mkdir("/repo", 0o700))
	require.NoError(t, mem.Mkdir("/data", 0o755))
	require.NoError(t, mem.SyncDir("/"))
	addBackup(t, mem, "/repo", files, state)
	return mem
}

func addBackup(t testing.TB, fsys vfs.FS, dir string, files map[string]string, state repo.State) *repo.Manifest {
	t.Helper()
	r, err := repo.Open(fsys, dir)
	require.NoError(t, err)
	s, err := r.Stage("shop", "run-1")
	require.NoError(t, err)
	m := &repo.Manifest{Schema: repo.Schema, ID: repo.NewID(start, 42, "run-1"), Database: "shop", State: state, Run: "run-1", Started: start}
	wal := "-"
	for _, suffix := range []string{"", ".wal"} {
		text, ok := files[suffix]
		if !ok {
			continue
		}
		if suffix == ".wal" {
			wal = text
		}
		name := "shop.duckdb" + suffix
		put(t, fsys, filepath.Join(s.Dir(), name), text)
		sum := sha256.Sum256([]byte(text))
		m.Files = append(m.Files, repo.File{Name: name, Bytes: int64(len(text)), SHA256: hex.EncodeToString(sum[:])})
	}
	m.Verification = &repo.Verification{Level: "full", Fingerprints: engine.FingerprintVersion, Tables: tableOf(files[""], wal)}
	require.NoError(t, s.Commit(m))
	return m
}

func addOld(t testing.TB, mem *vfstest.Mem) {
	for suffix, text := range oldFiles {
		put(t, mem, target+suffix, text)
	}
}

// request works through fsys and scans through mem.
func request(t testing.TB, fsys vfs.FS, mem *vfstest.Mem) Request {
	t.Helper()
	r, err := repo.Open(mem, "/repo")
	require.NoError(t, err)
	return Request{FS: fsys, Repo: r, Database: "shop", Backup: repo.Latest, Target: target, Scan: scanner(t, mem), Now: noon}
}

func requireKind(t testing.TB, kind *failure.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind.Name, failure.Of(err).Name, "%v", err)
}

func names(t testing.TB, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRestoreToAnAbsentTarget(t *testing.T) {
	for name, files := range map[string]map[string]string{"with WAL": newFiles, "without": {"": "new database"}} {
		t.Run(name, func(t *testing.T) {
			mem := newMem(t, files, repo.StateVerified)
			req := request(t, mem, mem)
			var last, total int64
			req.Progress = func(done, all int64) { last, total = done, all }
			res, err := Run(t.Context(), req)
			require.NoError(t, err)
			var want []string
			var bytes int64
			for suffix, text := range files {
				assert.Equal(t, text, get(t, mem, target+suffix))
				bytes += int64(len(text))
				want = append(want, "shop.duckdb"+suffix)
			}
			assert.ElementsMatch(t, want, names(t, mem, "/data"), "nothing else is left")
			assert.Equal(t, bytes, res.Bytes)
			assert.Equal(t, []int64{bytes, bytes}, []int64{last, total})
			assert.Equal(t, repo.NewID(start, 42, "run-1"), res.ID)
			assert.Equal(t, target, res.Target)
			assert.Len(t, res.Files, len(files))
			assert.Len(t, res.Tables, 1)
			assert.Empty(t, res.MovedAside)
		})
	}
}

func TestRestoreKeepsTheOldAside(t *testing.T) {
	mem := newMem(t, map[string]string{"": "new database"}, repo.StateVerified)
	addOld(t, mem)
	req := request(t, mem, mem)
	req.KeepOld = true
	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, []string{aside, aside + ".wal", aside + ".wal.checkpoint"}, res.MovedAside)
	assert.Equal(t, "new database", get(t, mem, target))
	for suffix, text := range oldFiles {
		assert.Equal(t, text, get(t, mem, aside+suffix))
		if suffix != "" {
			assert.Equal(t, "-", get(t, mem, target+suffix), "no old WAL beside the new database")
		}
	}
	info, err := mem.Stat(target)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode, "the old one's permissions")

	res, err = Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, []string{aside + "-2"}, res.MovedAside, "a name of its own in the same second")
}

func TestRestoreRefuses(t *testing.T) {
	tests := []struct {
		name    string
		arrange func(t *testing.T, mem *vfstest.Mem, req *Request)
		kind    *failure.Kind
		want    string
	}{
		{"a target that exists", func(t *testing.T, mem *vfstest.Mem, req *Request) { put(t, mem, target, "x") }, failure.TargetExists, target + " exists"},
		{"a WAL at the target", func(t *testing.T, mem *vfstest.Mem, req *Request) { put(t, mem, target+".wal", "x") }, failure.TargetExists, target + ".wal exists"},
		{"a checkpoint WAL at the target", func(t *testing.T, mem *vfstest.Mem, req *Request) { put(t, mem, target+".wal.checkpoint", "x") }, failure.TargetExists, target + ".wal.checkpoint exists"},
		{"a target in use", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			addOld(t, mem)
			req.KeepOld = true
			require.NoError(t, mem.SetLockOwner(target, 77, true))
		}, failure.TargetInUse, "process 77 has " + target + " open"},
		{"a target in use from another PID namespace", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			addOld(t, mem)
			req.KeepOld = true
			require.NoError(t, mem.SetLockOwner(target, 0, true))
		}, failure.TargetInUse, "outside this PID namespace"},
		{"a directory as target", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			require.NoError(t, mem.Mkdir(target, 0o700))
			req.KeepOld = true
		}, failure.TargetBad, target + " is a directory"},
		{"a target without a directory", func(t *testing.T, mem *vfstest.Mem, req *Request) { req.Target = "/none/x" }, failure.TargetBad, "/none"},
		{"a target below a file", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			put(t, mem, "/data/f", "x")
			req.Target = "/data/f/x"
		}, failure.TargetBad, "/data/f is not a directory"},
		{"no target", func(t *testing.T, mem *vfstest.Mem, req *Request) { req.Target = "" }, failure.TargetBad, "does not name a file"},
		{"a target in the repository", func(t *testing.T, mem *vfstest.Mem, req *Request) { req.Target = "/repo/shop/x" }, failure.TargetBad, "inside the repository"},
		{"a full disk", func(t *testing.T, mem *vfstest.Mem, req *Request) { mem.SetFree(18) }, failure.TargetBad, "18 bytes free, the restore needs 19"},
		{"an unknown backup", func(t *testing.T, mem *vfstest.Mem, req *Request) { req.Backup = repo.NewID(start, 1, "x") }, failure.UnknownBackup, "no backup"},
		{"an unknown database", func(t *testing.T, mem *vfstest.Mem, req *Request) { req.Database = "none" }, failure.UnknownDatabase, "none"},
		{"a directory that cannot be written", func(t *testing.T, mem *vfstest.Mem, req *Request) { req.FS = vfstest.FailNth(mem, 1, syscall.EACCES) }, failure.TargetBad, "/data"},
		{"another restore to the same target", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			require.NoError(t, mem.Mkdir("/data/.shop.duckdb.restore", 0o700))
			lock, err := vfs.LockFile(mem, "/data/.shop.duckdb.restore/.lock", 0o600)
			require.NoError(t, err)
			require.NotNil(t, lock)
		}, failure.TargetInUse, "another restore to " + target},
		{"a flipped byte in the backup", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			put(t, mem, backupFile(""), "new databasf")
		}, failure.BackupBad, backupFile("") + " has SHA-256"},
		{"a shortened WAL in the backup", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			put(t, mem, backupFile(".wal"), "new")
		}, failure.BackupBad, backupFile(".wal") + " has 3 bytes, its manifest says 7"},
		{"a file missing from the backup", func(t *testing.T, mem *vfstest.Mem, req *Request) {
			require.NoError(t, mem.Remove(backupFile(".wal")))
		}, failure.BackupBad, backupFile(".wal")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mem := newMem(t, newFiles, repo.StateVerified)
			req := request(t, mem, mem)
			tt.arrange(t, mem, &req)
			before := snapshot(t, mem)
			res, err := Run(t.Context(), req)
			requireKind(t, tt.kind, err)
			assert.ErrorContains(t, err, tt.want)
			assert.Nil(t, res)
			assert.Equal(t, before, snapshot(t, mem), "nothing is changed or left behind")
		})
	}
}

func backupFile(suffix string) string {
	return filepath.Join("/repo/shop", repo.NewID(start, 42, "run-1"), "shop.duckdb"+suffix)
}

// snapshot is the content of every file in /data.
func snapshot(t testing.TB, mem *vfstest.Mem) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range names(t, mem, "/data") {
		if info, err := mem.Stat("/data/" + name); err == nil && info.Mode.IsRegular() {
			all[name] = get(t, mem, "/data/"+name)
		} else {
			all[name] = "directory"
		}
	}
	return all
}

func TestRestoreOfUnverified(t *testing.T) {
	for _, state := range []repo.State{repo.StateCopied, repo.StateStructure, repo.StateFailed} {
		mem := newMem(t, newFiles, state)
		req := request(t, mem, mem)
		req.Backup = repo.NewID(start, 42, "run-1")
		_, err := Run(t.Context(), req)
		requireKind(t, failure.BackupBad, err)
		assert.ErrorContains(t, err, string(state))
		req.AllowUnverified = true
		_, err = Run(t.Context(), req)
		require.NoError(t, err)
		assert.Equal(t, "new database", get(t, mem, target))
	}
}

// A fingerprint of another form says nothing, and an engine that cannot read the
// file leaves it in place unchecked.
func TestRestoreThatCannotBeCompared(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	req := request(t, mem, mem)
	m, err := req.Repo.Get(req.Database, req.Backup)
	require.NoError(t, err)
	require.NoError(t, req.Repo.Update(req.Database, m.ID, func(m *repo.Manifest) error { m.Verification.Fingerprints--; return nil }))
	got := slices.Clone(m.Verification.Tables)
	got[0].Fingerprint = "00"
	req.Scan = func(context.Context, string, bool) ([]repo.Table, error) { return got, nil }
	_, err = Run(t.Context(), req)
	require.NoError(t, err)

	req = request(t, mem, mem)
	req.Target += ".2"
	req.Scan = func(context.Context, string, bool) ([]repo.Table, error) {
		return nil, engineFailure(t.Context(), req.Target, engine.ErrTooNew)
	}
	res, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Contains(t, res.Unchecked, "its bytes are those that were verified")
}

func TestRestoreThatReadsDifferently(t *testing.T) {
	good := tableOf("new database", "new wal")
	changed := func(edit func(*repo.Table)) []repo.Table {
		c := []repo.Table{good[0]}
		edit(&c[0])
		return c
	}
	tests := []struct {
		name string
		got  []repo.Table
		want string
	}{
		{"fewer rows", changed(func(t *repo.Table) { t.Rows = 3 }), "table main.orders has 3 rows, then 12"},
		{"another fingerprint", changed(func(t *repo.Table) { t.Fingerprint = "00" }), "table main.orders has fingerprint 00"},
		{"a table missing", nil, "table main.orders is missing"},
		{"a table more", append(changed(func(*repo.Table) {}), repo.Table{Name: "main.x"}), "table main.x was not there"},
		{"a table renamed", changed(func(t *repo.Table) { t.Name = "main.a" }), "table main.a was not there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mem := newMem(t, newFiles, repo.StateVerified)
			req := request(t, mem, mem)
			req.Scan = func(context.Context, string, bool) ([]repo.Table, error) { return tt.got, nil }
			res, err := Run(t.Context(), req)
			requireKind(t, failure.BackupBad, err)
			assert.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, target+" is in place")
			require.NotNil(t, res)
			assert.Equal(t, "new database", get(t, mem, target), "left in place")
			assert.Len(t, names(t, mem, "/data"), 2)
		})
	}
}

func TestRestoreWhoseScanFails(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	req := request(t, mem, mem)
	req.Scan = func(context.Context, string, bool) ([]repo.Table, error) { return nil, errors.New("no memory") }
	_, err := Run(t.Context(), req)
	requireKind(t, failure.Unexpected, err)
	assert.ErrorContains(t, err, "no memory")
	assert.Len(t, names(t, mem, "/data"), 2)
}

// TestRestoreScansAScratchCopyWhereAWriterIsNeeded: the WAL here is none that
// can be judged, so the restored pair itself is not opened.
func TestRestoreScansAScratchCopyWhereAWriterIsNeeded(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	req := request(t, mem, mem)
	req.Scan = func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
		assert.True(t, readWrite)
		assert.NotEqual(t, target, path)
		tables := tableOf(get(t, mem, path), get(t, mem, path+".wal"))
		put(t, mem, path, "checkpointed")
		require.NoError(t, mem.Remove(path+".wal"))
		return tables, nil
	}
	_, err := Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "new database", get(t, mem, target))
	assert.Equal(t, "new wal", get(t, mem, target+".wal"))
	assert.Len(t, names(t, mem, "/data"), 2)

	mem = newMem(t, map[string]string{"": "new database"}, repo.StateVerified)
	req = request(t, mem, mem)
	req.Scan = func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error) {
		assert.False(t, readWrite)
		assert.Equal(t, target, path, "without a WAL there is nothing to replay")
		return scanner(t, mem)(ctx, path, readWrite)
	}
	_, err = Run(t.Context(), req)
	require.NoError(t, err)
}

func TestRestoreInterrupted(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	ctx, cancel := context.WithCancel(t.Context())
	req := request(t, mem, mem)
	req.Progress = func(done, total int64) {
		if done > 0 {
			cancel()
		}
	}
	_, err := Run(ctx, req)
	requireKind(t, failure.Interrupted, err)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, names(t, mem, "/data"))
}

func TestOwnerThatOpensTheTargetWhileItIsMoved(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	addOld(t, mem)
	before := snapshot(t, mem)
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpRename && op.Name == target {
			return mem.SetLockOwner(target, 99, true)
		}
		return nil
	})
	req := request(t, fsys, mem)
	req.KeepOld = true
	_, err := Run(t.Context(), req)
	requireKind(t, failure.TargetInUse, err)
	assert.Equal(t, before, snapshot(t, mem), "moved back")
}

func TestTargetMadeBySomebodyElseMeanwhile(t *testing.T) {
	mem := newMem(t, newFiles, repo.StateVerified)
	fsys := vfstest.Intercept(mem, func(op vfstest.Op) error {
		if op.Kind == vfstest.OpRename && strings.HasSuffix(op.Name, stagedWAL) {
			put(t, mem, target, "somebody else's")
		}
		return nil
	})
	_, err := Run(t.Context(), request(t, fsys, mem))
	requireKind(t, failure.TargetExists, err)
	assert.Equal(t, "somebody else's", get(t, mem, target))
}

func TestRestoreKeepsHoles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "repo"), 0o700))
	rng := rand.New(rand.NewPCG(1, 1))
	data := make([]byte, 8<<20+123)
	for i := range copyBytes + 5000 {
		data[i] = byte(rng.IntN(256))
	}
	m := addBackup(t, vfs.OS(), filepath.Join(dir, "repo"), map[string]string{"": string(data)}, repo.StateVerified)
	r, err := repo.Open(vfs.OS(), filepath.Join(dir, "repo"))
	require.NoError(t, err)
	to := filepath.Join(dir, "restored.duckdb")
	_, err = Run(t.Context(), Request{FS: vfs.OS(), Repo: r, Database: "shop", Backup: m.ID, Target: to})
	require.NoError(t, err)
	got, err := os.ReadFile(to)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	fi, err := os.Stat(to)
	require.NoError(t, err)
	assert.Less(t, fi.Sys().(*syscall.Stat_t).Blocks*512, int64(4<<20), "stretches of zeros take no space")
	assert.Equal(t, fs.FileMode(0o600), fi.Mode())
}
