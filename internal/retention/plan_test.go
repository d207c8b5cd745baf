package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlanHashStandsForThePlan(t *testing.T) {
	policy := Policy{Last: 2, MinVerified: 1}
	backups := timeline(t, "a 1 verified\nb 2 verified\nc 3 copied\nd 4 verified")
	backups[1].Tags = []string{"x", "y"}
	want := NewPlan(now, backups, policy)
	assert.Regexp(t, "^[0-9a-f]{12}$", want.Hash)
	assert.Equal(t, want.Hash, NewPlan(now.Add(time.Hour), backups, policy).Hash, "it does not depend on the time")

	seen := map[string]string{want.Hash: "the plan itself"}
	for name, change := range map[string]func(b []Backup, p *Policy){
		"another ID":          func(b []Backup, _ *Policy) { b[3].ID = "e" },
		"another time":        func(b []Backup, _ *Policy) { b[3].Time = b[3].Time.Add(time.Nanosecond) },
		"another state":       func(b []Backup, _ *Policy) { b[2].State = stateStructure },
		"a tag":               func(b []Backup, _ *Policy) { b[3].Tags = []string{"z"} },
		"a tag in two":        func(b []Backup, _ *Policy) { b[1].Tags = []string{"x y"} },
		"a pin":               func(b []Backup, _ *Policy) { b[0].Pin = &Pin{Owner: "ann", Reason: "r"} },
		"another pin's owner": func(b []Backup, _ *Policy) { b[0].Pin = &Pin{Owner: "bob", Reason: "r"} },
		"another pin's end":   func(b []Backup, _ *Policy) { b[0].Pin = &Pin{Owner: "ann", Reason: "r", Until: now} },
		"last":                func(_ []Backup, p *Policy) { p.Last = 3 },
		"last 2 as a period":  func(_ []Backup, p *Policy) { p.Within = Period{Days: 1} },
		"hourly within":       func(_ []Backup, p *Policy) { p.WithinHourly = Period{Days: 1} },
		"min_verified":        func(_ []Backup, p *Policy) { p.MinVerified = 2 },
		"structure":           func(_ []Backup, p *Policy) { p.CountStructure = true },
		"the zone":            func(_ []Backup, p *Policy) { p.Location = time.FixedZone("east", 3600) },
		"grace":               func(_ []Backup, p *Policy) { p.Grace = Period{Days: 30} },
		"tags":                func(_ []Backup, p *Policy) { p.Tags = []string{"x"} },
	} {
		b, p := slices.Clone(backups), policy
		change(b, &p)
		hash := NewPlan(now, b, p).Hash
		assert.NotContains(t, seen, hash, "%s and %s", name, seen[hash])
		seen[hash] = name
	}
	assert.NotEqual(t, want.Hash, NewPlan(now, backups[:3], policy).Hash)
}

func TestPlanRemovedIsOldestFirst(t *testing.T) {
	plan := NewPlan(now, timeline(t, "a 1 verified\nb 2 verified\nc 3 verified\nd 4 verified"), Policy{Last: 1})
	var ids []string
	for _, d := range plan.Removed() {
		ids = append(ids, d.ID)
	}
	assert.Equal(t, []string{"d", "c", "b"}, ids)
}

func TestRadical(t *testing.T) {
	tests := []struct {
		backups, future, last int
		want                  bool
	}{
		{2, 0, 1, false}, {3, 0, 1, false}, // few are never too many
		{4, 0, 1, true}, {5, 0, 1, true},
		{4, 0, 2, false}, {6, 0, 3, false}, {7, 0, 3, true}, {7, 0, 4, false},
		{6, 10, 3, false}, {7, 10, 3, true}, // the future neither goes nor counts
		{0, 0, 1, false}, {100, 0, 10, true}, {11, 0, 10, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d and %d of the future, last %d", tt.backups, tt.future, tt.last), func(t *testing.T) {
			var backups []Backup
			for i := -tt.future; i < tt.backups; i++ {
				backups = append(backups, Backup{ID: fmt.Sprint(i), Time: now.Add(time.Hour * time.Duration(-i)).Add(-time.Minute), State: stateVerified})
			}
			plan := NewPlan(now, backups, Policy{Last: tt.last})
			require.Len(t, plan.Removed(), max(tt.backups-tt.last, 0))
			assert.Equal(t, tt.want, plan.Radical())
		})
	}
}

// TestRadicalLeavesFailedCopiesAside: fifty failed copies neither make the
// removal of three of four backups look small nor are too many themselves.
func TestRadicalLeavesFailedCopiesAside(t *testing.T) {
	backups := timeline(t, "a 1 verified\nb 2 verified\nc 3 copied\nd 4 copied\ne 5 copied")
	for i := range 50 {
		backups = append(backups, Backup{ID: fmt.Sprintf("f%02d", i), Time: now.Add(-time.Hour), State: stateFailed})
	}
	plan := NewPlan(now, backups, Policy{Last: 10})
	assert.Len(t, plan.Removed(), 49+2)
	assert.False(t, plan.Radical())
	assert.True(t, NewPlan(now, backups, Policy{Last: 1}).Radical())
}

// TestDailyLifeIsNotRadical: pruned after every backup, or after every second
// one only, no policy removes too many at once.
func TestDailyLifeIsNotRadical(t *testing.T) {
	for _, policy := range []Policy{
		{Last: 1}, {Last: 2}, {Daily: 1}, {Daily: 7, Weekly: 5, Monthly: 12}, {Within: Period{Days: 1}}, {Hourly: 24}, {Yearly: 1}, {WithinDaily: Period{Days: 3}},
	} {
		for _, every := range []int{1, 2} {
			var backups []Backup
			at := now
			for i := range 600 {
				at = at.Add(time.Hour)
				backups = append(backups, Backup{ID: fmt.Sprintf("%03d", i), Time: at, State: stateVerified})
				if i%every != 0 {
					continue
				}
				policy.MinVerified = 2
				plan := NewPlan(at, backups, policy)
				require.False(t, plan.Radical(), "%s at backup %d of %d", policy, i, len(backups))
				kept := keptIDs(plan.Decisions)
				backups = slices.DeleteFunc(backups, func(b Backup) bool { return !kept[b.ID] })
			}
		}
	}
}
