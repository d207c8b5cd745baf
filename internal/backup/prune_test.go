package backup_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/retention"
)

var all = func(repo.Manifest) bool { return true }

// fill puts backups of one byte each into the repository, an hour apart, the
// oldest first and the newest an hour ago, and returns their IDs.
func fill(t *testing.T, r *repo.Repo, states ...repo.State) []string {
	t.Helper()
	var ids []string
	for i, state := range states {
		run := fmt.Sprintf("made-up-%d", i)
		started := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Duration(len(states)-i) * time.Hour)
		s, err := r.Stage("shop", run)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir(), "shop.duckdb"), []byte("x"), 0o600))
		digest := sha256.Sum256([]byte("x"))
		m := &repo.Manifest{
			Schema: repo.Schema, ID: repo.NewID(started, 1, run), Database: "shop", State: state, Run: run,
			Started: started, Finished: started.Add(time.Second), Source: repo.Source{Path: "/srv/shop.duckdb"},
			Files: []repo.File{{Name: "shop.duckdb", Bytes: 1, SHA256: hex.EncodeToString(digest[:])}}, Tool: "test",
		}
		require.NoError(t, s.Commit(m))
		ids = append(ids, m.ID)
	}
	return ids
}

func verified(n int) []repo.State {
	states := make([]repo.State, n)
	for i := range states {
		states[i] = repo.StateVerified
	}
	return states
}

