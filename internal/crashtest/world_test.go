package crashtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/restore"
	"canvasback/internal/vfs"
)

// world is a file system with a live database, its repository, and an older
// database that a restore replaces, all below root.
type world struct {
	fs    vfs.FS
	root  string
	level string        // of verification: "bytes" where no engine can read
	ahead time.Duration // the clock's, of the machine's
	keep  int           // verified backups that a run leaves; 0: keepLast
	// Where the live database and the restored one are; empty: below root.
	sourceFile, targetFile string
	clone                  string // what copy.clone says; empty: auto
}

func (w world) on(fsys vfs.FS) world { w.fs = fsys; return w }

func (w world) later(d time.Duration) world { w.ahead += d; return w }

func (w world) now() time.Time { return time.Now().Add(w.ahead) }

func (w world) source() string {
	return cmp.Or(w.sourceFile, filepath.Join(w.root, "live", "shop.duckdb"))
}

func (w world) repository() string { return filepath.Join(w.root, "repo") }

func (w world) target() string {
	return cmp.Or(w.targetFile, filepath.Join(w.root, "target", "app.duckdb"))
}

// keepLast of the worlds: one of their verified backups goes when the next is
// verified.
const keepLast = 3

// config has the defaults but for what makes a test slow, and the options of w.
func (w world) config() (*config.Config, error) {
	cfg, err := config.FromFlags([]string{"shop=" + w.source()}, w.repository(), "h")
	if err != nil {
		return nil, err
	}
	d := &cfg.Databases[0]
	d.Copy.Settle, d.Copy.Attempts, d.Copy.Clone = config.Duration(20*time.Millisecond), 2, cmp.Or(w.clone, config.CloneAuto)
	d.Verify.Level, d.Verify.Threads = w.level, 1
	d.Retention.KeepLast = cmp.Or(w.keep, keepLast)
	return cfg, nil
}

func (w world) runner() (*backup.Runner, error) {
	cfg, err := w.config()
	if err != nil {
		return nil, err
	}
	return backup.NewOn(w.fs, cfg, w.now)
}

// versions of the database, oldest first. Each has 1000 rows times its number
// in a checkpoint, and its number of commits of one row in the WAL.
const versions = 4

func rowsOf(version int) int64 { return int64(1001 * version) }

// content of a database file and its WAL.
type content struct{ db, wal string }

// makeContent makes a version with a real engine. Only a writer can replay the
// WAL of the newest two. Blocks are the smallest there are.
func makeContent(t testing.TB, version int) content {
	t.Helper()
	dir := t.TempDir()
	stmts := []string{
		"ATTACH 'shop.duckdb' AS shop (BLOCK_SIZE 16384)",
		fmt.Sprintf("CREATE TABLE shop.t AS SELECT range AS i FROM range(%d)", 1000*version), "CHECKPOINT shop",
	}
	for i := range version {
		stmts = append(stmts, fmt.Sprintf("INSERT INTO shop.t VALUES (%d)", -1-i))
	}
	if version >= versions-1 {
		stmts = append(stmts, "CREATE INDEX ti ON shop.t(i)")
	}
	enginetest.CreateKilled(t, filepath.Join(dir, "beside.duckdb"), stmts...)
	var c content
	for name, to := range map[string]*string{"shop.duckdb": &c.db, "shop.duckdb.wal": &c.wal} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		*to = string(data)
	}
	require.NotEmpty(t, c.wal)
	return c
}

// oldTarget is what stands where a restore goes.
var oldTarget = content{"the old database", "the old WAL"}

// makeWorld takes a verified backup of each version but the newest, one day
// after the other; the newest one is the live database.
func makeWorld(t testing.TB, fsys vfs.FS, root, level string, all []content) world {
	t.Helper()
	w := world{fs: fsys, root: root, level: level}
	for _, dir := range []string{"live", "repo", "target"} {
		require.NoError(t, fsys.MkdirAll(filepath.Join(root, dir), 0o700))
	}
	live := len(all) - 1
	for i, c := range all[:live] {
		require.NoError(t, w.put(w.source(), c))
		past := w.later(-time.Duration(live-i) * 24 * time.Hour)
		require.NoError(t, past.backup(runOf(i+1)))
	}
	require.NoError(t, w.put(w.source(), all[live]))
	require.NoError(t, w.put(w.target(), oldTarget))
	for dir := root; ; dir = filepath.Dir(dir) {
		require.NoError(t, fsys.SyncDir(dir))
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return w
}

// runOf names the run that backed a version up; every other run met the newest.
func runOf(version int) string { return fmt.Sprintf("old%d", version) }

func versionOf(run string) int {
	for v := 1; v <= versions; v++ {
		if run == runOf(v)+"-1" {
			return v
		}
	}
	return versions
}

// put writes a database and its WAL, durably.
func (w world) put(name string, c content) error {
	for _, f := range []struct{ name, data string }{{name, c.db}, {name + ".wal", c.wal}} {
		if err := vfs.WriteAtomic(w.fs, f.name, []byte(f.data), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// get reads a database and its WAL; "-" stands for a file that is not there.
func (w world) get(name string) (content, error) {
	db, err := w.read(name)
	if err != nil {
		return content{}, err
	}
	wal, err := w.read(name + ".wal")
	return content{db, wal}, err
}

func (w world) read(name string) (string, error) {
	f, err := w.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "-", nil
	}
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(f)
	return string(data), errors.Join(err, f.Close())
}

func (c content) sum() string {
	sum := sha256.Sum256([]byte(c.db))
	rest := sha256.Sum256([]byte(c.wal))
	return hex.EncodeToString(sum[:]) + hex.EncodeToString(rest[:])
}

// backup is one run of three steps, as the workflow takes them.
func (w world) backup(run string) error {
	r, err := w.runner()
	if err != nil {
		return err
	}
	made, err := r.Copy(context.Background(), job.CopyInput{Database: "shop", Run: run, Round: 1}, nil)
	if err != nil {
		return err
	}
	if _, err := r.Verify(context.Background(), job.VerifyInput{Database: "shop", ID: made.ID, Run: run}, nil); err != nil {
		return err
	}
	_, err = r.Prune(context.Background(), job.PruneInput{Database: "shop", Run: run})
	return err
}

// abandon is what a workflow ends with where a step has failed for good.
func (w world) abandon(run string) error {
	r, err := w.runner()
	if err != nil {
		return err
	}
	return r.Abandon(context.Background(), job.AbandonInput{Database: "shop", Run: run})
}

// list opens the repository afresh and lists its backups.
func (w world) list() ([]repo.Manifest, error) {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return nil, err
	}
	return r.List("shop")
}

// trashed lists what can still be brought back.
func (w world) trashed() ([]repo.Trashed, error) {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return nil, err
	}
	return r.Trashed("shop")
}

// monthLater is when sweep looks, and longGrace for how long a backup is kept
// in the trash that is to survive it.
const (
	monthLater = 30 * 24 * time.Hour
	longGrace  = 3 * monthLater
)

// sweep removes, a month later, whatever runs have left.
func (w world) sweep() error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	_, err = r.Sweep("shop", 24*time.Hour, w.later(monthLater).now())
	return err
}

func (w world) restore(backup string, keepOld bool, scan scanFunc) error {
	r, err := repo.Open(w.fs, w.repository())
	if err != nil {
		return err
	}
	_, err = restore.Run(context.Background(), restore.Request{
		FS: w.fs, Repo: r, Database: "shop", Backup: backup, Target: w.target(), KeepOld: keepOld, Scan: scan, Now: w.now(),
	})
	return err
}

type scanFunc = func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error)
