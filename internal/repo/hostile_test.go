package repo

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// planted is what others put in the place of a name in the repository.
var planted = map[string]func(t *testing.T, at, outside, inside string) error{
	"a link to a directory outside": func(_ *testing.T, at, outside, _ string) error { return os.Symlink(outside, at) },
	"a link to a file outside": func(_ *testing.T, at, outside, _ string) error {
		return os.Symlink(filepath.Join(outside, "shop.duckdb"), at)
	},
	"a link to a backup inside": func(_ *testing.T, at, _, inside string) error { return os.Symlink(inside, at) },
	"a link to a file inside": func(_ *testing.T, at, _, inside string) error {
		return os.Symlink(filepath.Join(inside, "shop.duckdb"), at)
	},
	"a link to what is to be made outside": func(_ *testing.T, at, outside, _ string) error {
		return os.Symlink(filepath.Join(outside, "made"), at)
	},
	"a link to itself": func(_ *testing.T, at, _, _ string) error { return os.Symlink(at, at) },
	"a pipe":           func(_ *testing.T, at, _, _ string) error { return unix.Mkfifo(at, 0o600) },
	"a device": func(_ *testing.T, at, _, _ string) error {
		return unix.Mknod(at, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))
	},
	"a socket": func(t *testing.T, at, _, _ string) error {
		t.Chdir(filepath.Dir(at)) // the path of a socket is bounded
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		return unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Base(at)})
	},
	"a directory": func(_ *testing.T, at, _, _ string) error {
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(at, "file"), []byte("x"), 0o600)
	},
}

// TestWhatOthersPlant puts each of these in the place of each name that the
// repository uses, and does all there is to do. Nothing outside changes, nothing
// waits, each error has a kind, and the other backups stay as they are.
func TestWhatOthersPlant(t *testing.T) {
	for what, plant := range planted {
		t.Run(what, func(t *testing.T) {
			for _, place := range []string{
				"shop/ID", "shop/ID/manifest.json", "shop/ID/pin.json", "shop/ID/drills.json", "shop/ID/check.json", "shop/ID/removed.json",
				"shop/ID/SHA256SUMS", "shop/ID/shop.duckdb", "shop/ID/shop.duckdb.wal", "shop/ID/.lock",
				"shop/.staging", "shop/.staging/run-9", "shop/.staging/run-9/.lock", "shop/.staging/run-9/shop.duckdb", "shop/.staging/run-9/manifest.json",
				"shop/.staging/.gone-x", "shop/.trash", "shop/.trash/TRASHED", "shop/.trash/TRASHED/manifest.json", "shop/.trash/TRASHED/removed.json",
				"shop/.lock", "shop/.edit", "shop/.run", "shop/.told", "shop", ".probe-x",
			} {
				plantedAt(t, place, plant)
			}
		})
	}
}

func plantedAt(t *testing.T, place string, plant func(t *testing.T, at, outside, inside string) error) {
	t.Helper()
	top, err := os.MkdirTemp("/dev/shm", "planted") // nothing waits for a disk there
	require.NoError(t, err)
	defer os.RemoveAll(top)
	dir, outside := filepath.Join(top, "repository"), filepath.Join(top, "outside")
	for _, d := range []string{dir, outside, filepath.Join(outside, "sub")} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	for _, name := range []string{"shop.duckdb", "manifest.json", ".lock", "sub/file"} {
		require.NoError(t, os.WriteFile(filepath.Join(outside, name), []byte("theirs"), 0o600))
	}
	r, err := Open(vfs.OS(), dir)
	require.NoError(t, err)
	kept := mustBackup(t, r, "run-1", start, StateVerified)
	m := mustBackup(t, r, "run-2", start.Add(time.Hour), StateVerified)
	trashed := mustBackup(t, r, "run-3", start.Add(2*time.Hour), StateVerified)
	now := time.Now()
	require.NoError(t, r.Trash("shop", trashed.ID, "test", now, time.Hour))
	s, err := r.Stage("shop", "run-9")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	before := tree(t, outside)
	inside := tree(t, r.BackupDir("shop", kept.ID))

	at := filepath.Join(dir, strings.NewReplacer("ID", m.ID, "TRASHED", trashed.ID).Replace(place))
	require.NoError(t, os.RemoveAll(at))
	require.NoError(t, plant(t, at, outside, r.BackupDir("shop", kept.ID)))
	for name, err := range doAll(r, m.ID, trashed.ID, now) {
		if err != nil {
			assert.NotEqual(t, failure.Unexpected, failure.Of(err), "%s, %s: %v", place, name, err)
		}
	}
	require.Equal(t, before, tree(t, outside), "%s", place)
	if place == "shop" {
		return
	}
	require.Equal(t, inside, tree(t, r.BackupDir("shop", kept.ID)), "%s", place)
	list, _ := r.List("shop")
	require.Contains(t, ids(list), kept.ID, "%s", place)
}

