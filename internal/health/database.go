package health

import (
	"time"

	"canvasback/internal/job"
)

// Database is all that is known of the backups of one database.
type Database struct {
	Name string `json:"database"`
	Host string `json:"host"`
	// Backups is what the worker read in the repository; nil: no worker has said
	// anything of this database.
	Backups *job.PulseDatabase `json:"backups,omitempty"`
	Worker  Worker             `json:"worker"`
	// Temporal is nil where it did not answer; Unanswered says why.
	Temporal   *Temporal `json:"temporal,omitempty"`
	Unanswered string    `json:"unanswered,omitempty"`
}

// Worker is what is known of the worker of the database's host.
type Worker struct {
	// Polls: one asks Temporal for work on the host's task queue.
	Polls bool `json:"polls"`
	// Heard is when the newest pulse was given; zero: there never was one.
	Heard         time.Time `json:"heard,omitzero"`
	Looked        time.Time `json:"looked,omitzero"` // at the whole repository
	FreeBytes     int64     `json:"free_bytes,omitempty"`
	Version       string    `json:"version,omitempty"`
	Config        string    `json:"config,omitempty"`
	ConfigChanged bool      `json:"config_changed,omitempty"`
	Problem       string    `json:"problem,omitempty"` // of the pulse
}

// How the backups of a database begin.
const (
	BySchedule = "schedule"
	ByCron     = "cron"
	ByHand     = "hand"
)

// Temporal is what Temporal knows of the backups of a database. Durations are in
// nanoseconds in JSON.
type Temporal struct {
	Begins string `json:"begins"` // schedule, cron or hand
	// AsOf is when the server was asked; zero: just now.
	AsOf time.Time `json:"as_of,omitzero"`
	// Partial: the server was too busy to describe the schedule, of which only
	// what stands in the list of all is known: pause, last and next starts.
	Partial  bool          `json:"partial,omitempty"`
	Schedule string        `json:"schedule"`
	Timezone string        `json:"timezone"`
	Longest  time.Duration `json:"longest_interval,omitempty"` // between two starts
	Catchup  time.Duration `json:"catchup_window,omitempty"`   // how late a start is made up for
	Jitter   time.Duration `json:"jitter,omitempty"`
	Paused   bool          `json:"paused"`
	Note     string        `json:"note,omitempty"`  // why it is paused
	Since    time.Time     `json:"since,omitzero"`  // when the schedule or cron workflow was made
	Next     time.Time     `json:"next,omitzero"`   // when the next backup begins
	Due      time.Time     `json:"due,omitzero"`    // the last time at which one should have begun
	Newest   time.Time     `json:"newest,omitzero"` // what the newest start was due for
	Missed   int           `json:"missed_catchup"`  // starts dropped, in all, because they came too late
	Skipped  int           `json:"skipped_overlap"` // starts dropped, in all, because a run was at work
	Run      *Run          `json:"running,omitempty"`
	Last     *Ended        `json:"last,omitempty"`     // the run that ended last
	Verified *Ended        `json:"verified,omitempty"` // the last one known to have made a verified backup
	Drill    *Drills       `json:"drill,omitempty"`
}

// Known tells whether Temporal knows of the database at all: something starts its
// backups or drills, or one was made that it remembers.
func (t *Temporal) Known() bool {
	return t.Begins != ByHand || t.Run != nil || t.Last != nil || t.Drill != nil
}

// Known tells whether anything knows of the database: Temporal, or a worker. Where
// Temporal was not heard, or the worker that asks for its host's work never says
// what it has, that cannot be told, and it is taken for known.
func (d *Database) Known() bool {
	return d.Backups != nil || d.Temporal == nil || d.Temporal.Known() || d.Worker.Polls && d.Worker.Heard.IsZero()
}

// Run is one at work.
type Run struct {
	WorkflowID string        `json:"workflow_id"`
	RunID      string        `json:"run_id"`
	Started    time.Time     `json:"started"`
	Begun      bool          `json:"begun"` // a worker has taken its first task
	Progress   *job.Progress `json:"progress,omitempty"`
	// Heartbeat is the last sign of life of the step at work. Waiting: no worker
	// has taken the step, or its next attempt.
	Heartbeat time.Time `json:"heartbeat,omitzero"`
	Waiting   bool      `json:"waiting"`
	// Queued: the step waits for its turn, which others have. Whether those get on is
	// their own matter.
	Queued  bool   `json:"queued,omitempty"`
	Attempt int    `json:"attempt,omitempty"` // of the step
	Error   string `json:"error,omitempty"`   // of the attempt before
	// Task counts the attempts of the workflow task that is pending, and TaskSince
	// is when it was scheduled; zero: none is.
	Task      int       `json:"task,omitempty"`
	TaskSince time.Time `json:"task_since,omitzero"`
}

// Ended is a run that has ended.
type Ended struct {
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
	Status     string    `json:"status"` // completed, failed, canceled, terminated or timed_out
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended"`
	Error      string    `json:"error,omitempty"`
	Kind       string    `json:"kind,omitempty"` // of the failure
	Host       string    `json:"host,omitempty"` // whose worker the run was for
	// The rest is of the backup that it made.
	Backup   string `json:"backup,omitempty"` // its ID
	State    string `json:"state,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Hook     string `json:"hook,omitempty"` // why the checkpoint hook failed
}

// Drills is what Temporal knows about the drills of one database.
type Drills struct {
	Cron   string     `json:"schedule,omitempty"` // empty: drills have no schedule
	Paused bool       `json:"paused"`
	Next   *time.Time `json:"next,omitempty"`
	Last   *Drilled   `json:"last,omitempty"` // the drill that ended last
}

// Drilled is a drill that has ended.
type Drilled struct {
	WorkflowID     string    `json:"workflow_id"`
	RunID          string    `json:"run_id"`
	Status         string    `json:"status"` // completed, failed, canceled, terminated or timed_out
	Passed         bool      `json:"passed"`
	Ended          time.Time `json:"ended"`
	Error          string    `json:"error,omitempty"`
	Backup         string    `json:"backup,omitempty"` // its ID, where the drill passed
	RestoreSeconds float64   `json:"restore_seconds"`
	BytesPerSecond float64   `json:"bytes_per_second"`
}

// Report is what a worker knows of its host. TemporalSeen is when Temporal last
// answered; zero: never.
type Report struct {
	Pulse        job.Pulse  `json:"pulse"`
	Databases    []Reported `json:"databases"`
	At           time.Time  `json:"at"` // when assessed
	TemporalSeen time.Time  `json:"temporal_seen,omitzero"`
}

// Reported is a database and what is wrong with it.
type Reported struct {
	Database
	Problems []Problem `json:"problems"`
}

// Missed tells whether one of the problems means that an objective is missed.
func (r *Reported) Missed() bool {
	for _, p := range r.Problems {
		if p.Missed {
			return true
		}
	}
	return false
}

// WorkerOf is what a pulse says of the worker.
func WorkerOf(p *job.Pulse) Worker {
	return Worker{
		Heard: p.At, Looked: p.Looked, FreeBytes: p.FreeBytes, Version: p.Version,
		Config: p.Config, ConfigChanged: p.ConfigChanged, Problem: p.Problem,
	}
}
