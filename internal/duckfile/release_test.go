package duckfile

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReleaseOf(t *testing.T) {
	for version, want := range map[string]Release{
		"v1.5.6": {1, 5, 68, 7}, "1.4.1": {1, 4, 67, 6}, "v1.1.3": {1, 1, 64, 3},
		"1.9.0": {1, 9, 68, 7}, "2.0.0": {2, 0, 69, 69}, "v3.1.0-dev": {3, 1, 69, 69},
	} {
		got, ok := ReleaseOf(version)
		assert.True(t, ok, version)
		assert.Equal(t, want, got, version)
	}
	for _, version := range []string{"", "v1", "one.two", "1.0.0", "v0.9.2"} {
		_, ok := ReleaseOf(version)
		assert.False(t, ok, version)
	}
}

func TestNeeded(t *testing.T) {
	tests := []struct {
		version, compatibility uint64
		encrypted              bool
		want                   string // empty: nobody reads it
	}{
		{64, 0, false, "1.1"},
		{64, 1, false, "1.1"},
		{64, 7, false, "1.5"},
		{65, 4, false, "1.2"},
		{65, 7, false, "1.5"},
		{67, 6, false, "1.4"},
		{68, 7, false, "1.5"},
		{64, 1, true, "1.4"},
		{67, 0, true, "1.4"},
		{VersionInHeader, 69, false, "2.0"},
		{VersionInHeader, 0, true, "2.0"},
		{MaxVersion, 69, false, "2.0"},
		{VersionInHeader, 70, false, ""},
	}
	for _, tt := range tests {
		got, ok := Needed(tt.version, tt.compatibility, tt.encrypted)
		assert.Equal(t, tt.want != "", ok, "%v", tt)
		if ok {
			assert.Equal(t, tt.want, got.String(), "%v", tt)
		}
	}
}

func TestReleasesAreInOrder(t *testing.T) {
	for i := range Releases[1:] {
		assert.True(t, Releases[i].Before(Releases[i+1]))
		assert.False(t, Releases[i+1].Before(Releases[i]))
		assert.Less(t, Releases[i].Version, Releases[i+1].Version)
	}
	assert.EqualValues(t, MaxVersion, Releases[len(Releases)-1].Version)
}