// doAll does everything that can be done with a repository, about the backup id
// and the one in the trash.
func doAll(r *Repo, id, trashed string, now time.Time) map[string]error {
	does := map[string]error{}
	note := func(name string, err error) { does[name] = err }
	_, err := r.Databases()
	note("databases", err)
	note("writable", r.CheckWritable())
	_, err = r.List("shop")
	note("list", err)
	_, err = r.Get("shop", id)
	note("get", err)
	_, err = r.Get("shop", Latest)
	note("latest", err)
	rd, err := r.Read("shop", id)
	note("read", err)
	if err == nil {
		note("close", rd.Close())
	}
	_, err = r.Notes("shop", id)
	note("notes", err)
	note("pin", r.SetPin("shop", id, &Pin{Owner: "x", Reason: "y", At: now}))
	note("unpin", r.SetPin("shop", id, nil))
	note("drill", r.AddDrill("shop", id, Drill{At: now, Run: "x"}))
	note("check", r.SetCheck("shop", id, Check{At: now}))
	note("update", r.Update("shop", id, func(m *Manifest) error { m.State = StateRotten; return nil }))
	_, err = r.Strays("shop")
	note("strays", err)
	_, err = r.Stamps("shop")
	note("stamps", err)
	note("whole", r.Whole("shop", id, []File{{Name: "shop.duckdb", Bytes: 1}}))
	_, err = r.Told("shop")
	note("told", err)
	note("tell", r.EditTold("shop", func([]byte) ([]byte, error) { return []byte("told"), nil }))
	lease, err := r.Acquire("shop", "run-9", now)
	note("acquire", err)
	if err == nil {
		note("end", lease.End())
	}
	for _, key := range []string{"run-9", "run-10"} {
		note("stage "+key, stageAndCommit(r, key))
	}
	note("unstage", r.Unstage("shop", "run-9"))
	_, err = r.Trashed("shop")
	note("trashed", err)
	_, err = r.Sweep("shop", time.Hour, now)
	note("sweep", err)
	note("untrash", r.Untrash("shop", trashed))
	note("trash", r.Trash("shop", id, "test", now, time.Hour))
	note("remove", r.Remove("shop", id))
	_, err = r.Sweep("shop", 0, now.Add(2*time.Hour))
	note("sweep all", err)
	return does
}

func stageAndCommit(r *Repo, key string) error {
	s, err := r.Stage("shop", key)
	if err != nil {
		return err
	}
	defer s.Close()
	for name, text := range content(key) {
		path := filepath.Join(s.Dir(), name)
		if err := put(s.FS(), path, text); err != nil {
			return writeError(err, "write %s", path)
		}
	}
	return s.Commit(manifestOf(key, start.Add(5*time.Hour), StateVerified))
}

// tree is all that is below dir: names, modes, contents and times of change.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all[name] = info.Mode().String() + " " + info.ModTime().String()
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(name)
			all[name] += " " + string(text)
			return err
		}
		return nil
	}))
	return all
}

func ids(list []Manifest) []string {
	all := map[string]bool{}
	for _, m := range list {
		all[m.ID] = true
	}
	return slices.Sorted(maps.Keys(all))
}
