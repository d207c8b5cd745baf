package retention

import (
	"fmt"
	"time"
)

// kinds name the rules by number and tell which backups compete for one slot:
// those with the same label. The first gives every backup a slot of its own.
var kinds = []struct {
	name  string
	label func(time.Time) string
}{
	{"last", nil},
	{"hourly", hour},
	{"daily", func(t time.Time) string { return t.Format(time.DateOnly) }},
	{"weekly", week},
	{"monthly", func(t time.Time) string { return t.Format("2006-01") }},
	{"yearly", func(t time.Time) string { return t.Format("2006") }},
}

// hour carries the offset from UTC: where summer time ends, two hours of a day
// have the same number.
func hour(t time.Time) string {
	if _, offset := t.Zone(); offset == 0 {
		return t.Format("2006-01-02 15h")
	}
	return t.Format("2006-01-02 15h-0700")
}

func week(t time.Time) string {
	year, n := t.ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, n)
}

// candidate is a backup that counts, as a rule sees it.
type candidate struct {
	time   time.Time // in the policy's time zone
	shown  time.Time // how late the backups after it show it to be
	rank   int       // among those that count, the newest is 1
	oldest bool
}

// rule is one keep rule while a timeline is walked from its newest backup on.
// take says whether the rule keeps the candidate, by which slot, or why not.
type rule interface {
	take(c candidate) (kept bool, text string)
}

// slots is a rule by number.
type slots struct {
	name  string
	label func(time.Time) string
	size  int // negative: without end
	used  int
	taken map[string]bool
}

func (s *slots) take(c candidate) (bool, string) {
	if s.size >= 0 && s.used == s.size {
		return false, s.name + " is full"
	}
	if s.label == nil {
		s.used++
		if s.size < 0 {
			return true, fmt.Sprintf("%s %d", s.name, c.rank)
		}
		return true, fmt.Sprintf("%s %d/%d", s.name, c.rank, s.size)
	}
	label := s.label(c.time)
	text := s.name + " " + label
	if s.taken[label] {
		if !c.oldest {
			return false, text + " has a newer one"
		}
		text += " as the oldest"
	}
	s.taken[label] = true
	s.used++
	return true, text
}

// span is a rule by period.
type span struct {
	name   string
	label  func(time.Time) string // nil: every backup
	period Period
	taken  map[string]bool
}

func (s *span) take(c candidate) (bool, string) {
	if !s.period.After(c.time).After(c.shown) {
		return false, "not " + s.name
	}
	if s.label == nil {
		return true, s.name
	}
	label := s.label(c.time)
	text := s.name + " " + label
	if s.taken[label] {
		if !c.oldest {
			return false, text + " has a newer one"
		}
		text += " as the oldest"
	}
	s.taken[label] = true
	return true, text
}

// withinName names the rule of Policy.periods' i-th period.
func withinName(i int, period Period) string {
	if i == 0 {
		return "within " + period.String()
	}
	return kinds[i].name + " within " + period.String()
}

func (p Policy) rules() []rule {
	var rules []rule
	for i, n := range p.numbers() {
		if n != 0 {
			rules = append(rules, &slots{name: kinds[i].name, label: kinds[i].label, size: n, taken: map[string]bool{}})
		}
	}
	for i, period := range p.periods() {
		if !period.IsZero() {
			rules = append(rules, &span{name: withinName(i, period), label: kinds[i].label, period: period, taken: map[string]bool{}})
		}
	}
	return rules
}
