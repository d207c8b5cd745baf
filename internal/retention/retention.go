// Package retention decides which backups stay. It is a pure function of the
// time, the backups and the policy: it reads no clock and no disk, so that a
// decision can be explained and repeated.
//
// Only verified backups fill the slots of a policy, and the newest verified
// one always stays. Whatever the policy cannot justify removing is kept.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// States of a backup, as manifests name them.
const (
	stateVerified  = "verified"
	stateCopied    = "copied"
	stateStructure = "structure"
	stateFailed    = "failed"
)

// Backup is what the decision looks at. Time is when the backup began.
type Backup struct {
	ID    string
	Time  time.Time
	State string
}

// Policy says what to keep. KeepLast is a number of verified backups; zero or
// less keeps everything.
type Policy struct {
	KeepLast int
}

// Decision is for one backup. Reason is for people.
type Decision struct {
	ID     string
	Keep   bool
	Reason string
}

// Decide returns one decision for each backup, newest first, by time and then
// ID. The order of the input does not matter.
func Decide(now time.Time, backups []Backup, p Policy) []Decision {
	sorted := slices.Clone(backups)
	slices.SortFunc(sorted, func(a, b Backup) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID))
	})
	v := survey(now, sorted)
	decisions := make([]Decision, 0, len(sorted))
	var at seen
	for _, b := range sorted {
		keep, reason := v.decide(b, p, &at)
		decisions = append(decisions, Decision{ID: b.ID, Keep: keep, Reason: reason})
	}
	return decisions
}

// view is what one backup's decision needs to know of the others. Backups
// dated in the future are in none of its numbers.
type view struct {
	now            time.Time
	verified       int
	newestVerified string // ID
}

// seen counts what is newer than the backup at hand, and not in the future.
type seen struct {
	verified, copied, structure, failed int
}

func survey(now time.Time, sorted []Backup) view {
	v := view{now: now}
	for _, b := range sorted {
		if b.State == stateVerified && !b.Time.After(now) {
			if v.verified == 0 {
				v.newestVerified = b.ID
			}
			v.verified++
		}
	}
	return v
}

func (v view) decide(b Backup, p Policy, at *seen) (keep bool, reason string) {
	if b.Time.After(v.now) {
		return true, fmt.Sprintf("dated in the future (%s), check the clock; fills no slot", b.Time.UTC().Format(time.RFC3339))
	}
	if p.KeepLast <= 0 {
		return true, "the policy keeps everything"
	}
	switch b.State {
	case stateVerified:
		at.verified++
		return v.decideVerified(p, at.verified)
	case stateFailed:
		at.failed++
		if at.failed == 1 {
			return true, "failed verification; the newest failed one is kept for a look"
		}
		return false, "failed verification, and a newer failed one is kept"
	case stateCopied:
		at.copied++
		return v.decideUnverified(at, at.copied, "not verified")
	case stateStructure:
		at.structure++
		return v.decideUnverified(at, at.structure, "only its structure is verified")
	}
	return true, fmt.Sprintf("in a state that this program does not know (%q)", b.State)
}

// decideVerified is for the rank-th newest verified backup, from 1.
func (v view) decideVerified(p Policy, rank int) (bool, string) {
	switch {
	case rank == 1:
		return true, fmt.Sprintf("newest verified, number 1 of the %d to keep", p.KeepLast)
	case rank <= p.KeepLast:
		return true, fmt.Sprintf("number %d of the newest %d verified to keep", rank, p.KeepLast)
	}
	return false, fmt.Sprintf("number %d of %d verified, the newest %d are kept", rank, v.verified, p.KeepLast)
}

// decideUnverified is for the rank-th newest backup of its state, from 1.
func (v view) decideUnverified(at *seen, rank int, what string) (bool, string) {
	switch {
	case v.verified == 0:
		return true, what + ", but nothing is verified"
	case at.verified == 0:
		return true, what + ", but newer than the newest verified " + v.newestVerified
	case rank == 1:
		return true, what + "; the newest of its kind is kept"
	}
	return false, what + ", and older than the verified " + v.newestVerified
}
