package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/engine/enginetest"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// drills is the evidence beside the backup.
func drills(t *testing.T, r *backup.Runner, id string) []repo.Drill {
	t.Helper()
	notes, err := r.Repo.Notes("shop", id)
	require.NoError(t, err)
	return notes.Drills
}

// scratchIsEmpty holds the drills to leave nothing behind.
func scratchIsEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "shop", ".staging", "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func backupID(t *testing.T, r *backup.Runner) string {
	t.Helper()
	sum, err := r.Backup(context.Background(), "shop", nil)
	require.NoError(t, err)
	return sum.Manifest.ID
}

var many = config.Assertion{Name: "all there", SQL: "SELECT count(*) FROM orders", Expect: "50001", Timeout: config.Duration(1e10)}

func TestDrill(t *testing.T) {
	outside := t.TempDir()
	for name, change := range map[string]func(*config.Database){
		"in the repository": func(*config.Database) {},
		"in a directory":    func(d *config.Database) { d.Drill.Directory = outside },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRunner(t, func(d *config.Database) {
				d.Assertions = []config.Assertion{many}
				d.Drill.Level = config.LevelAssert
				change(d)
			}, orders...)
			id := backupID(t, r)
			var steps []string
			res, err := r.Drill(context.Background(), job.DrillInput{Database: "shop"}, func(p job.Progress) {
				if len(steps) == 0 || steps[len(steps)-1] != p.Phase {
					steps = append(steps, p.Phase)
				}
			})
			require.NoError(t, err)
			assert.Equal(t, id, res.ID)
			assert.Equal(t, "assert", res.Level)
			assert.Equal(t, int64(50001), res.Rows)
			assert.Equal(t, 1, res.Assertions)
			assert.Positive(t, res.RestoreSeconds)
			assert.Positive(t, res.BytesPerSecond)
			assert.Contains(t, steps, "restore")
			assert.Contains(t, steps, "read")

			all := drills(t, r, id)
			require.Len(t, all, 1)
			d := all[0]
			assert.True(t, d.Passed)
			assert.Equal(t, res.Bytes, d.Bytes)
			assert.Equal(t, res.Rows, d.Rows)
			assert.Equal(t, []repo.Assertion{{Name: "all there", Got: "50001", Want: "50001", Passed: true}}, d.Assertions)
			scratchIsEmpty(t, r.Repo.Dir())
			scratchIsEmpty(t, outside)

			_, err = r.Drill(context.Background(), job.DrillInput{Database: "shop"}, nil)
			require.NoError(t, err)
			assert.Len(t, drills(t, r, id), 2)
			m, err := r.Repo.Get("shop", id)
			require.NoError(t, err)
			assert.Equal(t, repo.StateVerified, m.State)
		})
	}
}

func TestDrillFails(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, r *backup.Runner, id string)
		kind   *failure.Kind
		text   string
	}{
		{"a byte changed in the repository", func(t *testing.T, r *backup.Runner, id string) {
			path := filepath.Join(r.Repo.BackupDir("shop", id), "shop.duckdb")
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data[300000] ^= 1
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}, failure.DrillFailed, "SHA-256"},
		{"an assertion does not hold", func(t *testing.T, r *backup.Runner, _ string) {
			d := &r.Config.Databases[0]
			d.Drill.Level = config.LevelAssert
			d.Assertions = []config.Assertion{{Name: "none", SQL: "SELECT count(*) FROM orders", Expect: "0", Timeout: config.Duration(1e10)}}
		}, failure.DrillFailed, `assertion "none": got "50001", want "0"`},
		{"the tables are not those of the verification", func(t *testing.T, r *backup.Runner, id string) {
			require.NoError(t, r.Repo.Update("shop", id, func(m *repo.Manifest) error {
				m.Verification.Tables[0].Rows++
				return nil
			}))
		}, failure.DrillFailed, "50001 rows, then 50002"},
		{"no time to read it", func(t *testing.T, r *backup.Runner, _ string) {
			r.Config.Databases[0].Verify.Timeout = 1
		}, failure.VerifyTimeout, "killed after"},
		{"the scratch directory is not there", func(t *testing.T, r *backup.Runner, _ string) {
			r.Config.Databases[0].Drill.Directory = filepath.Join(r.Repo.Dir(), "..", "nowhere")
		}, failure.RepoMissing, "nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, nil, orders...)
			id := backupID(t, r)
			tt.change(t, r, id)
			_, err := r.Drill(context.Background(), job.DrillInput{Database: "shop"}, nil)
			require.Error(t, err)
			assert.Equal(t, tt.kind, failure.Of(err), err)
			assert.ErrorContains(t, err, tt.text)
			scratchIsEmpty(t, r.Repo.Dir())
			all := drills(t, r, id)
			if tt.kind == failure.RepoMissing {
				assert.Empty(t, all, "nothing was tried")
				return
			}
			require.Len(t, all, 1)
			assert.False(t, all[0].Passed)
			assert.Contains(t, all[0].Failure, tt.text)
		})
	}
}

