package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"canvasback/internal/duckfile"
)

// Verdicts on the file that the child was asked to read. Any other error is an
// accident of this machine (the child could not be started, the context ended,
// ErrResources, ErrLocked).
var (
	// ErrRejected: the engine opened or read the copy and reported an error.
	ErrRejected = errors.New("engine: the engine rejects the database")
	// ErrCrashed: the child died (signal, abort) or wrote garbage.
	ErrCrashed = errors.New("engine: the engine crashed on the database")
	// ErrTooNew: the storage version is newer than the engine can read.
	ErrTooNew = errors.New("engine: the database needs a newer engine")
	// ErrMissing: the database cannot be opened without an extension that the
	// engine does not have.
	ErrMissing = errors.New("engine: the database needs an extension that is not here")
)

// What the child could not decide: the file is neither proved nor refuted.
var (
	// ErrTimeout: the child did not finish in the given time and was killed.
	ErrTimeout = errors.New("engine: the engine did not finish in time")
	// ErrMemory: the child ran into its memory limit, found no memory, or was
	// killed by somebody else, which is what the kernel does when memory is short.
	ErrMemory = errors.New("engine: the engine ran out of memory")
)

// Accidents that say nothing about the file.
var (
	// ErrResources: the engine ran into a full or failing disk, a missing
	// permission, or a limit on the number of processes.
	ErrResources = errors.New("engine: the engine lacks disk, threads or permission here")
	// ErrEnded: a signal from outside ended the child, such as the SIGTERM that a
	// service manager sends to all processes of a service.
	ErrEnded = errors.New("engine: somebody ended the engine")
	// ErrLocked: another process holds the database open; the text names it.
	ErrLocked = errors.New("engine: another process holds the database")
	// ErrKey: an encrypted file was asked for without its key.
	ErrKey = errors.New("engine: the database's key is needed")
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
	Key         string        `json:"key,omitempty"`    // of an encrypted database; a secret, it travels by the child's stdin only
	Cipher      string        `json:"cipher,omitempty"` // filled in by Scan
	ReadWrite   bool          `json:"read_write"`
	Level       Level         `json:"level"`
	Assertions  []Assertion   `json:"assertions,omitempty"`
	TempDir     string        `json:"temp_dir"`
	MemoryLimit string        `json:"memory_limit,omitempty"` // DuckDB's form: "2GB"; empty: the engine's default
	Threads     int           `json:"threads,omitempty"`      // 0: the engine's default
	Timeout     time.Duration `json:"-"`
	// Command is the argv of a DuckDB command-line shell, of 1.1 or newer, that
	// reads the database in place of the linked engine; it is run without a
	// command shell. What goes wrong with it before it is shown the database is
	// an accident.
	Command []string `json:"-"`
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
	Engine     string            `json:"engine"` // "v1.5.6"; of an owner's own, "v1.4.1 (/usr/bin/duckdb)"
	Tables     []Table           `json:"tables"`
	Assertions []AssertionResult `json:"assertions,omitempty"`
	// Missing says, a line each, what the database holds of extensions that the
	// engine does not have. Tables with it are not in Tables, and no assertion
	// was asked.
	Missing []string `json:"missing,omitempty"`
	// Extract is the answer to Extract, which asks for nothing else.
	Extract *ExtractReport `json:"extract,omitempty"`
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
	// Undecided is set where Error says nothing about the database: UndecidedTime,
	// UndecidedMemory or UndecidedQuery.
	Undecided string `json:"undecided,omitempty"`
}

// What AssertionResult.Undecided may be.
const (
	UndecidedTime   = "time"   // no result within the assertion's time limit
	UndecidedMemory = "memory" // the query ran into the memory limit
	UndecidedQuery  = "query"  // it is no query, or one for another engine or an extension
)

// Scan opens the database in a child process and reads it. A request that may
// write is checkpointed after the reading, opened again read-only and must
// still have the same rows; assertions always run on a read-only database.
func Scan(ctx context.Context, req ScanRequest) (*ScanReport, error) {
	path, err := existing(req.Path)
	if err != nil {
		return nil, err
	}
	req.Path = path
	if req.Cipher, err = cipherOf(path, req.Key); err != nil {
		return nil, err
	}
	if req.Cipher == "" {
		req.Key = "" // the engine refuses a key for a plain file
	}
	if req.TempDir != "" {
		// The child may be killed while it spills: its files go with this directory.
		dir, err := os.MkdirTemp(req.TempDir, "engine-")
		if err != nil {
			return nil, fmt.Errorf("engine: make a directory to spill to: %w", err)
		}
		defer os.RemoveAll(dir)
		if req.TempDir, err = filepath.Abs(dir); err != nil {
			return nil, fmt.Errorf("engine: make a directory to spill to: %w", err)
		}
	}
	if len(req.Command) > 0 {
		return scanShell(ctx, req)
	}
	return run(ctx, request{Kind: kindScan, Path: path, Scan: &req}, req.Timeout, req.Progress)
}

// Checkpoint opens the database read-write in a child process, which must get
// the engine's lock, runs CHECKPOINT and closes it. ErrLocked means that
// another process, which the error names, holds the database. Timeout 0 means
// no limit.
func Checkpoint(ctx context.Context, path string, timeout time.Duration) error {
	path, err := existing(path)
	if err != nil {
		return err
	}
	_, err = run(ctx, request{Kind: kindCheckpoint, Path: path}, timeout, nil)
	return err
}

// cipherOf is the engine's name of the cipher of a file, empty for a plain one.
// It opens no file with CTR that it was not told to open so. ErrKey: the key is
// not the file's, or it has none and needs one. A file that cannot be judged is
// left to the engine.
func cipherOf(path, key string) (name string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h, err := duckfile.ReadOpaque(f)
	if err != nil || !h.Main.Encrypted() {
		return "", nil
	}
	if key == "" {
		return "", fmt.Errorf("%w: %s is encrypted", ErrKey, path)
	}
	if _, err := duckfile.ReadHeaders(f, duckfile.NewKey(key)); errors.Is(err, duckfile.ErrWrongKey) {
		return "", fmt.Errorf("%w: %s has another one", ErrKey, path)
	}
	return strings.TrimPrefix(h.Main.Encryption.Cipher.String(), "AES-256-"), nil
}

// existing refuses what the engine would create or fill: opening a missing or
// an empty file read-write makes a new database of it.
func existing(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("engine: %s: %w", path, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%w %s: not a regular file", ErrRejected, abs)
	case info.Size() == 0:
		return "", fmt.Errorf("%w %s: the file is empty", ErrRejected, abs)
	}
	// The engine follows symbolic links before it derives the WAL's name.
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	if strings.ContainsRune(abs+real, '?') {
		return "", fmt.Errorf("engine: %s: the engine does not find the WAL of a file whose path holds a question mark", abs)
	}
	return abs, nil
}
