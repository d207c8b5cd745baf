package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAt(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ text, zone, want string }{
		{"2026-11-23T12:00:00+02:00", "America/New_York", "2026-11-23T10:00:00Z"},
		{"2026-11-23 12:00", "Europe/Amsterdam", "2026-11-23T11:00:00Z"},
		{"2026-07-23 12:00:30", "Europe/Amsterdam", "2026-07-23T10:00:30Z"},
		{"2026-11-23", "UTC", "2026-11-23T00:00:00Z"},
		{"-2h", "", "2026-11-25T10:00:00Z"},
		{"-90m", "", "2026-11-25T10:30:00Z"},
		{"-3d", "", "2026-11-22T12:00:00Z"},
	} {
		got, err := parseAt(tt.text, tt.zone, now)
		require.NoError(t, err, tt.text)
		assert.Equal(t, tt.want, got.UTC().Format(time.RFC3339), tt.text)
	}
	for _, text := range []string{"yesterday", "2026-11-31", "2h", "--2h", "-", "-xd", "12:00"} {
		_, err := parseAt(text, "", now)
		assert.ErrorContains(t, err, "not a time", text)
	}
	_, err := parseAt("2026-11-23", "Mars/Phobos", now)
	assert.ErrorContains(t, err, "not a time zone")
	got, err := parseAt("", "", now)
	require.NoError(t, err)
	assert.True(t, got.IsZero())
}
