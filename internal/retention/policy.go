package retention

import (
	"fmt"
	"strings"
	"time"
)

// States of a backup, as manifests name them.
const (
	stateVerified  = "verified"
	stateCopied    = "copied"
	stateStructure = "structure"
	stateFailed    = "failed"
	stateRotten    = "rotten"
)

// Backup is what the decision looks at. Time is when the backup began.
type Backup struct {
	ID    string
	Time  time.Time
	State string
	Tags  []string
	Pin   *Pin // nil: not pinned
}

// Pin keeps a backup whatever the policy says. At is when it was set, Until its
// end; a zero Until is none.
type Pin struct {
	Owner, Reason string
	At, Until     time.Time
}

// Policy says what to keep. A number counts backups that count, or the periods
// of which the newest one stays: 0 for no such rule, negative for all. Grace is
// for whoever removes: it is part of a plan, and decides nothing here.
type Policy struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly                         int
	Within                                                               Period
	WithinHourly, WithinDaily, WithinWeekly, WithinMonthly, WithinYearly Period

	Tags           []string       // a backup with any of them stays
	Location       *time.Location // of hours, days and so on; nil: UTC
	MinVerified    int            // newest verified ones that always stay; less than 1 is 1
	CountStructure bool           // backups of which only the structure is verified count
	Grace          Period         // between a removal and its end
}

// numbers are the rules by number, in the order in which they are told.
func (p Policy) numbers() []int {
	return []int{p.Last, p.Hourly, p.Daily, p.Weekly, p.Monthly, p.Yearly}
}

// periods are the rules by period; the first has no kind, the others have those
// of numbers from the second on.
func (p Policy) periods() []Period {
	return []Period{p.Within, p.WithinHourly, p.WithinDaily, p.WithinWeekly, p.WithinMonthly, p.WithinYearly}
}

// Empty reports whether the policy has no rule by number or period, and so
// keeps everything.
func (p Policy) Empty() bool {
	for i, n := range p.numbers() {
		if n != 0 || !p.periods()[i].IsZero() {
			return false
		}
	}
	return true
}

func (p Policy) location() *time.Location {
	if p.Location == nil {
		return time.UTC
	}
	return p.Location
}

func (p Policy) minVerified() int { return max(p.MinVerified, 1) }

// counts reports whether a backup in the state fills slots.
func (p Policy) counts(state string) bool {
	return state == stateVerified || state == stateStructure && p.CountStructure
}

// String lists the rules, as in "last 10, daily 7, within 1m, min_verified 2".
func (p Policy) String() string {
	var parts []string
	for i, n := range p.numbers() {
		switch {
		case n < 0:
			parts = append(parts, kinds[i].name+" all")
		case n > 0:
			parts = append(parts, fmt.Sprintf("%s %d", kinds[i].name, n))
		}
	}
	for i, period := range p.periods() {
		if !period.IsZero() {
			parts = append(parts, withinName(i, period))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "everything")
	}
	for _, tag := range p.Tags {
		parts = append(parts, "tag "+tag)
	}
	parts = append(parts, fmt.Sprintf("min_verified %d", p.minVerified()))
	if p.CountStructure {
		parts = append(parts, "count_structure")
	}
	if p.location() != time.UTC {
		parts = append(parts, p.location().String())
	}
	if !p.Grace.IsZero() {
		parts = append(parts, "grace "+p.Grace.String())
	}
	return strings.Join(parts, ", ")
}
