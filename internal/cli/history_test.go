package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/health"
)

func TestBar(t *testing.T) {
	tests := []struct {
		value, largest float64
		want, ascii    string
	}{
		{0, 10, "", ""},
		{10, 10, "████████", "########"},
		{5, 10, "████", "####"},
		{10.0 / 64, 10, "▏", "#"},
		{1e-9, 10, "▏", "#"},
		{6, 10, "████▊", "#####"},
		{7, 0, "", ""},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, bar(tt.value, tt.largest, false), "%v of %v", tt.value, tt.largest)
		assert.Equal(t, tt.ascii, bar(tt.value, tt.largest, true), "%v of %v", tt.value, tt.largest)
	}
}

func TestLocale(t *testing.T) {
	of := func(set map[string]string) bool { return utf8Locale(func(name string) string { return set[name] }) }
	assert.True(t, of(map[string]string{"LANG": "en_GB.UTF-8"}))
	assert.True(t, of(map[string]string{"LANG": "C.utf8"}))
	assert.False(t, of(map[string]string{"LANG": "en_GB.UTF-8", "LC_ALL": "C"}), "LC_ALL is before LANG")
	assert.True(t, of(map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}))
	assert.False(t, of(nil))
}

func TestHistoryTable(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	runs := []historyDoc{
		{health.Ended{Status: "failed", Started: at, Error: "no copy could be accepted\nmore"}, 120},
		{health.Ended{Status: "completed", State: "verified", Started: at.AddDate(0, 0, -1), Backup: "b2", Rule: "A", Attempts: 2, Bytes: 2 << 30}, 60},
		{health.Ended{Status: "completed", State: "verified", Started: at.AddDate(0, 0, -2), Backup: "b1", Rule: "hold", Attempts: 1, Bytes: 1 << 30}, 30},
		{health.Ended{Status: "canceled", Started: at.AddDate(0, 0, -3)}, 1},
	}
	var out bytes.Buffer
	require.NoError(t, painter{w: &out}.history("shop", runs, true))
	assert.Equal(t, strings.TrimLeft(`
STARTED (UTC)        OUTCOME   RULE  TRIES  TIME            SIZE               BACKUP  ERROR
2026-11-23 03:00:00  failed                 2m0s  ########                             no copy could be accepted
2026-11-22 03:00:00  verified  A     2      1m0s  ####      2.0 GiB  ########  b2
2026-11-21 03:00:00  verified  hold  1      30s   ##        1.0 GiB  ####      b1
2026-11-20 03:00:00  canceled               1s    #
`, "\n"), out.String())
}

// A database that has moved shows where each run was.
func TestHistoryTableOfTwoHosts(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	runs := []historyDoc{
		{health.Ended{Status: "completed", State: "verified", Started: at, Backup: "b2", Rule: "A", Attempts: 1, Bytes: 1 << 30, Host: "db2"}, 30},
		{health.Ended{Status: "completed", State: "verified", Started: at.AddDate(0, 0, -1), Backup: "b1", Rule: "A", Attempts: 1, Bytes: 1 << 30, Host: "db1"}, 30},
	}
	var out bytes.Buffer
	require.NoError(t, painter{w: &out}.history("shop", runs, true))
	assert.Equal(t, strings.TrimLeft(`
STARTED (UTC)        HOST  OUTCOME   RULE  TRIES  TIME            SIZE               BACKUP  ERROR
2026-11-23 03:00:00  db2   verified  A     1      30s   ########  1.0 GiB  ########  b2
2026-11-22 03:00:00  db1   verified  A     1      30s   ########  1.0 GiB  ########  b1
`, "\n"), out.String())
}
