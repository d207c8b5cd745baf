// Package failure is the one table of everything that can go wrong: for each
// kind its name in Temporal, whether trying again can help, the starter's exit
// status and what the operator can do.
package failure

import (
	"errors"
	"fmt"
)

// Exit statuses of the starter.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitPartly      = 3
	ExitBad         = 4 // the backup is bad
	ExitNotFound    = 5
	ExitInterrupted = 130
)

// Kind is a row of the table. Name is the Temporal application error type.
type Kind struct {
	Name  string
	Retry bool
	Exit  int
	Hint  string
}

// Error is a failure of a known kind. The message of Err says what happened
// and to which file.
type Error struct {
	Kind *Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of the given kind.
func Errorf(kind *Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Of classifies err by the outermost Error in its chain. An error that is in no row is Unexpected, which is retried.
func Of(err error) *Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unexpected
}

// Final lists the names of the kinds that trying again cannot help.
func Final() []string {
	var names []string
	for _, k := range Kinds {
		if !k.Retry {
			names = append(names, k.Name)
		}
	}
	return names
}
