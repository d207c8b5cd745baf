package engine

import (
	"context"
	"errors"
	"time"
)

// Verdicts on the file that the child was asked to read. Any other error is an
// accident of this machine (the child could not be started, the context ended).
var (
	// ErrRejected: the engine opened or read the copy and reported an error.
	ErrRejected = errors.New("engine: the engine rejects the database")
	// ErrCrashed: the child died (signal, abort, out of memory) or wrote garbage.
	ErrCrashed = errors.New("engine: the engine crashed on the database")
	// ErrTimeout: the child did not finish in the given time and was killed.
	ErrTimeout = errors.New("engine: the engine did not finish in time")
	// ErrTooNew: the storage version is newer than the engine can read.
	ErrTooNew = errors.New("engine: the database needs a newer engine")
)

// Level is how much Scan reads.
type Level string

const (
	// LevelOpen opens the database and lists its tables.
	LevelOpen Level = "open"
	// LevelFull also reads every column of every row into the fingerprints.
	LevelFull Level = "full"
)

// ScanRequest asks a child process to open the database file Path. TempDir
// must exist and is where the engine spills. Timeout 0 means no limit.
type ScanRequest struct {
	Path        string        `json:"path"`
	ReadWrite   bool          `json:"read_write"`
	Level       Level         `json:"level"`
	Assertions  []Assertion   `json:"assertions,omitempty"`
	TempDir     string        `json:"temp_dir"`
	MemoryLimit string        `json:"memory_limit,omitempty"` // DuckDB's form: "2GB"; empty: the engine's default
	Threads     int           `json:"threads,omitempty"`      // 0: the engine's default
	Timeout     time.Duration `json:"-"`
	// Progress is called with the number of tables read so far and in all.
	Progress func(done, total int) `json:"-"`
}

// Assertion is a query whose single value, as text, must equal Expect.
type Assertion struct {
	Name    string        `json:"name"`
	SQL     string        `json:"sql"`
	Expect  string        `json:"expect"`
	Timeout time.Duration `json:"timeout,omitempty"`
}

// ScanReport is what the child saw.
type ScanReport struct {
	Engine     string            `json:"engine"` // "v1.5.6"
	Tables     []Table           `json:"tables"`
	Assertions []AssertionResult `json:"assertions,omitempty"`
}

// Table is one base table, Name schema-qualified ("main.orders").
type Table struct {
	Name        string `json:"name"`
	Rows        int64  `json:"rows"`
	Fingerprint string `json:"fingerprint"` // 32 hex digits; empty at LevelOpen
}

// AssertionResult is what an assertion's query returned.
type AssertionResult struct {
	Name   string `json:"name"`
	Got    string `json:"got"`
	Error  string `json:"error,omitempty"`
	Passed bool   `json:"passed"`
}

// Scan opens the database in a child process and reads it.
func Scan(ctx context.Context, req ScanRequest) (*ScanReport, error) {
	return nil, errors.New("engine: not built yet")
}

// Checkpoint opens the database read-write in a child process, which must get
// the engine's lock, runs CHECKPOINT and closes it.
func Checkpoint(ctx context.Context, path string, timeout time.Duration) error {
	return errors.New("engine: not built yet")
}

// RunIfChild takes over the process if it was started as an engine child, and
// never returns then. Every main and TestMain whose process calls Scan or
// Checkpoint calls it first.
func RunIfChild() {}
