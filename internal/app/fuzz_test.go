package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzSpecOfMemo reads any text where a run carries what it was started from: what
// is taken is written and read again as the same.
func FuzzSpecOfMemo(f *testing.F) {
	m, err := Spec{Database: "shop", Host: "db1", Cron: "0 3 * * *"}.memo()
	require.NoError(f, err)
	f.Add(m[specMemo].(string))
	f.Add("null")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := specOfMemo(text)
		if !ok {
			return
		}
		again, err := s.memo()
		require.NoError(t, err)
		same, ok := specOfMemo(again[specMemo])
		require.True(t, ok)
		a, err := json.Marshal(s)
		require.NoError(t, err)
		b, err := json.Marshal(same)
		require.NoError(t, err)
		require.Equal(t, string(a), string(b))
	})
}

// FuzzWhen parses any text as when a schedule begins its runs. What is taken has a
// time between runs that is no less than nothing, and its last time is past.
func FuzzWhen(f *testing.F) {
	for _, text := range []string{"0 3 * * *", "@every 15m", "@daily", "CRON_TZ=UTC 0 0 1 1 *", "*/0 * * * *", "61 * * * *", "@every 999999999999h"} {
		f.Add(text, "Europe/Amsterdam")
	}
	now := time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, expression, zone string) {
		w, err := parseWhen(expression, zone)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.GreaterOrEqual(t, w.interval(), time.Duration(0))
		require.GreaterOrEqual(t, w.longest(), time.Duration(0))
		require.False(t, w.last(now.Add(-48*time.Hour), now).After(now))
	})
}
