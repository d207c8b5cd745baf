package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/check"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/retention"
	"canvasback/internal/vfs"
)

// years is a repository with a backup of each of the last 3652 days, the newest
// of yesterday, and two that are dated in the future.
type years struct {
	dir     string
	backups []retention.Backup // oldest first
	rotting string             // the ID of the one whose bytes have changed
}

const daysOfYears = 3652

var keepYears = []string{"--keep-daily", "7", "--keep-weekly", "5", "--keep-monthly", "12", "--keep-yearly", "10", "--keep-tag", "audit"}

// unsynced writes without waiting for the disk.
type unsynced struct{ vfs.FS }

func (u unsynced) Confine(dir string) (vfs.FS, error) {
	fsys, err := u.FS.Confine(dir)
	return unsynced{fsys}, err
}

func (u unsynced) SyncDir(string) error { return nil }

func (u unsynced) Open(name string) (vfs.File, error) {
	f, err := u.FS.Open(name)
	return unsyncedFile{f}, err
}

func (u unsynced) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := u.FS.OpenFile(name, flag, perm)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error { return nil }

// makeYears commits every backup in a repository of a few, as each commit reads
// all manifests there are, and moves it to the one of all by a rename.
func makeYears(t *testing.T) *years {
	t.Helper()
	y := &years{dir: yearsDir(t)}
	database := filepath.Join(y.dir, "made.duckdb")
	enginetest.Create(t, database, "ATTACH '"+filepath.Join(y.dir, "small.duckdb")+"' AS small (BLOCK_SIZE 16384)",
		"CREATE TABLE small.orders AS SELECT range AS id FROM range(100)")
	small := filepath.Join(y.dir, "small.duckdb")
	data, err := os.ReadFile(small)
	require.NoError(t, err)
	rotten := filepath.Join(y.dir, "rotten.duckdb")
	bad := slices.Clone(data)
	bad[len(bad)-1] ^= 1
	require.NoError(t, os.WriteFile(rotten, bad, 0o600))
	sum := sha256.Sum256(data)
	file := repo.File{Name: "shop.duckdb", Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}

	y.dir = filepath.Join(y.dir, "repo")
	require.NoError(t, os.MkdirAll(filepath.Join(y.dir, "shop"), 0o700))
	first := time.Now().UTC().Truncate(24 * time.Hour).Add(3*time.Hour - daysOfYears*24*time.Hour)
	days := []int{daysOfYears + 1, daysOfYears + 40}
	for day := range daysOfYears {
		days = append(days, day)
	}
	slices.Sort(days)
	var few *repo.Repo
	var fewDir string
	for i, day := range days {
		if i%32 == 0 {
			fewDir = filepath.Join(filepath.Dir(y.dir), fmt.Sprint("few-", i))
			require.NoError(t, os.Mkdir(fewDir, 0o700))
			few, err = repo.Open(unsynced{vfs.OS()}, fewDir)
			require.NoError(t, err)
		}
		m := manifestOfDay(day, first.AddDate(0, 0, day), file)
		s, err := few.Stage("shop", m.Run)
		require.NoError(t, err)
		from := small
		if day >= 40 && y.rotting == "" && m.State == repo.StateVerified {
			from, y.rotting = rotten, m.ID
		}
		require.NoError(t, os.Link(from, filepath.Join(s.Dir(), "shop.duckdb")))
		require.NoError(t, s.Commit(m))
		b := retention.Backup{ID: m.ID, Time: m.Started, State: string(m.State), Tags: m.Tags}
		if day == 1234 {
			b.Pin = &retention.Pin{Owner: "ann", Reason: "before the migration", At: m.Finished}
			require.NoError(t, few.SetPin("shop", m.ID, &repo.Pin{Owner: b.Pin.Owner, Reason: b.Pin.Reason, At: b.Pin.At}))
		}
		y.backups = append(y.backups, b)
		require.NoError(t, os.Rename(few.BackupDir("shop", m.ID), filepath.Join(y.dir, "shop", m.ID)))
	}
	return y
}

// yearsDir is in memory where that can be, as thousands of removals wait for
// the disk twice each.
func yearsDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "years")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// manifestOfDay is verified on most days; the ends of some months and years are
// not, so that another day stands for them.
func manifestOfDay(day int, started time.Time, file repo.File) *repo.Manifest {
	run := fmt.Sprint("day-", day)
	m := &repo.Manifest{
		Schema: repo.Schema, ID: repo.NewID(started, uint64(day)+1, run), Database: "shop", State: repo.StateVerified, Run: run,
		Started: started, Finished: started.Add(time.Minute),
		Source:       repo.Source{Path: "/srv/shop.duckdb", Bytes: file.Bytes, Iteration: uint64(day) + 1, StorageVersion: 64, BlockBytes: 16384},
		Acceptance:   repo.Acceptance{Rule: "C", Attempts: 1, Seconds: 1.5},
		Files:        []repo.File{file},
		Verification: &repo.Verification{Level: "full", Engine: "v1.5.6", At: started.Add(time.Minute), Tables: []repo.Table{{Name: "main.orders", Rows: 100}}},
		Tool:         "test",
	}
	tomorrow := started.AddDate(0, 0, 1)
	switch {
	case started.Month() == time.December && started.Day() == 31:
		m.State, m.Failure = repo.StateFailed, "a made-up failure"
	case tomorrow.Day() == 1 && started.Month()%2 == 0:
		m.State = repo.StateRotten
	case tomorrow.Day() == 1 && started.Month()%3 == 0:
		m.State = repo.StateStructure
	case day%50 == 17 || day == daysOfYears-3:
		m.State, m.Verification = repo.StateCopied, nil
	}
	if day%700 == 99 {
		m.Tags = []string{"audit"}
	}
	return m
}

