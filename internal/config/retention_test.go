package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
	"canvasback/internal/retention"
)

const fullRetention = `  tags: [nightly, eu-1]
  retention:
    keep_last: 3
    keep_hourly: 24
    keep_daily: 7
    keep_weekly: 5
    keep_monthly: 12
    keep_yearly: -1
    keep_within: 2y5m7d3h
    keep_within_hourly: 12h
    keep_within_daily: 14d
    keep_within_weekly: 2m
    keep_within_monthly: 1y
    keep_within_yearly: 10y
    keep_tags: [release, audit]
    timezone: Europe/Amsterdam
    min_verified: 4
    grace: 30d
    count_structure: true
`

func TestRetentionBecomesAPolicy(t *testing.T) {
	_, path := write(t, head+fullRetention)
	c, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, []string{"nightly", "eu-1"}, c.Databases[0].Tags)
	p, err := c.Databases[0].Retention.Policy()
	require.NoError(t, err)
	assert.Equal(t, "Europe/Amsterdam", p.Location.String())
	p.Location = nil
	assert.Equal(t, retention.Policy{
		Last: 3, Hourly: 24, Daily: 7, Weekly: 5, Monthly: 12, Yearly: -1,
		Within:       retention.Period{Years: 2, Months: 5, Days: 7, Hours: 3},
		WithinHourly: retention.Period{Hours: 12}, WithinDaily: retention.Period{Days: 14}, WithinWeekly: retention.Period{Months: 2},
		WithinMonthly: retention.Period{Years: 1}, WithinYearly: retention.Period{Years: 10},
		Tags: []string{"release", "audit"}, MinVerified: 4, Grace: retention.Period{Days: 30}, CountStructure: true,
	}, p)
}

// TestRetentionDefault: ten backups stay by default, unless some other rule says
// how many.
func TestRetentionDefault(t *testing.T) {
	for text, want := range map[string]int{
		"{}": 10, "{keep_tags: [x]}": 10, "{grace: 30d, min_verified: 1, timezone: UTC, count_structure: true}": 10,
		"{keep_daily: 0}": 10, "{keep_within: 0}": 10, "{keep_last: 3}": 3, "{keep_last: -1}": -1,
		"{keep_hourly: 1}": 0, "{keep_daily: 7}": 0, "{keep_yearly: -1}": 0, "{keep_within: 1h}": 0, "{keep_within_yearly: 1y}": 0,
		"{keep_last: 0, keep_daily: 7}": 0, "{keep_last: 2, keep_daily: 7}": 2,
	} {
		_, path := write(t, head+"  retention: "+text+"\n")
		c, err := Load(path)
		require.NoError(t, err, text)
		assert.Equal(t, want, c.Databases[0].Retention.KeepLast, text)
		p, err := c.Databases[0].Retention.Policy()
		require.NoError(t, err)
		assert.False(t, p.Empty(), text)
	}
	c, err := FromFlags([]string{"shop=/srv/shop.duckdb"}, "/backups", "h")
	require.NoError(t, err)
	p, err := c.Databases[0].Retention.Policy()
	require.NoError(t, err)
	assert.Equal(t, retention.Policy{Last: 10, MinVerified: 2, Location: time.UTC}, p)
}

func TestRetentionRefuses(t *testing.T) {
	_, path := write(t, head+`  tags: [a b]
  retention:
    keep_hourly: -2
    keep_daily: -3
    keep_within: 1h30m
    keep_within_daily: soon
    keep_tags: [fine, "", -x, fine]
    timezone: Amsterdam
    min_verified: -1
    grace: 10s
  assertions: []
- name: web
  path: /srv/web.duckdb
  retention: {keep_last: 0, min_verified: 0, timezone: Local, keep_monthly: [1]}
- name: third
  path: /srv/third.duckdb
  retention:
    keep_last: 0
    keep_weekly: 0
    min_verified: 0
    timezone: Local
`)
	_, err := Load(path)
	require.Error(t, err)
	assert.Equal(t, failure.InvalidConfig, failure.Of(err))
	const form = "letters, digits and . _ : = + @ -, beginning with a letter or digit, at most 64"
	const period = "is not a period such as 30d, 1y6m or 12h: years, months, days, hours"
	want := ""
	for _, line := range []string{
		`:6: databases[0].tags[0]: "a b" is not a tag: ` + form,
		":8: databases[0].retention.keep_hourly: -2 is not a number of backups: 0 or more, or -1 to keep all",
		":9: databases[0].retention.keep_daily: -3 is not a number of backups: 0 or more, or -1 to keep all",
		`:10: "1h30m" ` + period,
		`:11: "soon" ` + period,
		`:12: databases[0].retention.keep_tags[1]: "" is not a tag: ` + form,
		`:12: databases[0].retention.keep_tags[2]: "-x" is not a tag: ` + form,
		`:12: databases[0].retention.keep_tags[3]: "fine" is there already`,
		`:13: databases[0].retention.timezone: "Amsterdam" is not the name of a time zone such as Europe/Amsterdam`,
		":14: databases[0].retention.min_verified: -1 is not a number of backups: at least 1",
		`:15: "10s" ` + period,
		":19: a whole number is wanted here",
		":23: databases[2].retention.keep_last: 0 is not a number of backups: at least 1, or -1 to keep all",
		":25: databases[2].retention.min_verified: 0 is not a number of backups: at least 1",
		`:26: databases[2].retention.timezone: "Local" is not the name of a time zone such as Europe/Amsterdam`,
	} {
		want += path + line + "\n"
	}
	assert.Equal(t, want, err.Error()+"\n")
}

func TestRetentionWithoutARuleIsRefusedWhateverItCameFrom(t *testing.T) {
	c, err := FromFlags([]string{"shop=/srv/shop.duckdb"}, "/backups", "h")
	require.NoError(t, err)
	c.Databases[0].Retention.KeepLast = 0
	assert.EqualError(t, c.Validate(), "databases[0].retention.keep_last: 0 is not a number of backups: at least 1, or -1 to keep all")
	c.Databases[0].Retention.KeepDaily = 7
	assert.NoError(t, c.Validate())
}

func TestRetentionFromFlags(t *testing.T) {
	r := NewRetention()
	p, err := r.Policy()
	require.NoError(t, err)
	assert.True(t, p.Empty())
	r.KeepLast = KeepAll
	require.NoError(t, r.CheckFlags())
	r.KeepLast, r.KeepHourly, r.KeepTags, r.MinVerified, r.TimeZone = -2, -7, []string{"a", "?"}, 0, "Mars/Base"
	err = r.CheckFlags()
	require.Error(t, err)
	assert.Equal(t, failure.Usage, failure.Of(err))
	assert.Equal(t, `--keep-last: -2 is not a number of backups: at least 1, or -1 to keep all
--keep-hourly: -7 is not a number of backups: 0 or more, or -1 to keep all
--timezone: "Mars/Base" is not the name of a time zone such as Europe/Amsterdam
--min-verified: 0 is not a number of backups: at least 1
--keep-tag: "?" is not a tag: letters, digits and . _ : = + @ -, beginning with a letter or digit, at most 64`, err.Error())
}
