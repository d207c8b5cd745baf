package health

import (
	"time"

	"canvasback/internal/job"
)

const (
	// silent is how old a pulse may be: five were missed by then, and Temporal
	// has given the step of a worker that is gone to whoever comes.
	silent = job.HeartbeatTimeout
	// lookSlow is how long the worker may take to look at its repository. A file
	// system that does not answer for so long is not there.
	lookSlow = 5 * time.Minute
)

func unreachable(d *Database, _ time.Time) Problem {
	if d.Temporal != nil && d.Temporal.Partial && d.MaxAge() == 0 {
		return Problem{
			Text: "Temporal is too busy to describe the schedule: how old a backup may be is not known",
			Hint: "ask again when fewer runs begin; max_age in the worker's configuration does without",
		}
	}
	if d.Temporal != nil || d.Unanswered == "" {
		return Problem{}
	}
	return Problem{
		Text: "Temporal does not answer the worker: " + d.Unanswered,
		Hint: "no backup begins until it does; 'starter backup --local' needs none",
	}
}

// noWorker: nobody takes the work of the host, or somebody does and does not say
// that he lives, as one that is frozen does not.
func noWorker(d *Database, now time.Time) Problem {
	if d.Temporal == nil || !d.wanted() {
		return Problem{}
	}
	w := d.Worker
	never := w.Heard.IsZero()
	age := now.Sub(w.Heard)
	hint := "start the worker on host " + d.Host + ", and look at its log"
	switch {
	case !w.Polls && never:
		return Problem{Text: "no worker of host " + d.Host + " is there, and none has ever given a pulse", Hint: hint}
	case !w.Polls && age > silent:
		return Problem{Text: "no worker of host " + d.Host + " is there; the last word of one is " + span(age) + " old", Hint: hint}
	case !w.Polls:
		return Problem{Text: "no worker of host " + d.Host + " asks for work", Hint: hint}
	case !never && age > silent:
		return Problem{
			Text: "a worker of host " + d.Host + " asks for work, but its pulse is " + span(age) + " old",
			Hint: "it hangs, or another program answers for it: restart it, and look at its log and at workflow " + job.HostID(d.Host),
		}
	}
	return Problem{}
}

func (d *Database) heard(now time.Time) bool {
	return !d.Worker.Heard.IsZero() && now.Sub(d.Worker.Heard) <= silent
}

func oldConfig(d *Database, now time.Time) Problem {
	switch {
	case !d.heard(now): // what a worker of before ran with says nothing
	case d.Backups == nil && d.Temporal != nil && d.Temporal.Begins != ByHand:
		return Problem{
			Text: "the " + d.Temporal.Begins + " of " + d.Name + " asks host " + d.Host + " for backups, whose worker does not have it in its configuration",
			Hint: "add the database to the configuration of " + d.Host + " and restart its worker, or delete the schedule: 'starter schedule delete'",
		}
	case d.Worker.ConfigChanged:
		return Problem{
			Text: "the configuration file of host " + d.Host + " is not the one that its worker runs with (" + d.Worker.Config + ")",
			Hint: "restart the worker: what it copies, keeps and removes is still the old configuration's",
		}
	}
	return Problem{}
}

func repository(d *Database, now time.Time) Problem {
	if !d.heard(now) || d.Backups == nil {
		return Problem{}
	}
	w := d.Worker
	switch {
	case w.Looked.IsZero() && w.Problem != "":
		return Problem{Text: "the worker cannot look at its repository: " + w.Problem, Hint: "look at the file system that holds it"}
	case !w.Looked.IsZero() && w.Heard.Sub(w.Looked) > lookSlow:
		return Problem{
			Text: "the worker last read its repository " + span(now.Sub(w.Looked)) + " ago: " + w.Problem,
			Hint: "the file system that holds it does not answer, or shows an error: look at it; what is said of the backups here is as old",
		}
	case w.Problem != "":
		return Problem{Text: w.Problem, Hint: "look at what is named; the backups that can be read are counted all the same"}
	case d.Backups.Newest != nil && w.FreeBytes > 0 && w.FreeBytes < d.Backups.Newest.Bytes:
		return Problem{
			Text: "the repository has room for less than one more backup of the size of the newest",
			Hint: "free space on the repository's file system, or keep fewer backups",
		}
	}
	return Problem{}
}
