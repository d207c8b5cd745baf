package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrTables: tables were named that the database does not have, or that cannot
// be taken out of it without others; the text says which.
var ErrTables = errors.New("engine: these tables cannot be taken out")

// ExtractRequest asks a child process to take tables out of the database file
// Path, into the new database File or as Parquet files into the directory Dir.
type ExtractRequest struct {
	Path      string `json:"path"`
	Key       string `json:"key,omitempty"`    // of an encrypted database; a new database is encrypted with it too
	Cipher    string `json:"cipher,omitempty"` // filled in by Extract
	ReadWrite bool   `json:"read_write"`       // Path is a scratch copy whose WAL only a writer can replay
	// Tables are names as in Table.Name; empty: all base tables.
	Tables      []string      `json:"tables,omitempty"`
	File        string        `json:"file,omitempty"` // must not exist
	Dir         string        `json:"dir,omitempty"`  // must exist and be empty
	TempDir     string        `json:"temp_dir"`
	MemoryLimit string        `json:"memory_limit,omitempty"`
	Threads     int           `json:"threads,omitempty"`
	Timeout     time.Duration `json:"-"`
	// Progress is called with the number of tables written so far and in all.
	Progress func(done, total int) `json:"-"`
}

// ExtractReport is what the child wrote.
type ExtractReport struct {
	Engine string           `json:"engine"`
	Tables []ExtractedTable `json:"tables"`
	// Storage is the storage version of the new database as the engine names it
	// ("v1.0.0+"); empty for Parquet files.
	Storage string `json:"storage,omitempty"`
	// Schema are the statements that make the tables, each ended by a semicolon.
	Schema []string `json:"schema"`
	// Notes say, a line each, what is not as in the database.
	Notes []string `json:"notes,omitempty"`
}

// ExtractedTable is one table: File is the name of its Parquet file, with which
// Rows was counted again; AsText are the columns that were written as text.
type ExtractedTable struct {
	Name   string   `json:"name"`
	Rows   int64    `json:"rows"`
	File   string   `json:"file,omitempty"`
	AsText []string `json:"as_text,omitempty"`
	Left   []string `json:"left_out,omitempty"` // generated columns, whose values are not stored
}

// Extract takes tables out of a database. The database is only read, unless it
// is a scratch copy. A new database has no WAL when Extract returns; nothing is
// synced. The errors are those of Scan, and ErrTables.
func Extract(ctx context.Context, req ExtractRequest) (*ExtractReport, error) {
	if (req.File == "") == (req.Dir == "") {
		return nil, errors.New("engine: extract either into a file or into a directory")
	}
	path, err := existing(req.Path)
	if err != nil {
		return nil, err
	}
	req.Path = path
	for _, p := range []*string{&req.File, &req.Dir} {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
		if strings.ContainsAny(*p, "?*[") {
			return nil, fmt.Errorf("engine: %s: the engine takes a path with a question mark, a star or a bracket for a pattern", *p)
		}
	}
	if req.Cipher, err = cipherOf(path, req.Key); err != nil {
		return nil, err
	}
	if req.Cipher == "" {
		req.Key = ""
	}
	if req.TempDir != "" {
		dir, err := os.MkdirTemp(req.TempDir, "engine-")
		if err != nil {
			return nil, fmt.Errorf("engine: make a directory to spill to: %w", err)
		}
		defer os.RemoveAll(dir)
		if req.TempDir, err = filepath.Abs(dir); err != nil {
			return nil, fmt.Errorf("engine: make a directory to spill to: %w", err)
		}
	}
	report, err := run(ctx, request{Kind: kindExtract, Path: path, Extract: &req}, req.Timeout, req.Progress)
	if err != nil {
		return nil, err
	}
	if report.Extract == nil {
		return nil, fmt.Errorf("%w %s: it answered another question", ErrCrashed, path)
	}
	return report.Extract, nil
}
