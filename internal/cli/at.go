package cli

import (
	"strconv"
	"strings"
	"time"
)

// parseAt reads the value of --at: zero for none. zone is a name, or empty for
// the machine's own; it is asked only for a text without a zone.
func parseAt(text, zone string, now time.Time) (time.Time, error) {
	location := time.Local
	if zone != "" {
		var err error
		if location, err = time.LoadLocation(zone); err != nil {
			return time.Time{}, usagef("--timezone %s: not a time zone: a name is as Europe/Amsterdam", zone)
		}
	}
	if text == "" {
		return time.Time{}, nil
	}
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		if d, ok := duration(ago); ok {
			return now.Add(-d), nil
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, text, location); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--at %s: not a time: write 2026-11-23T12:00:00Z, \"2026-11-23 12:00\", 2026-11-23, or how long ago, as -2h or -3d", text)
}

// duration is Go's form, or a number of days.
func duration(text string) (time.Duration, bool) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.ParseUint(number, 10, 16)
		return time.Duration(days) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
