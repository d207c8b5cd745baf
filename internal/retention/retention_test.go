package retention

import (
	"fmt"
	"math/rand/v2"
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
		name     string
		keepLast int
		backups  string
		want     string
	}{
		{"every state around three verified", 2, `
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
			k 10 copied
			l 11 strange
			m 12 verified`, `
a  keep   dated in the future (2026-11-23T17:00:00Z), check the clock; fills no slot
b  keep   not verified, but newer than the newest verified d
c  keep   failed verification; the newest failed one is kept for a look
d  keep   newest verified, number 1 of the 2 to keep
e  remove not verified, and older than the verified d
f  keep   only its structure is verified; the newest of its kind is kept
g  keep   number 2 of the newest 2 verified to keep
h  remove only its structure is verified, and older than the verified d
i  remove failed verification, and a newer failed one is kept
j  remove number 3 of 4 verified, the newest 2 are kept
k  remove not verified, and older than the verified d
l  keep   in a state that this program does not know ("strange")
m  remove number 4 of 4 verified, the newest 2 are kept
`},
		{"nothing verified removes only old failed ones", 1, `
			a 1 failed
			b 2 copied
			c 3 failed
			d 4 copied
			e 5 structure
			f 6 structure`, `
a  keep   failed verification; the newest failed one is kept for a look
b  keep   not verified, but nothing is verified
c  remove failed verification, and a newer failed one is kept
d  keep   not verified, but nothing is verified
e  keep   only its structure is verified, but nothing is verified
f  keep   only its structure is verified, but nothing is verified
`},
		{"a verified one in the future makes nothing else removable", 1, `
			a -1 verified
			b 2 copied
			c 3 copied`, `
a  keep   dated in the future (2026-11-23T13:00:00Z), check the clock; fills no slot
b  keep   not verified, but nothing is verified
c  keep   not verified, but nothing is verified
`},
		{"a policy of zero keeps everything", 0, `
			a 1 failed
			b 2 failed
			c 3 verified`, `
a  keep   the policy keeps everything
b  keep   the policy keeps everything
c  keep   the policy keeps everything
`},
		{"equal times go by ID", 1, `
			a 1 verified
			b 1 verified`, `
b  keep   newest verified, number 1 of the 1 to keep
a  remove number 2 of 2 verified, the newest 1 are kept
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := render(Decide(now, timeline(t, tt.backups), Policy{KeepLast: tt.keepLast}))
			assert.Equal(t, strings.TrimPrefix(tt.want, "\n"), got)
		})
	}
}

func TestDecideProperties(t *testing.T) {
	states := []string{stateVerified, stateCopied, stateStructure, stateFailed, "strange"}
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		backups := make([]Backup, rng.IntN(15))
		for i := range backups {
			backups[i] = Backup{
				ID:    fmt.Sprintf("b%02d", i),
				Time:  now.Add(time.Duration(2-rng.IntN(20)) * time.Hour),
				State: states[rng.IntN(len(states))],
			}
		}
		kept := map[string]bool{}
		for keepLast := 1; keepLast <= 16; keepLast++ {
			got := Decide(now, backups, Policy{KeepLast: keepLast})
			require.Len(t, got, len(backups), "seed %d", seed)
			shuffled := append([]Backup(nil), backups...)
			rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			require.Equal(t, got, Decide(now, shuffled, Policy{KeepLast: keepLast}), "seed %d: a permutation", seed)
			checkOne(t, seed, keepLast, backups, got, kept)
		}
		for _, d := range Decide(now, backups, Policy{KeepLast: -1}) {
			require.True(t, d.Keep, "seed %d", seed)
		}
	}
}

// checkOne checks one set of decisions against what must always hold. kept is
// the set for a smaller KeepLast, replaced by this one's.
func checkOne(t *testing.T, seed uint64, keepLast int, backups []Backup, got []Decision, kept map[string]bool) {
	t.Helper()
	keep := map[string]bool{}
	for _, d := range got {
		require.NotEmpty(t, d.Reason)
		keep[d.ID] = d.Keep
	}
	var newest *Backup
	verified, verifiedKept, anyKept := 0, 0, false
	for i, b := range backups {
		anyKept = anyKept || keep[b.ID]
		require.True(t, keep[b.ID] || !kept[b.ID], "seed %d: %s goes with a larger KeepLast %d", seed, b.ID, keepLast)
		kept[b.ID] = keep[b.ID]
		if b.Time.After(now) {
			require.True(t, keep[b.ID], "seed %d: the future stays", seed)
			continue
		}
		if b.State != stateVerified {
			continue
		}
		verified++
		if keep[b.ID] {
			verifiedKept++
		}
		if newest == nil || b.Time.After(newest.Time) || b.Time.Equal(newest.Time) && b.ID > newest.ID {
			newest = &backups[i]
		}
	}
	require.Equal(t, min(verified, keepLast), verifiedKept, "seed %d: slots", seed)
	require.True(t, newest == nil || keep[newest.ID], "seed %d: the newest verified stays", seed)
	require.True(t, anyKept || len(backups) == 0, "seed %d: never empty", seed)
	for _, b := range backups {
		if newest == nil && b.State != stateFailed {
			require.True(t, keep[b.ID], "seed %d: nothing verified", seed)
		}
		if newest != nil && b.Time.After(newest.Time) && b.State != stateFailed {
			require.True(t, keep[b.ID], "seed %d: newer than the newest verified", seed)
		}
	}
}
