// Package restore puts a backup back in place as a database file.
//
// The files are copied into a hidden directory beside the target, hashed on
// the way, compared with the manifest and synced before anything at the target
// changes. Then, each step durable before the next:
//
//  1. With KeepOld, copies of the old WAL files appear beside the name that
//     the old database will have, <target>.before-<UTC time>.
//  2. The old database is renamed to that name, then its WAL files.
//  3. The new WAL is renamed into place, where the backup has one.
//  4. The new database is renamed into place.
//
// So a database at the target always has its own WAL or, where it has none, no
// other's. An interruption leaves the target whole (the old or the new one) or
// absent; where it is absent, a WAL may stand alone, and the old database,
// never deleted, is complete under its .before name. Running the restore again
// finishes it.
//
// Extract takes tables out of a backup, into a new database or as Parquet files.
// It replaces nothing: the target appears whole, with one rename.
//
// What a killed restore leaves in the hidden directory is removed by the next
// one to the same target.
//
// The new file has the permissions of the one it replaces, else 0600, and
// belongs to the user who restores.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/vfs"
)

// Request says what to restore, and where to.
type Request struct {
	FS       vfs.FS
	Repo     *repo.Repo
	Database string
	Backup   string // an ID, or repo.Latest
	// At, unless zero, takes the newest verified backup that was finished at or
	// before it; Backup is then not looked at.
	At     time.Time
	Target string // the database file to make
	// KeepOld moves what is at the target aside instead of refusing it.
	KeepOld bool
	// AllowUnverified accepts a backup in any state.
	AllowUnverified bool
	// Scratch allows a target in the staging directory of a run, which a sweep
	// removes in time.
	Scratch bool
	// Resume takes a target that is this backup already, byte for byte, for the
	// work of an attempt that did not come to its end: it is only checked.
	Resume bool
	// DryRun checks all that can be checked without writing: the choice, the
	// target and who holds it, the free space, the sizes of the backup's files.
	DryRun bool
	// Scan opens the database at path with the engine and reads all of it; nil
	// skips the check. readWrite says that it is a scratch copy whose WAL can
	// only be replayed by a writer. A verdict against the file has a kind
	// (failure.BackupBad); other errors are passed on as they are. See Scanner.
	Scan func(ctx context.Context, path string, readWrite bool) ([]repo.Table, error)
	// Progress is called with bytes copied and bytes in all; nil: not called.
	Progress func(done, total int64)
	// Now names what is moved aside; zero: the time of the call.
	Now time.Time
}

// Result says what was restored, or would be (DryRun). Bytes is the size of
// Files. The backup is as of a moment between Started and Finished, the times of
// its copy. MovedAside has the new names of what was at the target.
type Result struct {
	Choice
	DryRun     bool         `json:"dry_run,omitempty"`
	Target     string       `json:"target"`
	Files      []repo.File  `json:"files"`
	Bytes      int64        `json:"bytes"`
	MovedAside []string     `json:"moved_aside"`
	Tables     []repo.Table `json:"tables"`
	// Unchecked says why the result was not compared with the backup's tables;
	// empty: it was, or the request did not ask for it.
	Unchecked string  `json:"unchecked,omitempty"`
	NeedBytes int64   `json:"need_bytes"` // of the target's file system
	FreeBytes int64   `json:"free_bytes"` // there, before the restore
	Seconds   float64 `json:"seconds"`
}

// walSuffixes are what DuckDB keeps beside a database file.
var walSuffixes = []string{".wal", ".wal.checkpoint", ".wal.recovery"}

// Run restores. The backup cannot be removed meanwhile. Errors by kind:
// UnknownDatabase, UnknownBackup and RepoCorrupt as of repo.Read; BackupBad for a backup that is not verified, whose files are
// not those of the manifest, or that reads differently afterwards (then the
// restored file stays, and the Result comes along); TargetBad, TargetExists and
// TargetInUse; Interrupted when ctx ends.
func Run(ctx context.Context, req Request) (_ *Result, err error) {
	begin := time.Now()
	if req.Now.IsZero() {
		req.Now = begin
	}
	reading, err := choose(req.Repo, req.Database, req.Backup, req.At, req.AllowUnverified)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reading.Close()) }()
	r, err := newRun(req, reading)
	if err != nil {
		return nil, err
	}
	if req.Resume {
		if r.placed, err = r.inPlace(ctx); err != nil {
			return nil, err
		}
	}
	if !r.placed {
		if err := r.checkTarget(); err != nil {
			return nil, err
		}
	}
	if req.DryRun {
		if err := r.plan(); err != nil {
			return nil, err
		}
		r.result.Seconds = time.Since(begin).Seconds()
		return r.result, nil
	}
	if err := r.openStage(); err != nil {
		return nil, err
	}
	err = r.steps(ctx)
	err = errors.Join(err, r.closeStage())
	r.result.Seconds = time.Since(begin).Seconds()
	if err != nil && !r.placed {
		return nil, err
	}
	return r.result, err
}

// run is the state of one restore.
type run struct {
	req      Request
	fs       vfs.FS // the repository and the target's directory are confined
	manifest *repo.Manifest
	source   string // the backup's directory
	db       repo.File
	wal      *repo.File // nil: the backup has none
	target   string
	dir      string // of the target
	perm     fs.FileMode
	stage    string
	lock     vfs.File
	placed   bool // the new database is at the target
	result   *Result
}

