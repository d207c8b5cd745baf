package retention

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParsePeriod(t *testing.T) {
	for text, want := range map[string]Period{
		"2y5m7d3h": {2, 5, 7, 3}, "30d": {Days: 30}, "1y6m": {Years: 1, Months: 6}, "12h": {Hours: 12},
		"0": {}, "0d": {}, "007d": {Days: 7}, "99999h": {Hours: 99999},
	} {
		got, err := ParsePeriod(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"100000d": `"100000d" is too long a period`, "9999999999999999999999d": `"9999999999999999999999d" is too long a period`,
		"": "", "d": "", "7": "", "00": "", "-1d": "", "1h30m": "", "30s": "", "1d1d": "", "1w": "", "1d ": "", " 1d": "", "1.5d": "", "1D": "", "+1d": "",
	} {
		_, err := ParsePeriod(text)
		if want == "" {
			want = `"` + text + `" is not a period such as 30d, 1y6m or 12h: years, months, days, hours`
		}
		assert.EqualError(t, err, want)
	}
}

func TestPeriodAfter(t *testing.T) {
	for _, tt := range []struct{ from, period, want string }{
		{"2026-11-23T12:00:00Z", "30d", "2026-12-23T12:00:00Z"},
		{"2026-01-31T12:00:00Z", "1m", "2026-03-03T12:00:00Z"},
		{"2024-02-29T12:00:00Z", "1y", "2025-03-01T12:00:00Z"},
		{"2026-10-24T12:00:00+02:00", "1d2h", "2026-10-25T12:00:00Z"},
		{"2026-11-23T12:00:00Z", "99999y99999m99999d99999h", "110644-05-05T03:00:00Z"},
	} {
		from, err := time.Parse(time.RFC3339, tt.from)
		require.NoError(t, err)
		p, err := ParsePeriod(tt.period)
		require.NoError(t, err)
		assert.Equal(t, tt.want, p.After(from).Format(time.RFC3339), "%s after %s", tt.period, tt.from)
	}
}

// TestPeriodGrows: no number can be made larger without the end moving later, or
// a larger policy would keep less.
func TestPeriodGrows(t *testing.T) {
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		from := now.Add(time.Duration(rng.IntN(10*365*24)) * time.Hour)
		p := Period{rng.IntN(5), rng.IntN(30), rng.IntN(70), rng.IntN(60)}
		q := p
		*[]*int{&q.Years, &q.Months, &q.Days, &q.Hours}[rng.IntN(4)] += 1 + rng.IntN(3)
		require.True(t, q.After(from).After(p.After(from)), "seed %d: %s and %s after %s", seed, p, q, from)
	}
}

func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"2y5m7d3h", "30d", "0", "", "1h30m", "99999y", "100000h", "1m1m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePeriod(s)
		if err != nil {
			assert.Zero(t, p)
			return
		}
		for _, n := range []int{p.Years, p.Months, p.Days, p.Hours} {
			assert.True(t, n >= 0 && n <= maxNumber)
		}
		again, err := ParsePeriod(p.String())
		require.NoError(t, err)
		assert.Equal(t, p, again)
		assert.Equal(t, p.IsZero(), strings.Trim(s, "0ymdh") == "")
		assert.False(t, p.After(now).Before(now))
	})
}
