package hotcopy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"canvasback/internal/failure"
)

// What can move under a pass and end it.
const (
	movedHeader     = "its header moved"
	movedWAL        = "its WAL was replaced"
	movedBlocks     = "blocks changed"
	movedCheckpoint = "a checkpoint began or did not end"
)

// movement is a pass lost to the owner's own work.
type movement struct{ what, text string }

func (m *movement) Error() string { return m.text }

// moving makes the failure of a pass of kind Moving.
func moving(what, format string, args ...any) error {
	return failure.Errorf(failure.Moving, "%w", &movement{what, fmt.Errorf(format, args...).Error()})
}

// losses counts what ended passes.
type losses map[string]int

func (l losses) add(err error) {
	var m *movement
	if errors.As(err, &m) {
		l[m.what]++
	}
}

// String says what moved most often first.
func (l losses) String() string {
	var whats []string
	for what := range l {
		whats = append(whats, what)
	}
	slices.SortFunc(whats, func(a, b string) int {
		if l[a] != l[b] {
			return l[b] - l[a]
		}
		return strings.Compare(a, b)
	})
	for i, what := range whats {
		whats[i] = fmt.Sprintf("%s %d times", what, l[what])
	}
	return strings.Join(whats, ", ")
}

// because is the losses as a part of a sentence; empty where there are none.
func (l losses) because() string {
	if len(l) == 0 {
		return ""
	}
	return " (" + l.String() + ")"
}
