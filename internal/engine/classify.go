package engine

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// accidents are parts of the engine's texts that speak of this machine. An I/O
// error is never a verdict on the file.
var accidents = []string{
	"No space left on device",
	"Disk quota exceeded",
	"Input/output error",
	"Too many open files",
	"Permission denied",
	"Read-only file system",
	"Operation not permitted",
	"Device or resource busy",
	"No such device",
	"No such file or directory",
	// Network file systems.
	"Stale file handle",
	"Transport endpoint is not connected",
	"Connection timed out",
	"Connection reset by peer",
	"Host is down",
	"Remote I/O error",
	threadTexts[0], threadTexts[1],
}

// threadTexts speak of a limit on the number of processes, which counts threads:
// the engine's, a runtime's before it aborts.
var threadTexts = []string{"Resource temporarily unavailable", "failed to create new OS thread"}

// memoryTexts are parts of the texts of engines, and of what a runtime prints
// before it aborts, that speak of missing memory.
var memoryTexts = []string{
	"Out of Memory Error",
	"Cannot allocate memory",
	"std::bad_alloc",
	"runtime: out of memory",
	"runtime: cannot allocate memory",
}

var (
	fileVersion = regexp.MustCompile(`database file with version number (\d+), but we can only read versions? (?:between \d+ and )?(\d+)`)
	walVersion  = regexp.MustCompile(`WAL of version (\d+) - can only read version (\d+)`)
)

// classify sorts an error of the engine. What no rule knows is a verdict: the
// engine was asked to read the file and did not.
func classify(err error) *childError {
	text := err.Error()
	c := &childError{Class: classRejected, Text: shorten(text)}
	var de *duckdb.Error
	switch {
	case errors.As(err, &de) && de.Type == duckdb.ErrorTypeOutOfMemory, containsAny(text, memoryTexts):
		text, _, _ = strings.Cut(text, "\n\nPossible solutions") // general advice of the engine's
		c.Class, c.Text = classMemory, shorten(text)
	case strings.Contains(text, "Could not set lock on file"):
		c.Class = classLocked
	case tooNew(text):
		c.Class = classTooNew
	case containsAny(text, accidents):
		c.Class = classResources
	case lacksExtension(text):
		c.Class = classMissing
	}
	return c
}

// tooNew knows the three texts by which an engine says that a file is from its
// future. A version below its range is a damaged or ancient file.
func tooNew(text string) bool {
	for _, re := range []*regexp.Regexp{fileVersion, walVersion} {
		if m := re.FindStringSubmatch(text); m != nil {
			has, err1 := strconv.ParseUint(m[1], 10, 64)
			can, err2 := strconv.ParseUint(m[2], 10, 64)
			return err1 == nil && err2 == nil && has > can
		}
	}
	return strings.Contains(text, "storage version greater than the latest version")
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
