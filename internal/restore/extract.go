package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// ExtractRequest asks for tables of a backup: in a new database file, or as a
// new directory of Parquet files. Only the copy in the repository is read.
type ExtractRequest struct {
	FS              vfs.FS // the engine writes beside it: of the operating system's files
	Repo            *repo.Repo
	Database        string
	Backup          string    // as in Request
	At              time.Time // as in Request
	AllowUnverified bool
	// Tables are SCHEMA.NAME, or NAME alone for schema main; none: all.
	Tables []string
	Target string // the file, or the directory; must not exist
	Export bool   // Parquet files instead of a database
	DryRun bool   // as in Request
	Engine Engine
	// Progress is told of PhaseHash and PhaseScratch in bytes, of PhaseTables
	// and PhaseCheck in tables; nil: not called.
	Progress func(phase string, done, total int64)
}

// Phases of Extract.
const (
	PhaseHash    = "hash"
	PhaseScratch = "scratch"
	PhaseTables  = "tables"
	PhaseCheck   = "check"
)

// ExtractResult says what was written, or would be (DryRun).
type ExtractResult struct {
	Choice
	DryRun  bool           `json:"dry_run,omitempty"`
	Target  string         `json:"target"`
	Engine  string         `json:"engine,omitempty"`
	Storage string         `json:"storage,omitempty"` // version of the new database's storage
	Tables  []ExtractTable `json:"tables"`
	Notes   []string       `json:"notes"` // what is not as in the backup
	// Encrypted: the new database has the backup's key; Parquet files have none.
	Encrypted bool    `json:"encrypted"`
	Unchecked string  `json:"unchecked,omitempty"` // as in Result
	Bytes     int64   `json:"bytes"`               // written
	NeedBytes int64   `json:"need_bytes"`          // estimated: the tables' share of the rows, and a scratch copy where there must be one
	FreeBytes int64   `json:"free_bytes"`
	Seconds   float64 `json:"seconds"`
}

