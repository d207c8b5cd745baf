package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// childName is argv[0] of a child. It is what RunIfChild recognises: unlike an
// environment variable it cannot be inherited by mistake.
const childName = "canvasback-engine"

// Kinds of request.
const (
	kindScan       = "scan"
	kindCheckpoint = "checkpoint"
	kindExtract    = "extract"
	kindProbe      = "probe"
)

// request is the one JSON value that a child reads from stdin.
type request struct {
	Kind    string          `json:"kind"`
	Path    string          `json:"path"` // absolute
	Scan    *ScanRequest    `json:"scan,omitempty"`
	Extract *ExtractRequest `json:"extract,omitempty"`
	Probe   *ProbeRequest   `json:"probe,omitempty"`
}

// reply is one line of a child's stdout. Exactly one field is set; a line with
// Report or Error is the last.
type reply struct {
	Progress *tableProgress `json:"progress,omitempty"`
	Report   *ScanReport    `json:"report,omitempty"`
	Error    *childError    `json:"error,omitempty"`
}

type tableProgress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// childError is an error of the child, with the class that survives the pipe.
type childError struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// Classes of childError. classSetup is a request that the engine refuses, such
// as a memory limit that it cannot parse.
const (
	classRejected  = "rejected"
	classTooNew    = "too new"
	classResources = "resources"
	classMemory    = "memory"
	classMissing   = "missing"
	classLocked    = "locked"
	classTables    = "tables"
	classSetup     = "setup"
)

func (e *childError) Error() string { return e.Text }

// maxText bounds the engine's texts in errors and results, in bytes.
const maxText = 4 << 10

// err is the parent's form of the error.
func (e *childError) err(path string) error {
	switch e.Class {
	case classRejected:
		return fmt.Errorf("%w %s: %s", ErrRejected, path, e.Text)
	case classTooNew:
		return fmt.Errorf("%w %s: %s", ErrTooNew, path, e.Text)
	case classMissing:
		return fmt.Errorf("%w %s: %s", ErrMissing, path, e.Text)
	case classResources:
		return fmt.Errorf("%w: %s: %s", ErrResources, path, e.Text)
	case classMemory:
		return fmt.Errorf("%w: %s: %s", ErrMemory, path, e.Text)
	case classLocked:
		return fmt.Errorf("%w %s: %s", ErrLocked, path, e.Text)
	case classTables:
		return fmt.Errorf("%w: %s: %s", ErrTables, path, e.Text)
	default:
		return fmt.Errorf("engine: set up for %s: %s", path, e.Text)
	}
}

// parseReply reads one line and refuses what no child writes.
func parseReply(line []byte) (*reply, error) {
	dec := json.NewDecoder(strings.NewReader(string(line)))
	dec.DisallowUnknownFields()
	var r reply
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("line of the child: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("line of the child: more than one value")
	}
	n := 0
	for _, set := range []bool{r.Progress != nil, r.Report != nil, r.Error != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return nil, fmt.Errorf("line of the child: %d fields are set", n)
	}
	return &r, nil
}

// shorten cuts s to maxText bytes, keeping both ends, and makes it one that
// JSON can carry.
func shorten(s string) string {
	if len(s) > maxText {
		s = s[:maxText/2] + " ... " + s[len(s)-maxText/2:]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
