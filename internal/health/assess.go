package health

import "time"

// check finds the problem of one kind; Text is empty where there is none.
type check struct {
	kind string
	find func(d *Database, now time.Time) Problem
}

// checks are in the order of Kinds.
var checks = []check{
	{TooOld, tooOld},
}

// Assess finds what is wrong with the backups of a database, in the order of
// Kinds; an empty list where nothing is.
func Assess(d Database, now time.Time) []Problem {
	found := []Problem{}
	for _, c := range checks {
		if p := c.find(&d, now); p.Text != "" {
			p.Kind = c.kind
			found = append(found, p)
		}
	}
	return found
}

// MaxAge is how old the newest backup that counts may be; 0: nothing says.
func (d *Database) MaxAge() time.Duration {
	if d.Backups == nil {
		return 0
	}
	return d.Backups.MaxAge
}

func tooOld(d *Database, now time.Time) Problem {
	most := d.MaxAge()
	if most == 0 || d.Backups.Newest == nil || now.Sub(d.Backups.Newest.Started) <= most {
		return Problem{}
	}
	return Problem{Text: "the newest verified backup is older than " + most.String(), Hint: "take one now: 'starter run'", Missed: true}
}
