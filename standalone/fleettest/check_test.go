package fleettest

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"canvasback/internal/engine/enginetest"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// verdict is what the exact comparison found.
type verdict struct {
	runs                                         []*run
	due, started, missed, skipped, double, lacks int
	failed, backups, unverified                  int
	retried                                      int // steps that took more than one attempt
	failedTasks                                  map[string]int
}

// compare holds what each database's schedule says against its runs, and these
// against the backups in the repository. It asserts all but skipped starts.
func (s *stage) compare(until time.Time) *verdict {
	s.t.Helper()
	v := &verdict{failedTasks: map[string]int{}}
	s.listed(v)
	of := map[string][]*run{}
	for _, r := range v.runs {
		of[r.database] = append(of[r.database], r)
	}
	for _, h := range s.hosts {
		store, err := repo.Open(vfs.OS(), h.repository)
		require.NoError(s.t, err)
		for _, db := range h.databases {
			runs := of[db]
			slices.SortFunc(runs, func(a, b *run) int { return cmp.Compare(a.nominal.UnixNano(), b.nominal.UnixNano()) })
			s.compareStarts(v, db, runs, until)
			s.compareBackups(v, store, db, runs)
		}
	}
	for _, r := range v.runs {
		s.follow(r)
		for _, a := range r.activities {
			if a.attempt > 1 {
				v.retried++
			}
		}
		for _, text := range r.failedTasks {
			v.failedTasks[text]++
			assert.NotContains(s.t, strings.ToLower(text), "determinis", "%s %s", r.id, r.run)
		}
	}
	return v
}

// listed waits until the list of runs has every start of the schedules, which it
// may lag behind, and each has ended.
func (s *stage) listed(v *verdict) {
	s.t.Helper()
	var differs []string
	s.check("every start of the schedules is in the list of runs, and has ended", 10*time.Minute, func() bool {
		differs = nil
		counted := map[string]int{}
		v.runs = s.list("")
		for _, r := range v.runs {
			counted[r.database]++
			if r.status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
				differs = append(differs, fmt.Sprintf("%s %s runs", r.id, r.run))
			}
		}
		for _, h := range s.hosts {
			for _, db := range h.databases {
				if n := s.starts(db).actions; n != counted[db] {
					differs = append(differs, fmt.Sprintf("%s: %d starts, %d runs", db, n, counted[db]))
				}
			}
		}
		return len(differs) == 0
	})
	assert.Empty(s.t, differs)
}

// compareStarts finds each time that was due among the runs, once.
func (s *stage) compareStarts(v *verdict, db string, runs []*run, until time.Time) {
	st := s.starts(db)
	v.missed += st.missed
	v.skipped += st.skipped
	v.started += len(runs)
	assert.Equal(s.t, st.actions, len(runs), "%s: starts that the schedule counted, and runs", db)
	assert.Zero(s.t, st.missed, "%s: starts that the schedule missed", db)
	assert.Zero(s.t, st.running, "%s: runs that the schedule takes to be at work", db)
	last := until
	if len(runs) > 0 && runs[len(runs)-1].nominal.After(last) {
		last = runs[len(runs)-1].nominal
	}
	seen := map[int64]int{}
	for _, r := range runs {
		seen[r.nominal.UnixNano()]++
		r.due = st.due[r.run]
	}
	lacks := 0
	for at := s.rhythm.after(st.made); !at.After(last); at = s.rhythm.after(at) {
		v.due++
		switch n := seen[at.UnixNano()]; {
		case n == 0:
			lacks++
		case n > 1:
			v.double += n - 1
			assert.Fail(s.t, "started more than once", "%s at %s: %d times", db, at, n)
		}
		delete(seen, at.UnixNano())
	}
	assert.Empty(s.t, seen, "%s: runs at times that were not due", db)
	assert.Equal(s.t, st.skipped, lacks, "%s: starts skipped because a run was at work, and times without a run", db)
	v.lacks += lacks
	for i := 1; i < len(runs); i++ {
		assert.False(s.t, runs[i].began.Before(runs[i-1].ended), "%s: runs %s and %s overlap", db, runs[i-1].run, runs[i].run)
	}
}

// compareBackups finds for each run one verified backup, made while it lasted,
// and none beside.
func (s *stage) compareBackups(v *verdict, store *repo.Repo, db string, runs []*run) {
	backups, err := store.List(db)
	require.NoError(s.t, err)
	v.backups += len(backups)
	by := map[string][]repo.Manifest{}
	for _, m := range backups {
		run := m.Run[:max(0, strings.LastIndexByte(m.Run, '-'))] // the round of the copy follows
		by[run] = append(by[run], m)
		if m.State != repo.StateVerified {
			v.unverified++
			assert.Fail(s.t, "not verified", "%s %s is %s: %s", db, m.ID, m.State, m.Failure)
		}
	}
	for _, r := range runs {
		if r.status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			v.failed++
			assert.Fail(s.t, "a run did not end well", "%s %s: %s", r.id, r.run, r.status)
		}
		made := by[r.run]
		delete(by, r.run)
		if !assert.Len(s.t, made, 1, "backups of %s %s", r.id, r.run) {
			continue
		}
		// Both clocks are this machine's; manifests say whole seconds.
		assert.False(s.t, made[0].Started.Before(r.began.Truncate(time.Second)), "%s was begun before its run", made[0].ID)
		assert.False(s.t, made[0].Finished.After(r.ended.Add(time.Second)), "%s was finished after its run", made[0].ID)
	}
	assert.Empty(s.t, by, "backups of %s without a run", db)
}

// restoreSome verifies and restores backups of databases spread over all hosts,
// those that are written first, and returns how many.
func (s *stage) restoreSome(n int) (restored int) {
	s.t.Helper()
	for _, h := range s.hosts {
		dbs := slices.Clone(h.databases)
		written := len(h.owners)
		for i := range min(n/len(s.hosts), len(dbs)) {
			db := dbs[i] // the written ones
			if i >= written || i >= n/len(s.hosts)/2 {
				db = dbs[len(dbs)-1-i]
			}
			s.starter("verify", "--repository", h.repository, "--database", db)
			to := filepath.Join(s.t.TempDir(), db+".duckdb")
			s.starter("restore", "--repository", h.repository, "--database", db, "--target", to)
			if h.owners[db] != nil {
				enginetest.CheckPrefix(s.t, to, 1)
			} else {
				assert.Equal(s.t, "1000", enginetest.Query(s.t, to, "SELECT count(*) FROM orders"), to)
			}
			restored++
		}
	}
	return restored
}

// replayed fails on any worker that could not follow a history.
func (s *stage) replayed() {
	for _, h := range s.hosts {
		for _, p := range h.workers {
			for line := range strings.Lines(p.said()) {
				low := strings.ToLower(line)
				assert.False(s.t, strings.Contains(low, "nondeterminis") || strings.Contains(low, "tmprl1100"), "%s", line)
			}
		}
	}
}

func (v *verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "due %d, started %d, missed %d, skipped %d, doubled %d; failed runs %d; backups %d, not verified %d; steps tried again %d\n",
		v.due, v.started, v.missed, v.skipped, v.double, v.failed, v.backups, v.unverified, v.retried)
	for text, n := range v.failedTasks {
		fmt.Fprintf(&b, "workflow tasks that failed: %d of %s\n", n, text)
	}
	return b.String()
}
