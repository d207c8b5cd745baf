package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
	"canvasback/internal/vfs"
)

// Request says what to check.
type Request struct {
	FS        vfs.FS
	Repo      *repo.Repo
	Databases []string // whose backups
	Turn      Turn
	// Key is the key of an encrypted database, empty if there is none at hand: then
	// only the bytes of its backups are compared.
	Key func(database string) (string, error)
	Now func() time.Time
	// Progress is called with the backup at hand, nil is not.
	Progress func(database, id, phase string, done, total int64)
}

// Outcome is what was found of one backup.
type Outcome struct {
	Database string     `json:"database"`
	ID       string     `json:"id"`
	State    repo.State `json:"state"` // after the check
	Passed   bool       `json:"passed"`
	Rotted   bool       `json:"rotted,omitempty"` // by this check
	Bytes    int64      `json:"bytes"`
	Seconds  float64    `json:"seconds"`
	Failure  string     `json:"failure,omitempty"`
}

// Report is what a run found.
type Report struct {
	Checked []Outcome `json:"checked"`
	Bytes   int64     `json:"bytes"` // read
	// Left is the number of backups whose turn it was not.
	Left int `json:"left"`
	// Strays are paths that belong to no backup, and what else is not as it
	// should be: no backup is worse for them.
	Strays []string `json:"strays"`
	// Oldest is when the backup was last read that was not read for longest; nil
	// if one never was, or there is none.
	Oldest *time.Time `json:"oldest,omitempty"`
}

// Run checks. The error joins what is wrong, BackupBad for each backup that is
// rotten first, then what could not be read, by its kind. With it the
// Report is whole, unless ctx ended: then it holds what was checked until then.
func Run(ctx context.Context, req Request) (*Report, error) {
	rep := &Report{Checked: []Outcome{}, Strays: []string{}}
	var bad, problems error
	var all []candidate
	for _, database := range req.Databases {
		found, err := candidates(req.Repo, database)
		all, problems = append(all, found...), errors.Join(problems, err)
		strays, err := req.Repo.Strays(database)
		rep.Strays, problems = append(rep.Strays, strays...), errors.Join(problems, err)
	}
	now := req.Now()
	turn := req.Turn.take(now, all)
	rep.Left = len(all) - len(turn)
	good := map[string]bool{}
	for _, c := range turn {
		if ctx.Err() != nil {
			return rep, failure.Errorf(failure.Interrupted, "%d of %d backups checked: %w", len(rep.Checked), len(turn), context.Cause(ctx))
		}
		o, err := one(ctx, &req, c)
		if failure.Of(err) == failure.UnknownBackup {
			continue // removed just now
		}
		if ctx.Err() != nil {
			continue
		}
		rep.Checked = append(rep.Checked, o)
		rep.Bytes += o.Bytes
		good[c.database+"/"+c.id] = o.Passed
		if failure.Of(err) == failure.BackupBad {
			bad = errors.Join(bad, err)
		} else {
			problems = errors.Join(problems, err)
		}
	}
	rep.Oldest = oldest(all, good, now)
	return rep, errors.Join(bad, problems)
}

// oldest is when that backup was last read that was not read for longest.
func oldest(all []candidate, good map[string]bool, now time.Time) *time.Time {
	var found *time.Time
	for _, c := range all {
		at := c.read
		passed, checked := good[c.database+"/"+c.id]
		if passed {
			at = now
		}
		if at.IsZero() || checked && !passed {
			return nil
		}
		if found == nil || at.Before(*found) {
			found = &at
		}
	}
	return found
}

