package duckfile

import (
	"fmt"
	"strconv"
	"strings"
)

// Release is a series of DuckDB's releases and what it can read.
type Release struct {
	Major, Minor  int
	Version       uint64 // highest version of a main header, VersionInHeader aside
	Compatibility uint64 // highest compatibility of a database header
}

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// Releases are those that are known, the oldest first. Up to 1.1 the
// compatibility is not looked at.
var Releases = []Release{
	{1, 1, 64, 3}, {1, 2, 65, 4}, {1, 3, 66, 5}, {1, 4, 67, 6}, {1, 5, 68, 7}, {2, 0, 69, 69},
}

// ReleaseOf finds the series of a version such as "v1.5.6" or "1.4.1". One that
// is newer than all that are known reads at least as much as the newest; false
// for one that is older, or no version.
func ReleaseOf(version string) (Release, bool) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return Release{}, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return Release{}, false
	}
	found, ok := Release{}, false
	for _, r := range Releases {
		if major > r.Major || major == r.Major && minor >= r.Minor {
			found, ok = r, true
		}
	}
	found.Major, found.Minor = major, minor
	return found, ok
}

// Before tells whether r is the older series.
func (r Release) Before(other Release) bool {
	return r.Major < other.Major || r.Major == other.Major && r.Minor < other.Minor
}

// Needed is the oldest series that reads a file with these in its main header
// and its current database header. A compatibility of 0 is not known, as
// without the key of an encrypted file. False: a file that no known one reads.
func Needed(version, compatibility uint64, encrypted bool) (Release, bool) {
	for _, r := range Releases {
		reads := version <= r.Version || version == VersionInHeader && r.Version >= MaxVersion
		if reads && compatibility <= r.Compatibility && (!encrypted || !r.Before(Release{Major: 1, Minor: 4})) {
			return r, true
		}
	}
	return Release{}, false
}