func newRun(req Request, reading *repo.Reading) (*run, error) {
	m := reading.Manifest()
	r := &run{req: req, manifest: m, source: reading.Dir(), target: filepath.Clean(req.Target), perm: 0o600}
	r.dir = filepath.Dir(r.target)
	r.result = &Result{Choice: choiceOf(m, req.At), DryRun: req.DryRun, Target: r.target, Files: m.Files, MovedAside: []string{}}
	for _, f := range m.Files {
		r.result.Bytes += f.Bytes
		if strings.HasSuffix(f.Name, ".wal") {
			r.wal = &f
		} else {
			r.db = f
		}
	}
	known := len(m.Files) == 1 && r.wal == nil || len(m.Files) == 2 && r.wal != nil && r.wal.Name == r.db.Name+".wal"
	if !known {
		return nil, failure.Errorf(failure.RepoCorrupt, "backup %s of %s does not list one database and its WAL", m.ID, m.Database)
	}
	return r, r.checkPlace()
}

// checkPlace looks at the target's directory.
func (r *run) checkPlace() error {
	if base := filepath.Base(r.target); r.req.Target == "" || base == "." || base == ".." || base == string(filepath.Separator) {
		return failure.Errorf(failure.TargetBad, "%q does not name a file", r.req.Target)
	}
	inside := r.inside(r.req.Repo.Dir(), r.target)
	// Links may lead into the repository. Where a path is not one of the machine's
	// there are none to follow.
	real, err := filepath.EvalSymlinks(r.dir)
	repoReal, repoErr := filepath.EvalSymlinks(r.req.Repo.Dir())
	if err == nil && repoErr == nil {
		inside = inside || r.inside(repoReal, filepath.Join(real, filepath.Base(r.target)))
	}
	if inside {
		return failure.Errorf(failure.TargetBad, "%s is inside the repository %s", r.target, r.req.Repo.Dir())
	}
	info, err := r.req.FS.Stat(r.dir)
	if err != nil {
		return targetError(err, "look at the directory %s", r.dir)
	}
	if !info.Mode.IsDir() {
		return failure.Errorf(failure.TargetBad, "%s is not a directory", r.dir)
	}
	return r.confine()
}

// confine makes links that others put into the directories that are written, or
// into the backup, lead nowhere. The old database is the operator's: he may have
// put it elsewhere and a link in its place, so it is looked at by req.FS.
func (r *run) confine() (err error) {
	if r.fs, err = r.req.FS.Confine(r.req.Repo.Dir()); err == nil {
		r.fs, err = r.fs.Confine(r.dir)
	}
	if err != nil {
		return targetError(err, "look at the directory %s", r.dir)
	}
	return nil
}

// inside tells whether the target is in the repository where it may not be.
func (r *run) inside(dir, target string) bool {
	rel, err := filepath.Rel(dir, target)
	outside := err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator))
	return !outside && !(r.req.Scratch && inStaging(rel))
}

// inStaging tells whether a path in the repository is in the staging directory
// of a run, <database>/.staging/<key>/..., where a drill has its scratch.
func inStaging(rel string) bool {
	parts := strings.Split(rel, string(filepath.Separator))
	return len(parts) >= 4 && parts[1] == ".staging" && !strings.HasPrefix(parts[2], ".")
}

// plan fills in the result of a dry run.
func (r *run) plan() error {
	if err := r.checkSizes(); err != nil {
		return err
	}
	if err := r.checkSpace(); err != nil {
		return err
	}
	if !r.req.KeepOld {
		return nil
	}
	aside, err := r.asideName()
	if err != nil {
		return err
	}
	for _, suffix := range append([]string{""}, walSuffixes...) {
		there, err := r.exists(r.target + suffix)
		if err != nil {
			return err
		}
		if there {
			r.result.MovedAside = append(r.result.MovedAside, aside+suffix)
		}
	}
	return nil
}

// steps does the work between opening and closing the staging directory.
func (r *run) steps(ctx context.Context) error {
	if r.placed {
		return r.check(ctx)
	}
	if err := r.checkSpace(); err != nil {
		return err
	}
	if err := r.copyFiles(ctx); err != nil {
		return err
	}
	if err := r.checkTarget(); err != nil { // the copy took a while
		return err
	}
	if r.req.KeepOld {
		if err := r.moveAside(); err != nil {
			return r.withAside(err)
		}
	}
	if err := r.place(); err != nil {
		return r.withAside(err)
	}
	return r.check(ctx)
}

// withAside adds where the old files are to an error.
func (r *run) withAside(err error) error {
	if len(r.result.MovedAside) == 0 {
		return err
	}
	return fmt.Errorf("%w (moved aside before that: %s)", err, strings.Join(r.result.MovedAside, ", "))
}

// targetError gives an error of the target's file system its kind.
func targetError(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	for _, known := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOTDIR, syscall.ENAMETOOLONG, vfs.ErrLink, vfs.ErrSpecial} {
		if errors.Is(err, known) {
			return failure.Errorf(failure.TargetBad, "%s: %w", what, err)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}