// stays says by the calendar what the rules of keepYears keep: of each of the
// newest days, weeks, months and years that have one, the last verified backup;
// what is tagged, pinned or dated in the future; and of those that are not
// verified the newest of each kind.
func (y *years) stays(now time.Time) []string {
	kinds := []struct {
		left int
		name func(time.Time) string
	}{
		{7, func(t time.Time) string { return t.Format("2006-01-02") }},
		{5, func(t time.Time) string { year, week := t.ISOWeek(); return fmt.Sprint(year, " ", week) }},
		{12, func(t time.Time) string { return t.Format("2006-01") }},
		{10, func(t time.Time) string { return t.Format("2006") }},
	}
	seen := map[string]bool{}
	var ids []string
	for _, b := range slices.Backward(y.backups) {
		future := b.Time.After(now)
		keep := future || b.Pin != nil || b.State != "failed" && slices.Contains(b.Tags, "audit")
		if !future && b.State != "verified" && !seen[b.State] {
			keep, seen[b.State] = true, true
		}
		for i := range kinds {
			name := kinds[i].name(b.Time)
			if key := fmt.Sprint(i, name); !future && b.State == "verified" && kinds[i].left > 0 && !seen[key] {
				keep, seen[key] = true, true
				kinds[i].left--
			}
		}
		if keep {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// runYears runs a command in JSON, wants its exit status, and logs its time.
func runYears(t *testing.T, want int, doc any, args ...string) (errOut string) {
	t.Helper()
	begin := time.Now()
	status, out, errOut := run(t, t.Context(), append(args, "--json")...)
	t.Logf("starter %s: %.2f s", strings.Join(args, " "), time.Since(begin).Seconds())
	require.Equal(t, want, status, errOut)
	require.NoError(t, json.Unmarshal([]byte(out), doc))
	return errOut
}

func idsOf(docs []prunedDoc) []string {
	ids := []string{}
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	return ids
}

// TestYears lists, checks and prunes ten years of daily backups. What stays is
// what the retention decides of the same backups, and what the calendar says.
func TestYears(t *testing.T) {
	begin := time.Now()
	y := makeYears(t)
	t.Logf("%d backups made in %.2f s", len(y.backups), time.Since(begin).Seconds())
	on := []string{"--repository", y.dir, "--database", "shop"}

	var listed []backupDoc
	runYears(t, failure.ExitDone, &listed, append([]string{"list"}, on...)...)
	require.Len(t, listed, len(y.backups))
	for i, b := range y.backups {
		require.Equal(t, b.ID, listed[i].ID)
		require.Equal(t, b.State, string(listed[i].State))
	}

	// What is dated in the future was, by its date, read last. The one that rots
	// is among those that were not read for longest.
	var rep check.Report
	errOut := runYears(t, failure.ExitBad, &rep, append([]string{"check", "--share", "1/7"}, on...)...)
	assert.Contains(t, errOut, y.rotting)
	notFailed := 0
	for i, b := range y.backups {
		if b.State != string(repo.StateFailed) {
			notFailed++
		}
		if b.ID == y.rotting {
			y.backups[i].State = string(repo.StateRotten)
		}
	}
	assert.Len(t, rep.Checked, (notFailed+6)/7)
	assert.Equal(t, notFailed-len(rep.Checked), rep.Left)
	for _, o := range rep.Checked {
		assert.Equal(t, o.ID != y.rotting, o.Passed, o.ID)
	}

	y.prune(t, on)
}

// prune shows, confirms and shows again.
func (y *years) prune(t *testing.T, on []string) {
	now := time.Now()
	var kept []string
	policy := retention.Policy{Daily: 7, Weekly: 5, Monthly: 12, Yearly: 10, Tags: []string{"audit"}, MinVerified: 2}
	for _, d := range retention.Decide(now, y.backups, policy) {
		if d.Keep {
			kept = append(kept, d.ID)
		}
	}
	require.Equal(t, y.stays(now), kept)

	args := append(append([]string{"prune"}, on...), keepYears...)
	var shown, done, again pruneDoc
	runYears(t, failure.ExitDone, &shown, args...)
	assert.Equal(t, kept, idsOf(shown.Kept))
	assert.Len(t, shown.Removed, len(y.backups)-len(kept))
	assert.True(t, shown.NeedsForce)

	entries, err := os.ReadDir(filepath.Join(y.dir, "shop"))
	require.NoError(t, err)
	var refused struct{ Error errorDoc }
	runYears(t, failure.ExitFailed, &refused, append(args, "--confirm="+shown.Hash)...)
	assert.Equal(t, "BlastRadius", refused.Error.Kind)
	left, err := os.ReadDir(filepath.Join(y.dir, "shop"))
	require.NoError(t, err)
	assert.Equal(t, backupNames(entries), backupNames(left), "nothing went")

	runYears(t, failure.ExitDone, &done, append(args, "--confirm="+shown.Hash, "--force")...)
	assert.Equal(t, idsOf(shown.Removed), idsOf(done.Removed))
	left, err = os.ReadDir(filepath.Join(y.dir, "shop"))
	require.NoError(t, err)
	slices.Sort(kept)
	assert.Equal(t, kept, backupNames(left))

	runYears(t, failure.ExitDone, &again, args...)
	assert.Empty(t, again.Removed)
	assert.Empty(t, again.Confirm)
	assert.False(t, again.NeedsForce)
}

func backupNames(entries []os.DirEntry) []string {
	var names []string
	for _, e := range entries {
		if repo.ValidID(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}