// ExtractTable is one table. File, Bytes, AsText and LeftOut are of its Parquet
// file: its size, the columns in it as text and the generated ones not in it.
type ExtractTable struct {
	Name        string   `json:"name"`
	Rows        int64    `json:"rows"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	File        string   `json:"file,omitempty"`
	Bytes       int64    `json:"bytes,omitempty"`
	AsText      []string `json:"as_text,omitempty"`
	LeftOut     []string `json:"left_out,omitempty"`
}

const (
	stagedExport  = "export"
	stagedTables  = "canvasback staged.duckdb" // no schema is called so
	stagedSource  = "source.duckdb"
	exportDoc     = "export.json"
	exportSchema  = "schema.sql"
	schemaComment = "-- The tables of backup %s of %s, as DuckDB %s has them.\n"
)

// Extract takes tables out of a backup. The new file or directory is built in
// the restore's staging directory, compared with the manifest, synced and then
// renamed into place: until then nothing is at the target, whatever happens.
// Errors by kind as of Run, and UnknownTable; Usage for tables that cannot be
// taken out without others. Tables that read otherwise than at verification are
// BackupBad, and nothing is put in place.
func Extract(ctx context.Context, req ExtractRequest) (_ *ExtractResult, err error) {
	begin := time.Now()
	if req.Progress == nil {
		req.Progress = func(string, int64, int64) {}
	}
	reading, err := choose(req.Repo, req.Database, req.Backup, req.At, req.AllowUnverified)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reading.Close()) }()
	r, err := newRun(Request{FS: req.FS, Repo: req.Repo, Target: req.Target, At: req.At}, reading)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(r.target, "?*[") {
		return nil, failure.Errorf(failure.TargetBad, "%s: the engine takes a path with a question mark, a star or a bracket for a pattern", r.target)
	}
	x := &extract{run: r, req: req, result: &ExtractResult{
		Choice: r.result.Choice, DryRun: req.DryRun, Target: r.target, Tables: []ExtractTable{}, Notes: []string{},
		Encrypted: r.manifest.Source.Encrypted && !req.Export,
	}}
	if err := x.checks(); err != nil {
		return nil, err
	}
	if !req.DryRun {
		if err := r.openStage(); err != nil {
			return nil, err
		}
		err = x.steps(ctx)
		if err = errors.Join(err, r.closeStage()); err != nil && !r.placed {
			return nil, err
		}
	}
	x.result.Seconds = time.Since(begin).Seconds()
	return x.result, err
}

type extract struct {
	*run
	req     ExtractRequest
	result  *ExtractResult
	want    []repo.Table // of the manifest
	scratch bool         // the engine reads a scratch copy
}

// checks is all that comes before the first write.
func (x *extract) checks() (err error) {
	if x.want, err = chooseTables(x.manifest, x.req.Tables); err != nil {
		return err
	}
	for _, t := range x.want {
		x.result.Tables = append(x.result.Tables, ExtractTable{Name: t.Name, Rows: t.Rows, Fingerprint: t.Fingerprint})
	}
	if err := x.absent(); err != nil {
		return err
	}
	if err := x.checkSizes(); err != nil {
		return err
	}
	x.scratch = x.wal != nil && x.needsWrite(filepath.Join(x.source, x.wal.Name))
	need := x.share()
	if x.scratch {
		need += x.run.result.Bytes
	}
	free, err := x.fs.FreeBytes(x.dir)
	if err != nil {
		return targetError(err, "ask for the free space of %s", x.dir)
	}
	x.result.NeedBytes, x.result.FreeBytes = need, free
	if free < need {
		return failure.Errorf(failure.TargetBad, "%s has %d bytes free, the tables need about %d", x.dir, free, need)
	}
	return nil
}

// share is the part of the backup's bytes that the tables have of its rows.
func (x *extract) share() int64 {
	if !HasTables(x.manifest) {
		return x.run.result.Bytes
	}
	count := func(tables []repo.Table) (rows float64) {
		for _, t := range tables {
			rows += float64(t.Rows)
		}
		return rows
	}
	all := count(x.manifest.Verification.Tables)
	if all == 0 {
		return 0
	}
	return int64(float64(x.run.result.Bytes) * count(x.want) / all)
}

// absent refuses a target that exists, and a WAL that DuckDB would take for
// that of a new database.
func (x *extract) absent() error {
	suffixes := []string{""}
	if !x.req.Export {
		suffixes = append(suffixes, walSuffixes...)
	}
	for _, suffix := range suffixes {
		there, err := x.exists(x.target + suffix)
		if err != nil {
			return err
		}
		if there {
			return failure.Errorf(failure.TargetExists, "%s exists, and tables go to a new place only", x.target+suffix)
		}
	}
	return nil
}

// steps does the work between opening and closing the staging directory.
func (x *extract) steps(ctx context.Context) error {
	path, err := x.readable(ctx)
	if err != nil {
		return err
	}
	staged, err := x.write(ctx, path)
	if err != nil {
		return err
	}
	if err := x.sync(staged); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failure.Errorf(failure.Interrupted, "write %s: %w", x.target, err)
	}
	if err := x.absent(); err != nil { // it took a while
		return err
	}
	if err := x.fs.Rename(staged, x.target); err != nil {
		return targetError(err, "put %s in place", x.target)
	}
	x.placed = true
	if err := x.syncTargetDir(); err != nil {
		return fmt.Errorf("%s is in place, but would perhaps not survive a power failure: %w", x.target, err)
	}
	return nil
}

// readable compares the backup's bytes with the manifest and returns what the
// engine can open: the backup itself, or a scratch copy for a WAL that only a
// writer can replay.
func (x *extract) readable(ctx context.Context) (string, error) {
	var done int64
	phase := PhaseHash
	if x.scratch {
		phase = PhaseScratch
	}
	progress := func(n int64) {
		done += n
		x.req.Progress(phase, done, x.run.result.Bytes)
	}
	progress(0)
	for _, f := range x.manifest.Files {
		var err error
		if x.scratch {
			err = x.copyFile(ctx, f, stagedSource+strings.TrimPrefix(f.Name, x.db.Name), progress)
		} else {
			err = x.hashFile(ctx, f, progress)
		}
		if err != nil {
			return "", err
		}
	}
	if x.scratch {
		return filepath.Join(x.stage, stagedSource), nil
	}
	return filepath.Join(x.source, x.db.Name), nil
}

func (x *extract) hashFile(ctx context.Context, f repo.File, progress func(int64)) error {
	name := filepath.Join(x.source, f.Name)
	in, err := x.fs.Open(name)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	defer in.Close()
	sum, buf := sha256.New(), make([]byte, copyBytes)
	for {
		if err := ctx.Err(); err != nil {
			return failure.Errorf(failure.Interrupted, "read %s: %w", name, err)
		}
		n, err := in.Read(buf)
		sum.Write(buf[:n])
		progress(int64(n))
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return failure.Errorf(failure.BackupBad, "%s has SHA-256 %s, its manifest says %s", name, got, f.SHA256)
	}
	return nil
}