func TestDrillThatIsInterruptedLeavesNothing(t *testing.T) {
	r := newRunner(t, nil, orders...)
	id := backupID(t, r)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := r.Drill(ctx, job.DrillInput{Database: "shop"}, func(job.Progress) { cancel() })
	require.Error(t, err)
	assert.Empty(t, drills(t, r, id))
	scratchIsEmpty(t, r.Repo.Dir())
}

// A step that is tried again finds what the attempt before left.
func TestDrillStepsAgain(t *testing.T) {
	ctx := context.Background()
	r := newRunner(t, nil, orders...)
	step := job.DrillStepInput{Database: "shop", ID: backupID(t, r), Run: "run-1"}
	for range 2 {
		_, err := r.DrillRestore(ctx, step, nil)
		require.NoError(t, err)
	}
	var proved job.DrillVerifyResult
	for range 2 {
		var err error
		proved, err = r.DrillVerify(ctx, step, nil)
		require.NoError(t, err)
	}
	record := job.DrillRecordInput{Database: "shop", Run: "run-1", ID: step.ID, Verified: proved}
	for range 2 {
		require.NoError(t, r.DrillRecord(ctx, record))
	}
	assert.Len(t, drills(t, r, step.ID), 1, "one run, one record")
	_, err := r.DrillVerify(ctx, step, nil)
	require.ErrorContains(t, err, "are gone")
	assert.Equal(t, failure.RunFailed, failure.Of(err), "that is no fault of the backup's")
}

func TestChoose(t *testing.T) {
	ctx := context.Background()
	r := newRunner(t, func(d *config.Database) { d.Drill.Backup = config.DrillRandom }, orders...)
	ids := []string{backupID(t, r), backupID(t, r), backupID(t, r)}
	require.NoError(t, r.Repo.Update("shop", ids[2], func(m *repo.Manifest) error { m.State = repo.StateRotten; return nil }))
	seen := map[string]bool{}
	for n := range 40 {
		in := job.ChooseInput{Database: "shop", Run: string(rune('a' + n)), Drill: true}
		c, err := r.Choose(ctx, in)
		require.NoError(t, err)
		again, err := r.Choose(ctx, in)
		require.NoError(t, err)
		assert.Equal(t, c, again, "the same run, the same backup")
		seen[c.ID] = true
	}
	assert.Equal(t, map[string]bool{ids[0]: true, ids[1]: true}, seen, "every verified one, and no other")

	latest, err := r.Choose(ctx, job.ChooseInput{Database: "shop", Backup: repo.Latest})
	require.NoError(t, err)
	assert.Equal(t, ids[1], latest.ID)
	m, err := r.Repo.Get("shop", ids[0])
	require.NoError(t, err)
	at, err := r.Choose(ctx, job.ChooseInput{Database: "shop", At: &m.Finished})
	require.NoError(t, err)
	assert.Equal(t, ids[0], at.ID)
	_, err = r.Choose(ctx, job.ChooseInput{Database: "shop", At: &m.Finished, Backup: repo.Latest})
	assert.Equal(t, failure.Usage, failure.Of(err))
	_, err = r.Choose(ctx, job.ChooseInput{Database: "shop", Backup: ids[2], Drill: true})
	assert.Equal(t, failure.Usage, failure.Of(err), "one that does not count proves nothing")
	rotten, err := r.Choose(ctx, job.ChooseInput{Database: "shop", Backup: ids[2]})
	require.NoError(t, err, "a restore says so itself")
	assert.Equal(t, "rotten", rotten.State)
	_, err = r.Choose(ctx, job.ChooseInput{Database: "crm"})
	assert.Equal(t, failure.UnknownDatabase, failure.Of(err))
}

