package duckfile

import (
	"errors"
	"fmt"
)

// What can be wrong with bytes. An error of reading them is none of these: it
// is returned as it came.
var (
	// ErrCorrupt: the bytes contradict the format.
	ErrCorrupt = errors.New("corrupt")
	// ErrNotDuckDB: the file does not begin as a DuckDB database does.
	ErrNotDuckDB = errors.New("not a DuckDB database")
	// ErrUnsupported: a valid file of a version this package does not know.
	ErrUnsupported = errors.New("unsupported")
	// ErrEncrypted: a valid file that needs a key.
	ErrEncrypted = errors.New("encrypted")
	// ErrWrongKey: a valid file that needs another key than the given one.
	ErrWrongKey = errors.New("wrong key")
	// ErrTruncated: the file ends before something that it refers to.
	ErrTruncated = errors.New("truncated")
)

// FormatError is one of the above with its place. Off is in bytes from the
// start of the file.
type FormatError struct {
	Off       int64
	What      string
	Got, Want any // nil: nothing to compare
	Err       error
}

func (e *FormatError) Error() string {
	s := fmt.Sprintf("%v: %s at byte %d", e.Err, e.What, e.Off)
	if e.Got != nil {
		s += fmt.Sprintf(": got %v", e.Got)
	}
	if e.Want != nil {
		s += fmt.Sprintf(", want %v", e.Want)
	}
	return s
}

func (e *FormatError) Unwrap() error { return e.Err }

func corrupt(off int64, what string, got, want any) error {
	return &FormatError{Off: off, What: what, Got: got, Want: want, Err: ErrCorrupt}
}
