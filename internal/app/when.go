package app

import (
	"strings"
	"time"

	"github.com/robfig/cron"

	"canvasback/internal/failure"
)

// when is a checked cron expression and time zone.
type when struct {
	cron     string // in the user's own words
	timezone string // IANA name; never empty
	parsed   cron.Schedule
}

// parseWhen checks a cron expression of five fields, or @hourly, @daily,
// @weekly, @monthly, @yearly or "@every DURATION", and the name of a time zone,
// where empty means UTC. What is wrong is a failure.BadSchedule.
func parseWhen(expression, timezone string) (when, error) {
	w := when{cron: strings.Join(strings.Fields(expression), " "), timezone: timezone}
	if w.timezone == "" {
		w.timezone = "UTC"
	}
	if w.timezone == "Local" {
		return when{}, failure.Errorf(failure.BadSchedule, "time zone %q depends on the machine: name one", timezone)
	}
	if _, err := time.LoadLocation(w.timezone); err != nil {
		return when{}, failure.Errorf(failure.BadSchedule, "time zone %q: %w", timezone, err)
	}
	if strings.Contains(w.cron, "TZ=") {
		return when{}, failure.Errorf(failure.BadSchedule, "cron expression %q: the time zone goes into --timezone", w.cron)
	}
	var err error
	if w.parsed, err = cron.ParseStandard(w.cron); err != nil {
		return when{}, failure.Errorf(failure.BadSchedule, "cron expression %q: %s", w.cron, lowerFirst(err.Error()))
	}
	if s, ok := w.parsed.(*cron.SpecSchedule); ok && s.Dom&star == 0 && s.Dow&star == 0 {
		return when{}, failure.Errorf(failure.BadSchedule,
			"cron expression %q gives a day of the month and a day of the week, which a schedule joins by and, a cron workflow by or: give one of them", w.cron)
	}
	if w.parsed.Next(epoch).IsZero() {
		return when{}, failure.Errorf(failure.BadSchedule, "cron expression %q: that time never comes", w.cron)
	}
	return w, nil
}

// star marks a field that was given as * or ?.
const star = 1 << 63

// epoch is where intervals are counted from, so that they do not depend on the
// present.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// interval is the shortest time between two runs, not more than a day.
func (w when) interval() time.Duration {
	shortest := 24 * time.Hour
	at := w.parsed.Next(epoch)
	for range 100 {
		next := w.parsed.Next(at)
		if next.IsZero() {
			break
		}
		shortest = min(shortest, next.Sub(at))
		at = next
	}
	return shortest
}

// activeDays is how many days with a run longest looks at: more than a year of
// them, so that it finds the months, weekdays and nights without any.
const activeDays = 400

// longest is the longest time between two runs. All days with runs have the same
// times of day, so that the time within a day is looked at once, however many
// runs there are.
func (w when) longest() time.Duration {
	if every, ok := w.parsed.(cron.ConstantDelaySchedule); ok {
		return every.Delay
	}
	first := w.parsed.Next(epoch.Add(-time.Second))
	last, longest := first, time.Duration(0)
	for next := w.parsed.Next(last); !next.IsZero() && day(next).Equal(day(first)); next = w.parsed.Next(last) {
		longest, last = max(longest, next.Sub(last)), next
	}
	end := last.Sub(day(first)) // of each day
	for range activeDays {
		next := w.parsed.Next(day(last).AddDate(0, 0, 1).Add(-time.Second))
		if next.IsZero() {
			break
		}
		longest = max(longest, next.Sub(last))
		last = day(next).Add(end)
	}
	return longest
}

// day is when the day of t began, in UTC.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// last is the latest time for a run after since and not after now; zero if there
// is none. Times @every something are counted by the server from 1970 on.
func (w when) last(since, now time.Time) time.Time {
	if every, ok := w.parsed.(cron.ConstantDelaySchedule); ok {
		at := time.Unix(0, 0).Add(now.Sub(time.Unix(0, 0)).Truncate(every.Delay))
		if !at.After(since) {
			return time.Time{}
		}
		return at
	}
	location, err := time.LoadLocation(w.timezone)
	if err != nil {
		return time.Time{}
	}
	var last time.Time
	// Looked for backwards, in steps that grow, as there may be one a minute or
	// one a year.
	for back := time.Hour; ; back *= 8 {
		from := now.Add(-back)
		whole := !from.After(since)
		if whole {
			from = since
		}
		for at := w.parsed.Next(from.In(location)); !at.IsZero() && !at.After(now); at = w.parsed.Next(at) {
			last = at
		}
		if whole || !last.IsZero() {
			return last
		}
	}
}
