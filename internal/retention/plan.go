package retention

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan is what a removal would do, one decision for each backup.
type Plan struct {
	Decisions []Decision // newest first
	// Hash is 12 hex digits that stand for the policy, the backups and what is
	// decided of them. It does not depend on the time of planning: the same
	// backups, decided alike, are the same plan.
	Hash string

	all, removed int // of the backups that Radical looks at
}

// NewPlan decides, as Decide does.
func NewPlan(now time.Time, backups []Backup, p Policy) Plan {
	plan := Plan{Decisions: Decide(now, backups, p)}
	byID := map[string]Backup{}
	for _, b := range backups {
		byID[b.ID] = b
	}
	var text strings.Builder
	fmt.Fprintf(&text, "policy %q\n", p)
	for _, d := range plan.Decisions {
		b := byID[d.ID]
		if !d.Future && b.State != stateFailed {
			plan.all++
			if !d.Keep {
				plan.removed++
			}
		}
		tags := slices.Clone(b.Tags)
		slices.Sort(tags)
		fmt.Fprintf(&text, "backup %q %s %q %q %s keep %t\n", b.ID, stamp(b.Time), b.State, tags, b.Pin, d.Keep)
	}
	sum := sha256.Sum256([]byte(text.String()))
	plan.Hash = hex.EncodeToString(sum[:6])
	return plan
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// String tells two pins apart.
func (p *Pin) String() string {
	if p == nil {
		return "not pinned"
	}
	return fmt.Sprintf("pinned %q %q %s %s", p.Owner, p.Reason, stamp(p.At), stamp(p.Until))
}

// Removed lists the decisions to remove, the oldest backup first.
func (p Plan) Removed() []Decision {
	var removed []Decision
	for _, d := range slices.Backward(p.Decisions) {
		if !d.Keep {
			removed = append(removed, d)
		}
	}
	return removed
}

// few is how many removals are never too many: what a run leaves behind, and
// that of the one before it, if it could not remove.
const few = 2

// Radical reports whether the plan removes more than half of the backups, and
// more than two. That is what a mistaken policy or a clock does, and not what a
// day does. Backups of the future are left aside, as they stay, and so are
// failed copies, which never were backups.
func (p Plan) Radical() bool { return p.removed > few && p.removed*2 > p.all }
