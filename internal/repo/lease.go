package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// Lease is the right of one run to work on a database. While an activity
// works, a flock backs it; between two activities, a record with an end.
type Lease struct {
	repo *Repo
	dir  string
	run  string
	lock vfs.File // nil: released
}

// maxRunBytes bounds the name of a run. A record of a longer one could not be read
// again, and would keep every other run out.
const maxRunBytes = 1 << 10

// maxRecordBytes bounds what is read of a record into memory.
const maxRecordBytes = 64 << 10

// record is the content of <database>/.run. Run may go on, and no other may
// begin, before Until.
type record struct {
	Run   string    `json:"run"`
	Until time.Time `json:"until"`
}

// Acquire takes the lease of a database for a run: Busy, naming the other run,
// while a process holds it or another run's record has not ended. A process
// that dies leaves its record as the last Close of the run wrote it.
func (r *Repo) Acquire(database, run string, now time.Time) (*Lease, error) {
	if run == "" || len(run) > maxRunBytes {
		return nil, fmt.Errorf("acquire: the run's name has %d bytes, 1 to %d are wanted", len(run), maxRunBytes)
	}
	dir, err := r.ensureDatabaseDir(database)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(r.fs, dir)
	if err != nil {
		return nil, err
	}
	l := &Lease{repo: r, dir: dir, run: run, lock: lock}
	rec, err := l.read()
	if lock == nil {
		return nil, failure.Errorf(failure.Busy, "run %q is working on database %s (lock %s): %w", rec.Run, database, filepath.Join(dir, lockName), errors.Join(errHeld, err))
	}
	if err == nil && rec.Run != run && now.Before(rec.Until) {
		err = failure.Errorf(failure.Busy, "run %q has database %s until %s (record %s)", rec.Run, database, rec.Until.UTC().Format(time.RFC3339), filepath.Join(dir, recordName))
	}
	if err == nil && rec.Run != run {
		err = l.claim(now)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

var errHeld = errors.New("the lock is held")

// claim names the holder to whoever finds the lock held. On a full disk the
// lease goes without a name, or nobody could make room: it is the lock that
// keeps others away.
func (l *Lease) claim(now time.Time) error {
	err := l.write(now)
	if failure.Of(err) == failure.RepoFull {
		return removeIfThere(l.repo.fs, filepath.Join(l.dir, recordName))
	}
	return err
}

// Close keeps the database for the run until the given time and lets go of the
// lock, for the run's next activity to take.
func (l *Lease) Close(until time.Time) error {
	if l.lock == nil {
		return nil
	}
	return errors.Join(l.write(until), l.release())
}

// End gives the database up.
func (l *Lease) End() error {
	if l.lock == nil {
		return nil
	}
	err := removeIfThere(l.repo.fs, filepath.Join(l.dir, recordName))
	if err == nil {
		err = syncDir(l.repo.fs, l.dir)
	}
	return errors.Join(err, l.release())
}

func (l *Lease) release() error {
	lock := l.lock
	l.lock = nil
	return lock.Close()
}

func (l *Lease) write(until time.Time) error {
	data, err := json.Marshal(record{Run: l.run, Until: until.UTC()})
	if err != nil {
		return err
	}
	name := filepath.Join(l.dir, recordName)
	if err := vfs.WriteAtomic(l.repo.fs, name, append(data, '\n'), filePerm); err != nil {
		return writeError(err, "write %s", name)
	}
	return nil
}

// read returns the record, a zero one if there is none.
func (l *Lease) read() (record, error) {
	name := filepath.Join(l.dir, recordName)
	data, err := l.repo.readSmall(name, maxRecordBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, err
	}
	var rec record
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rec); err != nil {
		return record{}, failure.Errorf(failure.RepoCorrupt, "%s: %w", name, err)
	}
	return rec, nil
}