func listed(t *testing.T, r *repo.Repo) []string {
	t.Helper()
	list, err := r.List("shop")
	require.NoError(t, err)
	var ids []string
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func ids(decisions []job.Decision) []string {
	var out []string
	for _, d := range decisions {
		out = append(out, d.ID)
	}
	return out
}

func keepLast(n int) func(*config.Database) {
	return func(d *config.Database) { d.Retention.KeepLast = n }
}

func prune(r *backup.Runner) (job.PruneResult, error) {
	return r.Prune(context.Background(), job.PruneInput{Database: "shop", Run: "run-1"})
}

func TestPruneRefusesToRemoveMostOfThem(t *testing.T) {
	r := newRunner(t, keepLast(3))
	made := fill(t, r.Repo, verified(7)...)
	res, err := prune(r)
	require.Error(t, err)
	assert.Equal(t, failure.BlastRadius, failure.Of(err))
	assert.Regexp(t, "^the plan [0-9a-f]{12} for shop removes 4 of 7 backups, more than half: nothing was removed$", err.Error())
	assert.Empty(t, res.Removed)
	assert.Equal(t, made, listed(t, r.Repo))

	r.Config.Databases[0].Retention.KeepLast = 4
	res, err = prune(r)
	require.NoError(t, err)
	assert.Equal(t, made[:3], ids(res.Removed))
	assert.Equal(t, []string{made[6], made[5], made[4], made[3]}, ids(res.Kept))
	assert.Equal(t, made[3:], listed(t, r.Repo))
}

func TestPruneWithGrace(t *testing.T) {
	r := newRunner(t, func(d *config.Database) {
		d.Retention.KeepLast = 2
		d.Retention.Grace = config.Period{Period: retention.Period{Days: 30}}
	})
	made := fill(t, r.Repo, repo.StateVerified, repo.StateFailed, repo.StateVerified, repo.StateVerified, repo.StateFailed)
	_, err := prune(r)
	require.NoError(t, err)
	assert.Equal(t, made[2:], listed(t, r.Repo))
	trashed, err := r.Repo.Trashed("shop")
	require.NoError(t, err)
	require.Len(t, trashed, 1, "a failed copy goes at once")
	assert.Equal(t, made[0], trashed[0].Manifest.ID)
	assert.Equal(t, "no rule keeps it: last is full", trashed[0].Reason)
	assert.Equal(t, 30*24*time.Hour, trashed[0].Until.Sub(trashed[0].At))

	require.NoError(t, r.Repo.Untrash("shop", made[0]))
	require.NoError(t, r.Repo.Trash("shop", made[0], "long ago", time.Now().Add(-48*time.Hour), 24*time.Hour))
	_, err = prune(r)
	require.NoError(t, err)
	trashed, err = r.Repo.Trashed("shop")
	require.NoError(t, err)
	assert.Empty(t, trashed, "its time is over")
	assert.Equal(t, made[2:], listed(t, r.Repo))
}

func TestPruneLeavesWhatIsRead(t *testing.T) {
	r := newRunner(t, keepLast(2))
	made := fill(t, r.Repo, verified(4)...)
	reading, err := r.Repo.Read("shop", made[0])
	require.NoError(t, err)
	res, err := prune(r)
	require.NoError(t, err, "it goes with the next prune")
	assert.Equal(t, []string{made[1]}, ids(res.Removed))
	require.Len(t, res.Kept, 3)
	assert.Equal(t, job.Decision{ID: made[0], Reason: "would go, but is being read: no rule keeps it: last is full"}, res.Kept[2])

	require.NoError(t, reading.Close())
	res, err = prune(r)
	require.NoError(t, err)
	assert.Equal(t, []string{made[0]}, ids(res.Removed))
	assert.Equal(t, made[2:], listed(t, r.Repo))
}

func TestPruneLeavesPinsAndTags(t *testing.T) {
	r := newRunner(t, func(d *config.Database) {
		d.Retention.KeepLast, d.Retention.KeepTags = 2, []string{"release"}
	})
	made := fill(t, r.Repo, verified(6)...)
	require.NoError(t, r.Repo.SetPin("shop", made[0], &repo.Pin{Owner: "ann", Reason: "the audit", At: time.Now()}))
	require.NoError(t, r.Repo.Update("shop", made[1], func(m *repo.Manifest) error { m.Tags = []string{"release"}; return nil }))
	// A pin that cannot be read keeps its backup, and is reported.
	damaged := filepath.Join(r.Repo.BackupDir("shop", made[2]), "pin.json")
	require.NoError(t, os.WriteFile(damaged, []byte("{"), 0o600))
	res, err := prune(r)
	require.Error(t, err)
	assert.Equal(t, failure.RepoCorrupt, failure.Of(err))
	assert.ErrorContains(t, err, damaged)
	assert.Equal(t, []string{made[3]}, ids(res.Removed))
	assert.Equal(t, "pinned by ann: the audit", res.Kept[4].Reason)
	assert.Equal(t, "tag release", res.Kept[3].Reason)

	// So do other notes that cannot be read.
	require.NoError(t, r.Repo.SetPin("shop", made[2], nil))
	damaged = filepath.Join(r.Repo.BackupDir("shop", made[2]), "drills.json")
	require.NoError(t, os.WriteFile(damaged, []byte("{"), 0o600))
	res, err = prune(r)
	require.Error(t, err)
	assert.ErrorContains(t, err, damaged)
	assert.Empty(t, res.Removed)
	assert.Contains(t, res.Kept[2].Reason, "pinned: its notes cannot be read: ")
	require.NoError(t, os.Remove(damaged))

	require.NoError(t, r.Repo.SetPin("shop", made[0], nil))
	res, err = prune(r)
	require.NoError(t, err)
	assert.Equal(t, []string{made[0], made[2]}, ids(res.Removed))
}

// TestPinSetAfterThePlan: a pin needs no lease.
func TestPinSetAfterThePlan(t *testing.T) {
	r := newRunner(t, nil)
	made := fill(t, r.Repo, verified(4)...)
	at := time.Now()
	require.NoError(t, r.Repo.SetPin("shop", made[1], &repo.Pin{Owner: "bob", Reason: "over", At: at.Add(-10 * time.Hour), Until: new(at.Add(-9 * time.Hour))}))
	p, err := backup.PlanPruning(r.Repo, "shop", retention.Policy{Last: 1, MinVerified: 1}, at)
	require.NoError(t, err)
	require.Len(t, p.Plan.Removed(), 3)
	require.NoError(t, r.Repo.SetPin("shop", made[2], &repo.Pin{Owner: "ann", Reason: "the audit", At: at}))
	require.NoError(t, r.Repo.Remove("shop", made[0]))
	res, err := p.Remove(context.Background(), all)
	require.NoError(t, err)
	assert.Equal(t, []string{made[0], made[1]}, ids(res.Removed), "the first one was gone before, and bob's pin is over")
	assert.Equal(t, "pinned by ann since the plan was made: the audit", res.Kept[1].Reason)
	assert.Equal(t, made[2:], listed(t, r.Repo))
}

// TestVerifiedAnewAfterThePlan: a verification by hand needs no lease either.
func TestVerifiedAnewAfterThePlan(t *testing.T) {
	move := func(r *backup.Runner, id string, state repo.State) {
		require.NoError(t, r.Repo.Update("shop", id, func(m *repo.Manifest) error {
			m.State, m.Failure = state, ""
			if state == repo.StateFailed {
				m.Failure = "why"
			}
			return nil
		}))
	}
	t.Run("the newest does not pass", func(t *testing.T) {
		r := newRunner(t, nil)
		made := fill(t, r.Repo, verified(3)...)
		p, err := backup.PlanPruning(r.Repo, "shop", retention.Policy{Last: 1, MinVerified: 1}, time.Now())
		require.NoError(t, err)
		require.Len(t, p.Plan.Removed(), 2)
		move(r, made[2], repo.StateFailed)
		res, err := p.Remove(context.Background(), all)
		require.NoError(t, err)
		require.Empty(t, res.Removed)
		assert.Equal(t, made[2]+" is failed since the plan was made, and was verified", res.Kept[2].Reason)
		assert.Equal(t, made, listed(t, r.Repo))
	})
	t.Run("a failed one passes", func(t *testing.T) {
		r := newRunner(t, nil)
		made := fill(t, r.Repo, verified(3)...)
		move(r, made[0], repo.StateFailed)
		move(r, made[1], repo.StateFailed)
		p, err := backup.PlanPruning(r.Repo, "shop", retention.Policy{Last: 1}, time.Now())
		require.NoError(t, err)
		require.Len(t, p.Plan.Removed(), 1)
		move(r, made[0], repo.StateVerified)
		res, err := p.Remove(context.Background(), all)
		require.NoError(t, err)
		require.Empty(t, res.Removed)
		assert.Len(t, listed(t, r.Repo), 3)
	})
}

// TestPinDamagedAfterThePlan: what cannot be told stays.
func TestPinDamagedAfterThePlan(t *testing.T) {
	r := newRunner(t, nil)
	made := fill(t, r.Repo, verified(3)...)
	p, err := backup.PlanPruning(r.Repo, "shop", retention.Policy{Last: 1, MinVerified: 1}, time.Now())
	require.NoError(t, err)
	damaged := filepath.Join(r.Repo.BackupDir("shop", made[0]), "pin.json")
	require.NoError(t, os.WriteFile(damaged, nil, 0o600))
	res, err := p.Remove(context.Background(), all)
	require.Error(t, err)
	assert.ErrorContains(t, err, damaged)
	assert.Equal(t, []string{made[1]}, ids(res.Removed))
	assert.Contains(t, res.Kept[1].Reason, "removing it failed: ")
	assert.Equal(t, made[0], listed(t, r.Repo)[0])
}

func TestPruneStopsWhenItIsCancelled(t *testing.T) {
	r := newRunner(t, keepLast(2))
	made := fill(t, r.Repo, verified(4)...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	res, err := r.Prune(ctx, job.PruneInput{Database: "shop", Run: "run-1"})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, res.Removed)
	assert.Len(t, res.Kept, 4)
	assert.Equal(t, made, listed(t, r.Repo))
}

func TestPruneWithoutBackups(t *testing.T) {
	r := newRunner(t, nil)
	res, err := prune(r)
	require.NoError(t, err)
	assert.Equal(t, job.PruneResult{Kept: []job.Decision{}, Removed: []job.Decision{}}, res)
}

func TestBackupCarriesItsTags(t *testing.T) {
	r := newRunner(t, func(d *config.Database) { d.Tags = []string{"nightly", "release"} }, orders...)
	sum, err := r.Backup(context.Background(), "shop", nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"nightly", "release"}, sum.Manifest.Tags)
}