func TestRestoreStep(t *testing.T) {
	ctx := context.Background()
	var spare string
	r := newRunner(t, func(d *config.Database) {
		spare = filepath.Join(filepath.Dir(d.Path), "spare.duckdb")
		d.Restore.Targets = map[string]string{"spare": spare}
	}, orders...)
	in := job.RestoreStepInput{Database: "shop", ID: backupID(t, r), Target: "spare"}
	first, err := r.Restore(ctx, in, nil)
	require.NoError(t, err)
	assert.Equal(t, spare, first.Path)
	assert.Equal(t, int64(50001), first.Rows)

	again, err := r.Restore(ctx, in, nil)
	require.NoError(t, err, "an attempt that could not say that it was done")
	assert.Equal(t, first.Rows, again.Rows)
	assert.Empty(t, again.MovedAside)

	require.Equal(t, "50001", enginetest.Query(t, spare, "SELECT count(*) FROM orders"))
	require.NoError(t, os.Remove(spare))
	_ = os.Remove(spare + ".wal")
	enginetest.Create(t, spare, "CREATE TABLE other AS SELECT 1 id")
	_, err = r.Restore(ctx, in, nil)
	assert.Equal(t, failure.TargetExists, failure.Of(err), "another database is not written over")
	in.KeepOld = true
	third, err := r.Restore(ctx, in, nil)
	require.NoError(t, err)
	assert.Len(t, third.MovedAside, 1)

	in.Target = "elsewhere"
	_, err = r.Restore(ctx, in, nil)
	assert.Equal(t, failure.TargetBad, failure.Of(err))
	assert.ErrorContains(t, err, "spare")
}

// A backup of which only the bytes were verified has no tables to compare with:
// that the drill reads some is no fault of the backup's.
func TestDrillOfABackupThatWasNeverRead(t *testing.T) {
	r := newRunner(t, func(d *config.Database) { d.Verify.Level = config.LevelBytes }, orders...)
	id := backupID(t, r)
	res, err := r.Drill(context.Background(), job.DrillInput{Database: "shop"}, nil)
	require.NoError(t, err)
	assert.Equal(t, int64(50001), res.Rows)
	assert.True(t, drills(t, r, id)[0].Passed)
}

// The backup of a drill may be pruned before the drill is recorded: what was
// restored goes all the same.
func TestDrillRecordOfABackupThatIsGone(t *testing.T) {
	ctx := context.Background()
	r := newRunner(t, nil, orders...)
	step := job.DrillStepInput{Database: "shop", ID: backupID(t, r), Run: "run-1"}
	_, err := r.DrillRestore(ctx, step, nil)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(r.Repo.BackupDir("shop", step.ID)))
	err = r.DrillRecord(ctx, job.DrillRecordInput{Database: "shop", Run: "run-1", ID: step.ID})
	assert.Equal(t, failure.UnknownBackup, failure.Of(err), err)
	scratchIsEmpty(t, r.Repo.Dir())
}
