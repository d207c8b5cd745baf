package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/failure"
)

func TestSpecIsAccepted(t *testing.T) {
	tests := []struct {
		cron     string
		timezone string
		line     string
		catchup  time.Duration
	}{
		{"0 3 * * *", "", "0 3 * * *", 24 * time.Hour},
		{"0 3 * * *", "UTC", "0 3 * * *", 24 * time.Hour},
		{"30 2 * * 1-5", "Europe/Amsterdam", "CRON_TZ=Europe/Amsterdam 30 2 * * 1-5", 24 * time.Hour},
		{"*/15 * * * *", "", "*/15 * * * *", 15 * time.Minute},
		{"0 3,4 * * *", "", "0 3,4 * * *", time.Hour},
		{"0 3 1 * *", "", "0 3 1 * *", 24 * time.Hour},
		{"0 3 29 2 *", "", "0 3 29 2 *", 24 * time.Hour},
		{"@daily", "", "@daily", 24 * time.Hour},
		{"@every 6h", "Asia/Tokyo", "CRON_TZ=Asia/Tokyo @every 6h", 6 * time.Hour},
		{"@every 10s", "", "@every 10s", time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			s := Spec{Database: "shop", Host: "db1", Cron: tt.cron, Timezone: tt.timezone}
			require.NoError(t, s.Check())
			assert.Equal(t, tt.line, s.cronLine())
			assert.Equal(t, tt.catchup, s.CatchupWindow())
			s.Catchup = time.Second
			assert.Equal(t, time.Second, s.CatchupWindow(), "what was asked for")
		})
	}
}

func TestSpecIsRefused(t *testing.T) {
	tests := []struct {
		name string
		spec Spec
		want string
	}{
		{"no expression", Spec{}, "the cron expression for shop is empty"},
		{"only blanks", Spec{Cron: "  "}, `cron expression "": empty spec string`},
		{"four fields", Spec{Cron: "0 3 * *"}, `cron expression "0 3 * *": expected exactly 5 fields, found 4: 0 3 * *`},
		{"six fields", Spec{Cron: "0 0 3 * * *"}, `cron expression "0 0 3 * * *": expected exactly 5 fields, found 6: 0 0 3 * * *`},
		{"hour 24", Spec{Cron: "0 24 * * *"}, `cron expression "0 24 * * *": end of range (24) above maximum (23): 24`},
		{"a field of commas", Spec{Cron: ", 3 * * *"}, `cron expression ", 3 * * *": that time never comes`},
		{"the 31st of February", Spec{Cron: "0 3 31 2 *"}, `cron expression "0 3 31 2 *": that time never comes`},
		{"an unknown word", Spec{Cron: "@nightly"}, `cron expression "@nightly": unrecognized descriptor: @nightly`},
		{"a zone in the expression", Spec{Cron: "TZ=UTC 0 3 * * *"}, `cron expression "TZ=UTC 0 3 * * *": the time zone goes into --timezone`},
		{"two kinds of day", Spec{Cron: "0 3 1 * 1"},
			`cron expression "0 3 1 * 1" gives a day of the month and a day of the week, which a schedule joins by and, a cron workflow by or: give one of them`},
		{"an unknown zone", Spec{Cron: "@daily", Timezone: "Europe/Atlantis"}, `time zone "Europe/Atlantis": unknown time zone Europe/Atlantis`},
		{"the machine's zone", Spec{Cron: "@daily", Timezone: "Local"}, `time zone "Local" depends on the machine: name one`},
		{"negative jitter", Spec{Cron: "@daily", Jitter: -1}, "jitter and catch-up window cannot be negative"},
		{"an overlap that would run two", Spec{Cron: "@daily", Overlap: "allow-all"}, `overlap policy "allow-all": want skip or buffer-one`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Database = "shop"
			err := tt.spec.Check()
			require.EqualError(t, err, tt.want)
			assert.Equal(t, failure.BadSchedule, failure.Of(err))
		})
	}
}

func TestMemoGivesTheSpecBack(t *testing.T) {
	spec := Spec{Database: "shop", Host: "db1", Cron: "0  3 * * *", Timezone: "Asia/Tokyo", Jitter: time.Minute, Overlap: "buffer-one", Catchup: time.Hour}
	memo, err := spec.memo()
	require.NoError(t, err)
	back, ok := specOfMemo(memo[specMemo])
	require.True(t, ok)
	assert.Equal(t, spec, back)
	for _, other := range []any{nil, 7, "not JSON", payload(nil)} {
		_, ok := specOfMemo(other)
		assert.False(t, ok, "%v", other)
	}
}

// What a database without max_age is held to follows from the longest time
// between two starts, however many there are on a day.
func TestLongest(t *testing.T) {
	const day = 24 * time.Hour
	for expression, want := range map[string]time.Duration{
		"0 3 * * *":          day,
		"@hourly":            time.Hour,
		"@every 90m":         90 * time.Minute,
		"* * * * *":          time.Minute,
		"0 0,3 * * *":        21 * time.Hour,
		"*/10 8-18 * * *":    13*time.Hour + 10*time.Minute,
		"* 8-18 * * *":       13*time.Hour + time.Minute,
		"*/15 * * * 1-5":     2*day + 15*time.Minute,
		"*/10 8-18 * * 1-5":  2*day + 13*time.Hour + 10*time.Minute,
		"0 3 * * 0":          7 * day,
		"0 3 1 * *":          31 * day,
		"*/5 * 1 * *":        30*day + 5*time.Minute,
		"*/5 * * 1-11 *":     31*day + 5*time.Minute,
		"0 3 1 1 *":          366 * day,
		"0 3 * 1,2,3,10 1-5": 185 * day,
	} {
		t.Run(expression, func(t *testing.T) {
			w, err := parseWhen(expression, "")
			require.NoError(t, err)
			assert.Equal(t, want, w.longest())
		})
	}
}
