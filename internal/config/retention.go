package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own

	"go.yaml.in/yaml/v3"

	"canvasback/internal/failure"
	"canvasback/internal/retention"
)

// Retention is the prune policy: a backup stays if any of its rules keeps it.
// Numbers are of verified backups, -1 for all.
type Retention struct {
	// The newest ones. The default holds where no other number or period is set.
	KeepLast int `yaml:"keep_last"`
	// The newest one of each of so many hours that have one.
	KeepHourly int `yaml:"keep_hourly"`
	// The newest one of each of so many days that have one.
	KeepDaily int `yaml:"keep_daily"`
	// The newest one of each of so many ISO weeks that have one.
	KeepWeekly int `yaml:"keep_weekly"`
	// The newest one of each of so many months that have one.
	KeepMonthly int `yaml:"keep_monthly"`
	// The newest one of each of so many years that have one.
	KeepYearly int `yaml:"keep_yearly"`

	// All that are younger.
	KeepWithin Period `yaml:"keep_within"`
	// The newest one of each hour of the period.
	KeepWithinHourly Period `yaml:"keep_within_hourly"`
	// The newest one of each day of the period.
	KeepWithinDaily Period `yaml:"keep_within_daily"`
	// The newest one of each week of the period.
	KeepWithinWeekly Period `yaml:"keep_within_weekly"`
	// The newest one of each month of the period.
	KeepWithinMonthly Period `yaml:"keep_within_monthly"`
	// The newest one of each year of the period.
	KeepWithinYearly Period `yaml:"keep_within_yearly"`

	// A backup with any of these tags stays.
	KeepTags []string `yaml:"keep_tags"`
	// Where hours, days and weeks begin, such as Europe/Amsterdam.
	TimeZone string `yaml:"timezone"`
	// The newest verified ones that stay whatever the rules say; at least 1.
	MinVerified int `yaml:"min_verified"`
	// For so long what was removed can be brought back, and takes its space. 0: not
	// at all.
	Grace Period `yaml:"grace"`
	// A backup of which no engine here can read more than the structure counts as
	// verified. For databases of a DuckDB that is newer than the engine inside.
	CountStructure bool `yaml:"count_structure"`
}

// Period is a retention.Period in a configuration: "30d", "1y6m" or "12h".
type Period struct{ retention.Period }

// UnmarshalYAML parses a scalar, reporting a fault with its line so that the
// decoder goes on to the next one.
func (p *Period) UnmarshalYAML(node *yaml.Node) error { return unmarshalScalar(node, &p.Period) }

// Policy is what the rules mean. The zone of a valid configuration is known.
func (r *Retention) Policy() (retention.Policy, error) {
	p := r.rules()
	var err error
	p.Location, err = loadZone(r.TimeZone)
	return p, err
}

func (r *Retention) rules() retention.Policy {
	return retention.Policy{
		Last: r.KeepLast, Hourly: r.KeepHourly, Daily: r.KeepDaily, Weekly: r.KeepWeekly, Monthly: r.KeepMonthly, Yearly: r.KeepYearly,
		Within: r.KeepWithin.Period, WithinHourly: r.KeepWithinHourly.Period, WithinDaily: r.KeepWithinDaily.Period,
		WithinWeekly: r.KeepWithinWeekly.Period, WithinMonthly: r.KeepWithinMonthly.Period, WithinYearly: r.KeepWithinYearly.Period,
		Tags: r.KeepTags, MinVerified: r.MinVerified, CountStructure: r.CountStructure, Grace: r.Grace.Period,
	}
}

// loadZone knows a time zone by its name in the IANA database; none is UTC.
// Local is no zone: the worker and whoever prunes by hand may be on machines
// that differ.
func loadZone(name string) (*time.Location, error) {
	location, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("%q is not the name of a time zone such as Europe/Amsterdam", name)
	}
	return location, nil
}

// fillIn sets the defaults of what is left out. Tags are no rule of their own:
// they add to what the rules keep, or to the default.
func (r *Retention) fillIn() {
	if r.rules().Empty() {
		r.KeepLast = DefaultKeepLast
	}
	setDefault(&r.TimeZone, time.UTC.String())
	setDefault(&r.MinVerified, DefaultMinVerified)
}

// NewRetention has the defaults of everything but the rules: it keeps all.
func NewRetention() Retention {
	return Retention{TimeZone: time.UTC.String(), MinVerified: DefaultMinVerified}
}

// CheckFlags reports everything wrong with rules that came from flags in one
// failure.Usage, a line each that names the flag.
func (r *Retention) CheckFlags() error {
	faults := r.check("")
	for i := range faults {
		name, _, _ := strings.Cut(strings.ReplaceAll(faults[i].at, "_", "-"), "[")
		faults[i].at = "--" + strings.Replace(name, "tags", "tag", 1)
	}
	return join(failure.Usage, faults, func(fault) string { return "" })
}

func (r *Retention) check(at string) []fault {
	k := &checks{at: at}
	k.require(r.KeepLast >= 0 && !r.rules().Empty() || r.KeepLast == KeepAll, "keep_last",
		"%d is not a number of backups: at least 1, or -1 to keep all", r.KeepLast)
	for _, n := range []struct {
		key   string
		value int
	}{
		{"keep_hourly", r.KeepHourly}, {"keep_daily", r.KeepDaily}, {"keep_weekly", r.KeepWeekly},
		{"keep_monthly", r.KeepMonthly}, {"keep_yearly", r.KeepYearly},
	} {
		k.require(n.value >= KeepAll, n.key, "%d is not a number of backups: 0 or more, or -1 to keep all", n.value)
	}
	_, err := loadZone(r.TimeZone)
	k.require(err == nil, "timezone", "%v", err)
	k.require(r.MinVerified >= 1, "min_verified", "%d is not a number of backups: at least 1", r.MinVerified)
	return append(k.faults, checkTags(at, "keep_tags", r.KeepTags)...)
}

// checkTags finds what cannot be a tag.
func checkTags(at, key string, tags []string) []fault {
	k := &checks{at: at}
	for i, tag := range tags {
		key := fmt.Sprintf("%s[%d]", key, i)
		k.require(tagPattern.MatchString(tag), key, "%q is not a tag: letters, digits and . _ : = + @ -, beginning with a letter or digit, at most 64", tag)
		k.require(!slices.Contains(tags[:i], tag), key, "%q is there already", tag)
	}
	return k.faults
}

// tagPattern is that of the manifest.
var tagPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:=+@-]{0,63}$`)
