package watch

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// backup is what is remembered of a stored one.
type backup struct {
	job.PulseBackup
	state    repo.State
	holdLost string // why the hold on the owner's checkpoints failed
	drill    *job.PulseDrill
	problem  string // of its notes
	files    []repo.File
	broken   string // why its files are not those of the manifest; it does not count then
}

// reader reads the backups of one database, those that have changed since it did
// so last. It belongs to one goroutine.
type reader struct {
	repo     *repo.Repo
	database config.Database
	known    map[string]remembered // by ID
}

type remembered struct {
	stamp   repo.Stamp
	settled bool // the stamp was old enough to move with the next change
	backup
}

// settledAfter is how old a directory's time must be before the same time means
// the same content: clocks of file systems tick.
const settledAfter = 2 * time.Second

// read returns all backups, the oldest first. Those that cannot be read are in
// the error, which names one and counts the rest; the others are returned still.
// Where they cannot even be listed, listed is false, and they are those of the
// look before.
func (r *reader) read(now time.Time) (all []backup, listed bool, err error) {
	stamps, err := r.repo.Stamps(r.database.Name)
	if err != nil {
		all, _ = r.all()
		return all, false, err
	}
	fresh := make(map[string]remembered, len(stamps))
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(stamps)) {
		stamp := stamps[id]
		if k, ok := r.known[id]; ok && k.settled && k.stamp == stamp {
			fresh[id] = k
			continue
		}
		b, err := r.load(id)
		switch {
		case failure.Of(err) == failure.UnknownBackup: // without a manifest, or removed just now
		case err != nil:
			faults = append(faults, err)
		default:
			fresh[id] = remembered{stamp, now.Sub(stamp.ModTime) > settledAfter, b}
		}
	}
	r.known = fresh
	r.look()
	all, problems := r.all()
	return all, true, shorten(append(faults, problems...))
}

// all are the backups that are known, the oldest first, and what is wrong with
// them.
func (r *reader) all() (all []backup, problems []error) {
	for _, k := range r.known {
		all = append(all, k.backup)
	}
	slices.SortFunc(all, func(a, b backup) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	for _, b := range all {
		for _, problem := range []string{b.broken, b.problem} {
			if problem != "" {
				problems = append(problems, errors.New(problem))
			}
		}
	}
	return all, problems
}

// look looks again at the files of the newest backup that counts: one that is
// cut short where it is does not move the stamp.
func (r *reader) look() {
	all, _ := r.all()
	for _, b := range slices.Backward(all) {
		if !r.counts(b) {
			continue
		}
		k := r.known[b.ID]
		k.inspect(r.repo, r.database.Name)
		if r.known[b.ID] = k; k.broken == "" {
			return
		}
	}
}

// inspect finds out whether the files of a backup are still there.
func (b *backup) inspect(from *repo.Repo, database string) {
	b.broken = ""
	if err := from.Whole(database, b.ID, b.files); err != nil {
		b.broken = err.Error()
	}
}

// counts tells whether it does as a verified backup.
func (r *reader) counts(b backup) bool {
	return b.broken == "" && (b.state == repo.StateVerified || b.state == repo.StateStructure && r.database.Retention.CountStructure)
}

func shorten(faults []error) error {
	if len(faults) < 2 {
		return errors.Join(faults...)
	}
	return fmt.Errorf("%w (and %d more)", faults[0], len(faults)-1)
}

func (r *reader) load(id string) (backup, error) {
	m, err := r.repo.Get(r.database.Name, id)
	if err != nil {
		return backup{}, err
	}
	b := backup{
		PulseBackup: job.PulseBackup{ID: m.ID, Started: m.Started, Finished: m.Finished, Rule: m.Acceptance.Rule},
		state:       m.State, holdLost: m.Acceptance.Evidence["hold_lost"], files: m.Files,
	}
	if m.State == repo.StateVerified || m.State == repo.StateStructure {
		b.inspect(r.repo, r.database.Name)
	}
	for _, f := range m.Files {
		b.Bytes += f.Bytes
	}
	notes, err := r.repo.Notes(r.database.Name, id)
	if err != nil {
		b.problem = err.Error()
	}
	if n := len(notes.Drills); n > 0 {
		d := notes.Drills[n-1]
		b.drill = &job.PulseDrill{Backup: m.ID, At: d.At, Passed: d.Passed, RestoreSeconds: d.RestoreSeconds}
	}
	return b, nil
}

// skew is how far ahead of the clock a backup may be dated and still be taken for
// the newest.
const skew = 5 * time.Minute

// summary is what the pulse says of the database, and the size of all its
// backups.
func (r *reader) summary(all []backup, now time.Time) (job.PulseDatabase, int64) {
	d := job.PulseDatabase{Name: r.database.Name, MaxAge: time.Duration(r.database.MaxAge)}
	var bytes int64
	var counted []backup
	for _, b := range all {
		bytes += b.Bytes
		if b.drill != nil && (d.Drill == nil || b.drill.At.After(d.Drill.At)) {
			d.Drill = b.drill
		}
		if r.counts(b) {
			counted = append(counted, b)
		}
	}
	if n := len(all); n > 0 {
		d.Hook = all[n-1].holdLost
	}
	d.Backups = len(counted)
	if past := slices.DeleteFunc(slices.Clone(counted), func(b backup) bool { return b.Started.After(now.Add(skew)) }); len(past) > 0 {
		counted = past // one that is dated in the future says nothing while there are others
	}
	if n := len(counted); n > 0 {
		d.Newest = &counted[n-1].PulseBackup
	}
	d.GrowthPerDay = growth(counted)
	return d, bytes
}

const (
	// grown is how many of the last backups the growth is told from.
	grown = 10
	// grownFor is the least time between them: from less, a day is a guess.
	grownFor = time.Hour
)

// growth is how many bytes a day the backups have grown by.
func growth(all []backup) float64 {
	all = all[max(0, len(all)-grown):]
	if len(all) < 2 {
		return 0
	}
	first, last := all[0], all[len(all)-1]
	apart := last.Started.Sub(first.Started)
	if apart < grownFor {
		return 0
	}
	return float64(last.Bytes-first.Bytes) / (apart.Hours() / 24)
}
