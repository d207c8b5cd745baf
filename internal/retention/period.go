package retention

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Period is a time by the calendar, written as "2y5m7d3h": years, months (not
// minutes), days and hours in this order, each at most once. It is measured in
// UTC, where every day has 24 hours. No number is negative.
type Period struct {
	Years, Months, Days, Hours int
}

// maxNumber bounds each number of a period: time.Time and time.Duration hold
// whatever is made of it.
const maxNumber = 99999

const periodUnits = "ymdh"

// ParsePeriod reads the form that String writes; "0" is no time at all.
func ParsePeriod(s string) (Period, error) {
	wrong := fmt.Errorf("%q is not a period such as 30d, 1y6m or 12h: years, months, days, hours", s)
	var numbers [len(periodUnits)]int
	if s == "" {
		return Period{}, wrong
	}
	if s == "0" {
		return Period{}, nil
	}
	for rest, next := s, 0; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits == len(rest) {
			return Period{}, wrong
		}
		unit := strings.IndexByte(periodUnits, rest[digits])
		if unit < next {
			return Period{}, wrong
		}
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > maxNumber {
			return Period{}, fmt.Errorf("%q is too long a period", s)
		}
		numbers[unit], next, rest = n, unit+1, rest[digits+1:]
	}
	return Period{Years: numbers[0], Months: numbers[1], Days: numbers[2], Hours: numbers[3]}, nil
}

// IsZero reports whether the period is no time at all.
func (p Period) IsZero() bool { return p == Period{} }

// After is the time one period after t, in UTC. A day that its month does not
// have is counted on into the next: a month after 31 January is 3 March.
func (p Period) After(t time.Time) time.Time {
	return t.UTC().AddDate(p.Years, p.Months, p.Days).Add(time.Duration(p.Hours) * time.Hour)
}

// String is a form that ParsePeriod reads.
func (p Period) String() string {
	var s strings.Builder
	for i, n := range [len(periodUnits)]int{p.Years, p.Months, p.Days, p.Hours} {
		if n != 0 {
			fmt.Fprintf(&s, "%d%c", n, periodUnits[i])
		}
	}
	if s.Len() == 0 {
		return "0"
	}
	return s.String()
}

// UnmarshalText parses what ParsePeriod does.
func (p *Period) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePeriod(string(text))
	return err
}

// Set makes Period a flag value.
func (p *Period) Set(s string) error { return p.UnmarshalText([]byte(s)) }

// Type names the value in a flag's help.
func (p *Period) Type() string { return "period" }
