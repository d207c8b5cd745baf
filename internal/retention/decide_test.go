package retention

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// timeline reads lines of "ID hours-ago state".
func timeline(t *testing.T, text string) []Backup {
	t.Helper()
	var backups []Backup
	for line := range strings.Lines(strings.TrimSpace(text)) {
		var b Backup
		var hours int
		_, err := fmt.Sscan(line, &b.ID, &hours, &b.State)
		require.NoError(t, err, line)
		b.Time = now.Add(-time.Duration(hours) * time.Hour)
		backups = append(backups, b)
	}
	return backups
}

func render(decisions []Decision) string {
	var s strings.Builder
	for _, d := range decisions {
		verb := "remove"
		if d.Keep {
			verb = "keep"
		}
		fmt.Fprintf(&s, "%-2s %-6s %s\n", d.ID, verb, d.Reason)
	}
	return s.String()
}

func TestDecideTimeline(t *testing.T) {
	tests := []struct {
		name    string
		policy  Policy
		backups string
		want    string
	}{
		{"every state around four verified", Policy{Last: 2}, `
			a -5 verified
			b 1 copied
			c 2 failed
			d 3 verified
			e 4 copied
			f 5 structure
			g 6 verified
			h 7 structure
			i 8 failed
			j 9 verified
			k 10 rotten
			l 11 strange
			m 12 verified
			n 13 rotten`, `
a  keep   dated in the future (2026-11-23T17:00:00Z), check the clock; fills no slot
b  keep   not verified, but newer than whatever is verified
c  keep   failed verification; the newest failed one is kept for a look
d  keep   newest verified, last 1/2
e  remove not verified, and older than a verified one
f  keep   only its structure is verified; the newest of its kind is kept
g  keep   last 2/2
h  remove only its structure is verified, and older than a verified one
i  remove failed verification, and a newer failed one is kept
j  remove no rule keeps it: last is full
k  keep   rotten since it was verified; the newest of its kind is kept
l  keep   in a state that this program does not know ("strange")
m  remove no rule keeps it: last is full
n  remove rotten since it was verified, and older than a verified one
`},
		{"nothing verified removes only old failed ones", Policy{Last: 1}, `
			a 1 failed
			b 2 copied
			c 3 failed
			d 4 copied
			e 5 structure
			f 6 structure
			g 7 rotten
			h 8 rotten`, `
a  keep   failed verification; the newest failed one is kept for a look
b  keep   not verified, but nothing is verified
c  remove failed verification, and a newer failed one is kept
d  keep   not verified, but nothing is verified
e  keep   only its structure is verified, but nothing is verified
f  keep   only its structure is verified, but nothing is verified
g  keep   rotten since it was verified, but nothing is verified
h  keep   rotten since it was verified, but nothing is verified
`},
		{"a verified one in the future makes nothing else removable", Policy{Last: 1}, `
			a -1 verified
			b 2 copied
			c 3 copied`, `
a  keep   dated in the future (2026-11-23T13:00:00Z), check the clock; fills no slot
b  keep   not verified, but nothing is verified
c  keep   not verified, but nothing is verified
`},
		{"a policy of nothing keeps everything", Policy{Tags: []string{"x"}, MinVerified: 1}, `
			a 1 failed
			b 2 failed
			c 3 verified
			d 4 verified`, `
a  keep   the policy keeps everything
b  keep   the policy keeps everything
c  keep   the policy keeps everything
d  keep   the policy keeps everything
`},
		{"equal times go by ID", Policy{Last: 1}, `
			a 1 verified
			b 1 verified`, `
b  keep   newest verified, last 1/1
a  remove no rule keeps it: last is full
`},
		{"structure counts where the policy says so, the newest verified stays", Policy{Last: 2, CountStructure: true}, `
			a 1 structure
			b 2 structure
			c 3 verified
			d 4 verified`, `
a  keep   min_verified 1/1, last 1/2
b  keep   last 2/2
c  keep   newest verified
d  remove no rule keeps it: last is full
`},
		{"min_verified adds to a smaller number", Policy{Last: 1, MinVerified: 3}, `
			a 1 verified
			b 2 verified
			c 3 verified
			d 4 verified`, `
a  keep   newest verified, last 1/1
b  keep   min_verified 2/3
c  keep   min_verified 3/3
d  remove no rule keeps it: last is full
`},
		{"all of them", Policy{Last: -1}, `
			a 1 verified
			b 2 failed
			c 3 failed
			d 4 verified`, `
a  keep   newest verified, last 1
b  keep   failed verification; the newest failed one is kept for a look
c  remove failed verification, and a newer failed one is kept
d  keep   last 2
`},
		{"the oldest takes a slot that is left over", Policy{Daily: 3}, `
			a 1 verified
			b 2 verified
			c 25 verified
			d 26 verified`, `
a  keep   newest verified, daily 2026-11-23
b  remove no rule keeps it: daily 2026-11-23 has a newer one
c  keep   daily 2026-11-22
d  keep   daily 2026-11-22 as the oldest
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := render(Decide(now, timeline(t, tt.backups), tt.policy))
			assert.Equal(t, strings.TrimPrefix(tt.want, "\n"), got)
		})
	}
}

func TestTagsKeepAllButFailedCopies(t *testing.T) {
	backups := timeline(t, `
		a 1 verified
		b 2 failed
		c 3 copied
		d 4 failed
		e 5 rotten
		f 6 copied
		g 7 rotten
		h 8 verified
		i 9 verified`)
	for i := 2; i < len(backups); i++ {
		backups[i].Tags = []string{"nightly", "release"}
	}
	assert.Equal(t, strings.TrimPrefix(`
a  keep   newest verified, last 1/1
b  keep   failed verification; the newest failed one is kept for a look
c  keep   not verified; the newest of its kind is kept, tag release
d  remove failed verification, and a newer failed one is kept
e  keep   rotten since it was verified; the newest of its kind is kept, tag release
f  keep   tag release
g  keep   tag release
h  keep   tag release
i  keep   tag release
`, "\n"), render(Decide(now, backups, Policy{Last: 1, Tags: []string{"release", "other"}})))
}

// TestPinEnds: the pin was set 50 hours ago, for 24 hours.
func TestPinEnds(t *testing.T) {
	tests := []struct {
		name string
		ages []int // of verified backups, hours
		at   time.Time
		want string
	}{
		{"no backup since", []int{60}, now, "pinned by ann until 2026-11-22 10:00 UTC: why"},
		{"no backup since, and years on", []int{60}, now.AddDate(20, 0, 0), "pinned by ann until 2026-11-22 10:00 UTC: why"},
		{"one backup, far later", []int{-10000}, now.AddDate(20, 0, 0), "pinned by ann until 2026-11-22 10:00 UTC: why"},
		{"backups up to its end", []int{48, 38, 27}, now, "pinned by ann until 2026-11-22 10:00 UTC: why"},
		{"backups past its end", []int{48, 38, 28, 18, 8}, now, ""},
		{"those have a date in the future", []int{48, 38, 28, 18, 8}, now.Add(-30 * time.Hour), "pinned by ann until 2026-11-22 10:00 UTC: why"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := now.Add(-50 * time.Hour)
			backups := []Backup{
				{ID: "old", Time: now.Add(-100 * time.Hour), State: stateVerified, Pin: &Pin{"ann", "why", set, set.Add(24 * time.Hour)}},
				{ID: "older", Time: now.Add(-200 * time.Hour), State: stateVerified},
			}
			for i, age := range tt.ages {
				backups = append(backups, Backup{ID: fmt.Sprint(i), Time: now.Add(-time.Duration(age) * time.Hour), State: stateVerified})
			}
			got := Decide(tt.at, backups, Policy{Last: 1})
			n := len(got)
			assert.False(t, got[n-1].Keep)
			require.Equal(t, "old", got[n-2].ID)
			assert.Equal(t, tt.want != "", got[n-2].Keep, got[n-2].Reason)
			if tt.want != "" {
				assert.Equal(t, tt.want, got[n-2].Reason)
			}
		})
	}
}

func TestPinWithoutEnd(t *testing.T) {
	backups := timeline(t, "a 1 verified\nb 2 verified\nc 3 failed\nd 4 failed")
	for i := range backups {
		backups[i].Pin = &Pin{Owner: "ann", Reason: "the audit"}
	}
	backups[3].Pin.Owner = ""
	got := Decide(now.AddDate(50, 0, 0), backups, Policy{Last: 1})
	assert.Equal(t, strings.TrimPrefix(`
a  keep   newest verified, last 1/1, pinned by ann: the audit
b  keep   pinned by ann: the audit
c  keep   failed verification; the newest failed one is kept for a look, pinned by ann: the audit
d  keep   pinned: the audit
`, "\n"), render(got))
}
