package health

import "time"

// defaultGrace is what a database without max_age is given beside two intervals
// of its schedule: for the jitter, and for the run itself.
const defaultGrace = time.Hour

// skew is how far the clocks of the worker and of whoever looks may differ. What
// is dated further ahead is not taken for fresh.
const skew = 5 * time.Minute

// MaxAge is how old the newest verified backup may be: what the configuration
// says; without that, twice the longest time between two starts of its schedule
// or cron workflow and an hour, so that one start may be missed and no more.
// 0: neither is there, and nothing is promised.
func (d *Database) MaxAge() time.Duration {
	switch {
	case d.Backups != nil && d.Backups.MaxAge > 0:
		return d.Backups.MaxAge
	case d.Temporal != nil && d.Temporal.Begins != ByHand && d.Temporal.Longest > 0:
		return 2*d.Temporal.Longest + defaultGrace
	}
	return 0
}

// explicit: the objective is the operator's own.
func (d *Database) explicit() bool { return d.Backups != nil && d.Backups.MaxAge > 0 }

// Newest is when the newest verified backup was begun, all that was committed
// before being in it; zero: none is known. The repository has the last word, and
// Temporal's is taken for what came after the worker last looked.
func (d *Database) Newest() time.Time {
	var at time.Time
	if d.Backups != nil && d.Backups.Newest != nil {
		at = d.Backups.Newest.Started
	}
	if d.Temporal == nil || d.Temporal.Verified == nil {
		return at
	}
	v := d.Temporal.Verified
	if !d.Read() || v.Ended.After(d.Worker.Looked) && v.Started.After(at) {
		return v.Started
	}
	return at
}

// Age is how old the newest verified backup is; false: none is known, or it is
// dated in the future.
func (d *Database) Age(now time.Time) (time.Duration, bool) {
	at := d.Newest()
	if at.IsZero() || at.Sub(now) > skew {
		return 0, false
	}
	return max(now.Sub(at), 0), true
}

func tooOld(d *Database, now time.Time) Problem {
	at, most := d.Newest(), d.MaxAge()
	switch {
	case at.IsZero() || most == 0:
		return Problem{}
	case at.Sub(now) > skew:
		return Problem{
			Text:   "the newest verified backup is dated " + span(at.Sub(now)) + " ahead: how old it is cannot be told",
			Hint:   "set the clocks of the database's host and of this machine, and take a backup: 'starter run'",
			Missed: true,
		}
	case now.Sub(at) <= most:
		return Problem{}
	}
	return Problem{
		Text:   "the newest verified backup holds what was there " + span(now.Sub(at)) + " ago, and " + span(most) + " is the most it may be",
		Hint:   "take one now with 'starter run', and look at what kept the others away",
		Missed: true,
	}
}

func noBackup(d *Database, now time.Time) Problem {
	if !d.Read() && d.Temporal == nil || !d.Newest().IsZero() || !d.wanted() {
		return Problem{}
	}
	p := Problem{Text: "there is no verified backup", Hint: "take one now: 'starter run'"}
	if !d.Read() {
		p.Text = "Temporal remembers no verified backup, and no worker says what the repository holds"
	}
	if most := d.MaxAge(); most > 0 && !(d.Temporal != nil && d.Temporal.Partial) {
		// What never was is as old as what was to make it.
		var since time.Time
		if d.Temporal != nil {
			since = d.Temporal.Since
		}
		p.Missed = since.IsZero() && d.explicit() || !since.IsZero() && now.Sub(since) > most
	}
	return p
}

// Read tells whether a worker has read what the repository holds.
func (d *Database) Read() bool { return d.Backups != nil && !d.Worker.Looked.IsZero() }

// wanted: somebody wants backups of it. Temporal remembers runs of databases
// that are in no configuration any more, too.
func (d *Database) wanted() bool {
	return d.Backups != nil || d.Temporal != nil && d.Temporal.Begins != ByHand
}
