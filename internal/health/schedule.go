package health

import "time"

// lagSlack is how late a start, or the first step of a run, may be: the server's
// own timers and a busy worker take seconds.
const lagSlack = 2 * time.Minute

func paused(d *Database, _ time.Time) Problem {
	if d.Temporal == nil || !d.Temporal.Paused {
		return Problem{}
	}
	p := Problem{Text: "the schedule is paused", Hint: "let it go on: 'starter schedule unpause'"}
	if d.Temporal.Note != "" {
		p.Text += ": " + d.Temporal.Note
	}
	return p
}

// noSchedule is about databases of a worker's configuration. One whose objective
// is the operator's own, and is met, is backed up by something else.
func noSchedule(d *Database, now time.Time) Problem {
	if d.Temporal == nil || d.Temporal.Begins != ByHand || d.Backups == nil {
		return Problem{}
	}
	if age, known := d.Age(now); known && d.explicit() && age <= d.MaxAge() {
		return Problem{}
	}
	return Problem{
		Text: "no schedule and no cron workflow starts backups of " + d.Name,
		Hint: "'starter schedule create' makes one",
	}
}

func lagging(d *Database, now time.Time) Problem {
	t := d.Temporal
	if t == nil || t.Paused || t.Begins == ByHand {
		return Problem{}
	}
	switch {
	case t.Run != nil && !t.Run.Begun:
		if waits := now.Sub(t.Run.Started); t.Run.Started.Before(now) && waits > lagSlack {
			return Problem{
				Text: "the run that was started " + span(waits) + " ago has not begun: no worker has taken it",
				Hint: "start the worker on host " + d.Host + "; one that is there and does not take it hangs: restart it",
			}
		}
	case !t.Partial: // the list of schedules lags, too
		return d.didNotCome(now, lagSlack+t.Jitter)
	}
	return Problem{}
}

// didNotCome finds a start that was due and neither came nor was made up for. A
// schedule that stands still tells of a next start in the past. So does, until
// the start after it, one that has dropped a start, which it counts.
func (d *Database) didNotCome(now time.Time, late time.Duration) Problem {
	t := d.Temporal
	due := t.Due
	past := !t.Next.IsZero() && now.Sub(t.Next) > late
	if past {
		due = t.Next
	}
	dropped := t.Missed > 0 && !due.IsZero() && now.Sub(due) > late && t.Newest.Before(due)
	if !past && !dropped || t.atWork(due) || d.Newest().After(due) {
		return Problem{}
	}
	if dropped {
		return Problem{
			Text: "the start that was due " + span(now.Sub(due)) + " ago was dropped: it could not come within the catch-up window of " + span(t.Catchup),
			Hint: "Temporal was away for longer than the schedule makes up for: 'starter run' takes a backup now, 'starter schedule update --catchup-window' widens the window",
		}
	}
	return Problem{
		Text: "the start that was due " + span(now.Sub(due)) + " ago did not come",
		Hint: "look at the health of Temporal itself, and at the schedule's page in its UI; 'starter run' takes a backup now",
	}
}

// atWork tells whether a run was at work at the time: then the schedule rightly
// started none.
func (t *Temporal) atWork(at time.Time) bool {
	if t.Run != nil && !t.Run.Started.After(at) {
		return true
	}
	return t.Last != nil && !t.Last.Started.After(at) && !t.Last.Ended.Before(at)
}
