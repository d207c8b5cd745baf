package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Decision is for one backup. Rules are all those that keep it, none if it goes.
// Reason is for people, a line: the rules, or why there is none.
type Decision struct {
	ID     string
	Keep   bool
	Rules  []string
	Reason string
	Future bool // dated later than now
}

// Decide returns one decision for each backup, newest first, by time and then
// ID. The order of the input does not matter.
func Decide(now time.Time, backups []Backup, p Policy) []Decision {
	w := newWalk(now, backups, p)
	decisions := make([]Decision, 0, len(w.backups))
	for _, b := range w.backups {
		decisions = append(decisions, w.decide(b))
	}
	return decisions
}

// walk goes over the backups from the newest to the oldest.
type walk struct {
	policy  Policy
	now     time.Time
	backups []Backup
	rules   []rule
	counted evidence // all that count
	// newestVerified and oldestCounted are IDs, empty if there is none.
	newestVerified, oldestCounted string

	// What was met so far, without what is dated in the future.
	passed  int            // backups that count
	last    time.Time      // the last of them
	longest time.Duration  // the longest gap between two of them
	states  map[string]int // backups by state
}

func newWalk(now time.Time, backups []Backup, p Policy) *walk {
	w := &walk{policy: p, now: now, backups: slices.Clone(backups), rules: p.rules(), states: map[string]int{}}
	slices.SortFunc(w.backups, func(a, b Backup) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID))
	})
	for _, b := range w.backups {
		if b.Time.After(now) || !p.counts(b.State) {
			continue
		}
		if b.State == stateVerified && w.newestVerified == "" {
			w.newestVerified = b.ID
		}
		w.counted = append(w.counted, b.Time)
		w.oldestCounted = b.ID
	}
	return w
}

func (w *walk) decide(b Backup) Decision {
	d := Decision{ID: b.ID, Future: b.Time.After(w.now)}
	switch {
	case d.Future:
		d.Rules = append(d.Rules, fmt.Sprintf("dated in the future (%s), check the clock; fills no slot", b.Time.UTC().Format(time.RFC3339)))
	case w.policy.Empty():
		d.Rules = append(d.Rules, "the policy keeps everything")
	case w.policy.counts(b.State):
		d.Rules, d.Reason = w.byRules(b)
	default:
		if keep, reason := w.unverified(b); keep {
			d.Rules = append(d.Rules, reason)
		} else {
			d.Reason = reason
		}
	}
	d.Rules = append(d.Rules, w.beside(b)...)
	if d.Keep = len(d.Rules) > 0; d.Keep {
		d.Reason = strings.Join(d.Rules, ", ")
	}
	return d
}

// byRules offers a backup that counts to every rule: each must see all of them.
func (w *walk) byRules(b Backup) (rules []string, reason string) {
	if w.passed > 0 {
		w.longest = max(w.longest, w.last.Sub(b.Time))
	}
	w.last = b.Time
	w.passed++
	c := candidate{
		time: b.Time.In(w.policy.location()), shown: w.counted[0].Add(-w.longest),
		rank: w.passed, oldest: b.ID == w.oldestCounted,
	}
	if b.ID == w.newestVerified {
		rules = append(rules, "newest verified")
	} else if c.rank <= w.policy.minVerified() {
		rules = append(rules, fmt.Sprintf("min_verified %d/%d", c.rank, w.policy.minVerified()))
	}
	var without []string
	for _, r := range w.rules {
		if kept, text := r.take(c); kept {
			rules = append(rules, text)
		} else {
			without = append(without, text)
		}
	}
	return rules, "no rule keeps it: " + strings.Join(without, ", ")
}

// unverified is for what does not count.
func (w *walk) unverified(b Backup) (keep bool, reason string) {
	what, known := map[string]string{
		stateCopied:    "not verified",
		stateStructure: "only its structure is verified",
		stateRotten:    "rotten since it was verified",
		stateFailed:    "failed verification",
	}[b.State]
	if !known {
		return true, fmt.Sprintf("in a state that this program does not know (%q)", b.State)
	}
	w.states[b.State]++
	first := w.states[b.State] == 1
	switch {
	case b.State == stateFailed && first:
		return true, what + "; the newest failed one is kept for a look"
	case b.State == stateFailed:
		return false, what + ", and a newer failed one is kept"
	case len(w.counted) == 0:
		return true, what + ", but nothing is verified"
	case w.passed == 0:
		return true, what + ", but newer than whatever is verified"
	case first:
		return true, what + "; the newest of its kind is kept"
	}
	return false, what + ", and older than a verified one"
}

// beside are the reasons to keep a backup that have nothing to do with others.
func (w *walk) beside(b Backup) []string {
	var rules []string
	for _, tag := range w.policy.Tags {
		if b.State != stateFailed && slices.Contains(b.Tags, tag) {
			rules = append(rules, "tag "+tag)
		}
	}
	if p := b.Pin; p != nil && !w.ended(*p) {
		text := "pinned"
		if p.Owner != "" {
			text += " by " + p.Owner
		}
		if !p.Until.IsZero() {
			text += " until " + p.Until.In(w.policy.location()).Format("2006-01-02 15:04 MST")
		}
		rules = append(rules, text+": "+p.Reason)
	}
	return rules
}

// ended reports whether backups that count show that the pin's end has passed.
func (w *walk) ended(p Pin) bool {
	return !p.Until.IsZero() && len(w.counted) > 0 && w.counted[0].After(p.At) &&
		w.counted.since(p.At).After(p.Until)
}

// evidence is the times of the backups that count, newest first.
type evidence []time.Time

// since is how late the backups show it to be, to someone who knows that it was
// t once: the newest one's time less the longest gap between two neighbours from
// t on, where a clock may have jumped. It is t if no backup is later.
func (e evidence) since(t time.Time) time.Time {
	if len(e) == 0 || !e[0].After(t) {
		return t
	}
	var longest time.Duration
	for i := 0; i < len(e) && e[i].After(t); i++ {
		next := t
		if i+1 < len(e) && e[i+1].After(t) {
			next = e[i+1]
		}
		longest = max(longest, e[i].Sub(next))
	}
	return e[0].Add(-longest)
}
