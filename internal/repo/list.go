package repo

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"canvasback/internal/failure"
)

// A faultyError is a backup whose manifest could not be used.
type faultyError struct {
	id  string
	err error
}

func (e *faultyError) Error() string { return e.err.Error() }
func (e *faultyError) Unwrap() error { return e.err }

// List returns the backups of a database, oldest first by start, then ID; none
// where the database has no directory. Manifests that cannot be used are
// reported in a joined error (RepoCorrupt, naming the file), with the good
// ones still returned.
func (r *Repo) List(database string) ([]Manifest, error) {
	good, faulty, err := r.scan(database)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(faulty))
	for i, f := range faulty {
		errs[i] = f
	}
	return good, errors.Join(errs...)
}

// Get returns the backup with the ID, or the newest verified one for Latest.
// Latest refuses to pass over a newer backup whose manifest it cannot read.
func (r *Repo) Get(database, id string) (*Manifest, error) {
	_, found, err := r.databaseDir(database)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, failure.Errorf(failure.UnknownDatabase, "repository %s has no database %q", r.dir, database)
	}
	if id == Latest {
		return r.newest(database, func(Manifest) bool { return true }, func(time.Time) bool { return true })
	}
	if !ValidID(id) {
		return nil, failure.Errorf(failure.UnknownBackup, "%q is not the ID of a backup of %s", id, database)
	}
	m, err := r.load(database, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.Errorf(failure.UnknownBackup, "repository %s has no backup %s of %s", r.dir, id, database)
	}
	return m, err
}

// NewestBefore returns the newest verified backup that was finished at or before
// t: a copy can hold commits up to its end, and none of later. Like Get of
// Latest it refuses to pass over a manifest that it cannot read and that may be
// the one; UnknownDatabase and UnknownBackup as there.
func (r *Repo) NewestBefore(database string, t time.Time) (*Manifest, error) {
	_, found, err := r.databaseDir(database)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, failure.Errorf(failure.UnknownDatabase, "repository %s has no database %q", r.dir, database)
	}
	m, err := r.newest(database,
		func(m Manifest) bool { return !m.Finished.After(t) },
		func(started time.Time) bool { return !started.After(t) })
	if failure.Of(err) == failure.UnknownBackup {
		err = fmt.Errorf("finished by %s: %w", t.UTC().Format(time.RFC3339), err)
	}
	return m, err
}

// newest is the newest verified backup that eligible allows. possible says of
// one that cannot be read whether it may be that, by the start in its ID.
func (r *Repo) newest(database string, eligible func(Manifest) bool, possible func(started time.Time) bool) (*Manifest, error) {
	good, faulty, err := r.scan(database)
	if err != nil {
		return nil, err
	}
	var newest *Manifest
	for i := range good {
		if good[i].State == StateVerified && eligible(good[i]) {
			newest = &good[i]
		}
	}
	for _, f := range faulty {
		started, _, err := ParseID(f.id)
		if err == nil && possible(started) && (newest == nil || f.id > newest.ID) {
			return nil, fmt.Errorf("the newest backup of %s is not known, name one by its ID: %w", database, f)
		}
	}
	if newest == nil {
		return nil, failure.Errorf(failure.UnknownBackup, "repository %s has no verified backup of %s", r.dir, database)
	}
	return newest, nil
}

// FindRun returns the backup whose Run is key, nil if there is none. A damaged
// manifest is an error only where the backup's ID says that it may be this
// run's, so that an old one does not stop new runs.
func (r *Repo) FindRun(database, key string) (*Manifest, error) {
	good, faulty, err := r.scan(database)
	if err != nil {
		return nil, err
	}
	for i := range good {
		if good[i].Run == key {
			return &good[i], nil
		}
	}
	for _, f := range faulty {
		if failure.Of(f) != failure.RepoCorrupt || f.id[len(f.id)-4:] == keyDigits(key) {
			return nil, f
		}
	}
	return nil, nil
}

// scan loads every manifest: the good ones sorted, the others as errors.
func (r *Repo) scan(database string) ([]Manifest, []*faultyError, error) {
	dir, found, err := r.databaseDir(database)
	if err != nil || !found {
		return nil, nil, err
	}
	entries, err := r.fs.ReadDir(dir)
	if err != nil {
		return nil, nil, writeError(err, "list the backups in %s", dir)
	}
	var good []Manifest
	var faulty []*faultyError
	for _, e := range entries {
		if !ValidID(e.Name()) {
			continue // staging, lock, and what is not ours
		}
		m, err := r.load(database, e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist): // no manifest, no backup; or removed just now
		case err != nil:
			faulty = append(faulty, &faultyError{e.Name(), err})
		default:
			good = append(good, *m)
		}
	}
	slices.SortFunc(good, func(a, b Manifest) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	})
	return good, faulty, nil
}

// load reads one manifest. The error is fs.ErrNotExist where there is none.
func (r *Repo) load(database, id string) (*Manifest, error) {
	return r.loadFrom(r.BackupDir(database, id), database, id)
}

func (r *Repo) loadFrom(dir, database, id string) (*Manifest, error) {
	found, err := realDir(r.fs, dir)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, manifestName)
	if !found {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	data, err := r.readSmall(name, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := Decode(data)
	if err != nil {
		return nil, failure.Errorf(failure.RepoCorrupt, "%s: %w", name, err)
	}
	if m.ID != id || m.Database != database {
		return nil, failure.Errorf(failure.RepoCorrupt, "%s describes backup %s of %s, not its own directory", name, m.ID, m.Database)
	}
	return m, nil
}

// readSmall reads a file of the repository's own whole: RepoCorrupt where it is
// no regular file or has more than limit bytes, fs.ErrNotExist if it is not there.
func (r *Repo) readSmall(name string, limit int64) ([]byte, error) {
	info, err := r.fs.Lstat(name)
	switch {
	case err != nil:
		return nil, writeError(err, "read %s", name)
	case !info.Mode.IsRegular():
		return nil, failure.Errorf(failure.RepoCorrupt, "%s is not a regular file", name)
	case info.Size > limit:
		return nil, failure.Errorf(failure.RepoCorrupt, "%s has %d bytes, more than %d", name, info.Size, limit)
	}
	f, err := r.fs.Open(name)
	if err != nil {
		return nil, writeError(err, "read %s", name)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, writeError(err, "read %s", name)
	}
	return data, nil
}
