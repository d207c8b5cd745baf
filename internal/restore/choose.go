package restore

import (
	"errors"
	"fmt"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/repo"
)

// Choice is the backup that a request came to.
type Choice struct {
	ID       string     `json:"id"`
	Database string     `json:"database"`
	State    repo.State `json:"state"`
	// The copy was made between Started and Finished: it holds all that was
	// committed before, and nothing of after.
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// BeforeSeconds is how long before the asked-for time it was finished.
	BeforeSeconds float64 `json:"before_seconds,omitempty"`
}

func choiceOf(m *repo.Manifest, at time.Time) Choice {
	c := Choice{ID: m.ID, Database: m.Database, State: m.State, Started: m.Started, Finished: m.Finished}
	if !at.IsZero() {
		c.BeforeSeconds = at.Sub(m.Finished).Seconds()
	}
	return c
}

// choose takes the backup for reading. BackupBad: it is not verified, and that
// is not allowed.
func choose(r *repo.Repo, database, id string, at time.Time, allowUnverified bool) (*repo.Reading, error) {
	if !at.IsZero() {
		m, err := r.NewestBefore(database, at)
		if err != nil {
			return nil, err
		}
		id = m.ID
	}
	reading, err := r.Read(database, id)
	if err != nil {
		return nil, err
	}
	if m := reading.Manifest(); m.State != repo.StateVerified && !allowUnverified {
		err := failure.Errorf(failure.BackupBad, "backup %s of %s is in state %q, not verified, and is not restored unasked", m.ID, m.Database, m.State)
		return nil, errors.Join(err, reading.Close())
	}
	return reading, nil
}

// AsOf says in words which state of the database the backup holds.
func (c Choice) AsOf() string {
	const form = "2006-01-02 15:04:05 MST"
	text := c.Finished.Format(form)
	if started := c.Started.Format(form); started != text {
		text = started + " to " + text
	}
	if c.BeforeSeconds > 0 {
		text += fmt.Sprintf(", %s before the time asked for", time.Duration(c.BeforeSeconds*float64(time.Second)).Round(time.Second))
	}
	return text
}