// candidates lists the backups of a database, failed ones left out: what they
// hold is known to be bad.
func candidates(r *repo.Repo, database string) ([]candidate, error) {
	manifests, problems := r.List(database)
	var all []candidate
	for _, m := range manifests {
		if m.State == repo.StateFailed {
			continue
		}
		notes, err := r.Notes(database, m.ID)
		if failure.Of(err) == failure.UnknownBackup {
			continue
		}
		problems = errors.Join(problems, err)
		// The copy was hashed while it was made: a new backup does not push itself
		// before those that wait.
		c := candidate{database: database, id: m.ID, read: m.Finished}
		for _, f := range m.Files {
			c.bytes += f.Bytes
		}
		if v := m.Verification; v != nil && v.At.After(c.read) && (m.State == repo.StateVerified || m.State == repo.StateStructure) {
			c.read = v.At
		}
		if k := notes.Check; k != nil {
			c.checked = k.At
			switch {
			case !k.Passed:
				c.read = time.Time{}
			case k.At.After(c.read):
				c.read = k.At
			}
		}
		all = append(all, c)
	}
	return all, problems
}

// one checks a backup and notes what it found.
func one(ctx context.Context, req *Request, c candidate) (o Outcome, err error) {
	reading, err := req.Repo.Read(c.database, c.id)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, reading.Close()) }()
	m := reading.Manifest()
	begin := time.Now()
	verdict := bytes(ctx, req, reading)
	if ctx.Err() != nil {
		return o, context.Cause(ctx)
	}
	o = Outcome{
		Database: c.database, ID: c.id, State: m.State, Passed: verdict == nil, Bytes: c.bytes, Seconds: time.Since(begin).Seconds(),
	}
	if verdict != nil {
		o.Failure = verdict.Error()
	}
	if failure.Of(verdict) == failure.BackupBad {
		err = req.Repo.Update(c.database, c.id, func(now *repo.Manifest) error {
			if now.State != repo.StateRotten && now.State != repo.StateFailed {
				now.State, now.Failure, o.Rotted = repo.StateRotten, o.Failure, true
			}
			o.State = now.State
			return nil
		})
	}
	err = errors.Join(err, req.Repo.SetCheck(c.database, c.id, repo.Check{
		At: req.Now().UTC().Truncate(time.Millisecond), Passed: o.Passed, Bytes: o.Bytes, Seconds: o.Seconds, Failure: o.Failure,
	}))
	switch {
	case verdict != nil:
		err = errors.Join(failure.Errorf(failure.Of(verdict), "backup %s of %s: %w", c.id, c.database, verdict), err)
	case m.State == repo.StateRotten:
		err = errors.Join(failure.Errorf(failure.BackupBad,
			"backup %s of %s passes again, and stays rotten until 'starter verify' has read all of it: %s", c.id, c.database, m.Failure), err)
	}
	return o, err
}

// bytes reads the files of the backup, and the blocks where that can be done.
func bytes(ctx context.Context, req *Request, reading *repo.Reading) error {
	m := *reading.Manifest()
	key, err := req.Key(m.Database)
	if err != nil {
		return err
	}
	if m.Source.Encrypted && key == "" {
		m.Source.Opaque = true // its bytes can be compared all the same
	}
	progress := req.Progress
	if progress == nil {
		progress = func(string, string, string, int64, int64) {}
	}
	_, err = verify.Run(ctx, verify.Request{
		FS: req.FS, Dir: reading.Dir(), Manifest: &m, Key: key, Level: verify.LevelBytes,
		Progress: func(phase string, done, total int64) { progress(m.Database, m.ID, phase, done, total) },
	})
	if errors.Is(err, verify.ErrStructure) || failure.Of(err) == failure.NewerStorage {
		return nil // the hashes were compared, and no more can be told here
	}
	return err
}

// Summary says in words what was found, for the end of a table.
func (r *Report) Summary() string {
	bad := 0
	for _, o := range r.Checked {
		if !o.Passed {
			bad++
		}
	}
	text := fmt.Sprintf("%d checked, %d not good, %d whose turn it was not", len(r.Checked), bad, r.Left)
	if r.Oldest != nil {
		text += "; none was last read before " + r.Oldest.UTC().Format("2006-01-02 15:04 MST")
	}
	return text
}
