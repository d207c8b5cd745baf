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
	Backups  *job.PulseDatabase `json:"backups,omitempty"`
	Worker   Worker             `json:"worker"`
	Temporal *Temporal          `json:"temporal,omitempty"` // nil: it was not asked, or did not answer
}

// Worker is what is known of the worker of the database's host.
type Worker struct {
	// Polls: one asks Temporal for work on the host's task queue.
	Polls bool `json:"polls"`
	// Heard is when the newest pulse was given; zero: there never was one.
	Heard         time.Time `json:"heard,omitzero"`
	Looked        time.Time `json:"looked,omitzero"`
	Version       string    `json:"version,omitempty"`
	Config        string    `json:"config,omitempty"`
	ConfigChanged bool      `json:"config_changed,omitempty"`
	Problem       string    `json:"problem,omitempty"` // of the pulse
	// Serves: the worker's configuration has the database. It is false where no
	// pulse tells.
	Serves bool `json:"serves"`
}

// Temporal is what it knows of the backups of a database.
type Temporal struct {
	Begins   string        `json:"begins"` // schedule, cron or hand
	Schedule string        `json:"schedule,omitempty"`
	Timezone string        `json:"timezone,omitempty"`
	Longest  time.Duration `json:"longest_interval,omitempty"` // between two starts, in nanoseconds
	Catchup  time.Duration `json:"catchup_window,omitempty"`   // how late a start is made up for
	Jitter   time.Duration `json:"jitter,omitempty"`
	Paused   bool          `json:"paused"`
	Note     string        `json:"note,omitempty"` // of the schedule: why it is paused
	Next     time.Time     `json:"next,omitzero"`
	// Due is the last time at which a start should have come, and Newest that of
	// the newest start that came.
	Due     time.Time `json:"due,omitzero"`
	Newest  time.Time `json:"newest,omitzero"`
	Missed  int       `json:"missed_catchup"`  // starts dropped because they came too late
	Skipped int       `json:"skipped_overlap"` // starts dropped because a run was at work
	Run     *Run      `json:"run,omitempty"`   // at work
	Last    *Ended    `json:"last,omitempty"`
	Drill   *Ended    `json:"drill,omitempty"` // the last one
}

// Run is one at work.
type Run struct {
	WorkflowID string        `json:"workflow_id"`
	RunID      string        `json:"run_id"`
	Started    time.Time     `json:"started"`
	Progress   *job.Progress `json:"progress,omitempty"`
	// Heartbeat is the last one of its step, Waiting that no worker has taken the
	// step, or its next attempt, since Since.
	Heartbeat time.Time `json:"heartbeat,omitzero"`
	Waiting   bool      `json:"waiting"`
	Since     time.Time `json:"since,omitzero"`
	Attempt   int       `json:"attempt,omitempty"`
	Error     string    `json:"error,omitempty"` // of the attempt before
	// Task counts the attempts of the workflow task at work, TaskSince is when it
	// was first scheduled; zero: there is none.
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
	Backup     string    `json:"backup,omitempty"` // its ID
	State      string    `json:"state,omitempty"`  // of the backup
	Bytes      int64     `json:"bytes,omitempty"`
	Hook       string    `json:"hook,omitempty"` // why the checkpoint hook failed
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
