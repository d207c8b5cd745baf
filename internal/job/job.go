// Package job holds what the starter, the workflows and the activities agree
// on: queue names, IDs, inputs, results and error types. Its types are stored
// in Temporal histories, so they change by addition only; golden files in
// testdata hold them to that.
package job

import (
	"fmt"
	"time"

	"canvasback/internal/human"
)

// Rounds is how many fresh copies a run makes before it gives up on copies that
// do not verify.
const Rounds = 3

// HeartbeatTimeout is how long a step may be silent before Temporal gives it to
// another worker. Shorter outages of the server leave a running copy alone.
const HeartbeatTimeout = time.Minute

// BackupWorkflow is the registered name of the workflow that takes one backup.
const BackupWorkflow = "Backup"

// Queue is the task queue that only the worker on host polls. Workflow and
// activity tasks of every database on that host go through it, but for the steps
// that take turns: see Turns.
func Queue(host string) string { return "canvasback@" + host }

// BackupID is the workflow ID of the literal cron workflow of a database and
// the base of the IDs its schedule starts (Temporal appends the time). It is
// also the schedule's ID: one database has one of the two, never both.
func BackupID(database string) string { return "canvasback-backup-" + database }

// BackupInput names what to back up. The worker looks the name up in its own
// configuration; a path never travels.
type BackupInput struct {
	Database string `json:"database"`
}

// BackupResult is what a finished run returns. Bytes is the size of the stored
// files, Seconds are wall time.
type BackupResult struct {
	ID              string           `json:"id"`
	Database        string           `json:"database"`
	State           string           `json:"state"`
	Rule            string           `json:"rule"`
	Attempts        int              `json:"attempts"`
	Bytes           int64            `json:"bytes"`
	Tables          int              `json:"tables"`
	Rows            int64            `json:"rows"`
	Level           string           `json:"level,omitempty"`
	Engine          string           `json:"engine,omitempty"`
	Assertions      int              `json:"assertions,omitempty"`
	Reason          string           `json:"reason,omitempty"` // why it is not verified
	CopySeconds     float64          `json:"copy_seconds"`
	DurationSeconds float64          `json:"duration_seconds"`
	Checkpoint      CheckpointResult `json:"checkpoint"`
	Pruned          []Decision       `json:"pruned"`
}

// CheckpointInput asks the owner of a database to fold its WAL.
type CheckpointInput struct {
	Database string `json:"database"`
}

// CheckpointResult says what the checkpoint step saw and did. Error holds the
// failure of the owner's hook where the configuration says to go on.
type CheckpointResult struct {
	Mode            string  `json:"mode"`
	IterationBefore uint64  `json:"iteration_before"`
	IterationAfter  uint64  `json:"iteration_after"`
	WALBytesBefore  int64   `json:"wal_bytes_before"`
	WALBytesAfter   int64   `json:"wal_bytes_after"`
	OwnerPID        int     `json:"owner_pid,omitempty"`
	OwnerExe        string  `json:"owner_exe,omitempty"`
	Seconds         float64 `json:"seconds"`
	Error           string  `json:"error,omitempty"`
}

// CopyInput asks for one staged and committed copy. Run identifies the backup
// run: a retried Copy of the same Run and Round resumes or returns what it
// already made.
type CopyInput struct {
	Database string `json:"database"`
	Run      string `json:"run"`
	Round    int    `json:"round"`
}

// CopyResult describes the committed copy. BytesRead counts what this run read
// from the live database over all attempts and processes, BytesResumed what an
// earlier process had copied and this one did not read again. Tries is how often
// Temporal began the step, 1 where nothing went wrong.
type CopyResult struct {
	ID           string  `json:"id"`
	Rule         string  `json:"rule"`
	Attempts     int     `json:"attempts"`
	Bytes        int64   `json:"bytes"`
	WALBytes     int64   `json:"wal_bytes"`
	BytesRead    int64   `json:"bytes_read"`
	BytesResumed int64   `json:"bytes_resumed"`
	Seconds      float64 `json:"seconds"`
	Tries        int     `json:"tries,omitempty"`
}

// VerifyInput names the backup to verify.
type VerifyInput struct {
	Database string `json:"database"`
	ID       string `json:"id"`
	Run      string `json:"run"`
}

// VerifyResult is the short form of the evidence in the manifest.
type VerifyResult struct {
	State   string  `json:"state"`
	Level   string  `json:"level"`
	Engine  string  `json:"engine"`
	Tables  int     `json:"tables"`
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"`
	Reason  string  `json:"reason,omitempty"`
	// Blocks and Assertions count what was checked.
	Blocks     int64 `json:"blocks,omitempty"`
	Assertions int   `json:"assertions,omitempty"`
}

// PruneInput asks for the retention policy to be applied.
type PruneInput struct {
	Database string `json:"database"`
	Run      string `json:"run"`
}

// PruneResult holds a decision for every backup of the database.
type PruneResult struct {
	Kept    []Decision `json:"kept"`
	Removed []Decision `json:"removed"`
}

// Decision is one backup kept or removed, and why.
type Decision struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// AbandonInput names the run whose staged files are to go.
type AbandonInput struct {
	Database string `json:"database"`
	Run      string `json:"run"`
}

// Progress is the heartbeat of a running activity. Bytes are of the database
// file, but for the phase settle, which counts nanoseconds; Rate is bytes per second over the last few seconds. Text is all of it in
// words, for the Temporal UI, and comes first there.
type Progress struct {
	Text    string    `json:"text,omitempty"`
	Step    string    `json:"step"`
	Phase   string    `json:"phase"`
	Rule    string    `json:"rule,omitempty"` // by which the copy is headed to be accepted
	Attempt int       `json:"attempt"`
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`
	Rate    float64   `json:"rate"`
	At      time.Time `json:"at"`
}

// String is the form a person reads in the Temporal UI and on a terminal.
func (p Progress) String() string {
	text := p.Step + ": " + p.Phase
	if p.Attempt > 0 {
		text += fmt.Sprintf(", attempt %d", p.Attempt)
	}
	switch {
	case p.Phase == "settle":
		text += fmt.Sprintf(", %s of %s", time.Duration(p.Done).Round(time.Millisecond), time.Duration(p.Total))
	case p.Total > 0:
		text += fmt.Sprintf(", %s of %s (%d %%)", human.Bytes(p.Done), human.Bytes(p.Total), int64(100*float64(p.Done)/float64(p.Total)))
	case p.Done > 0:
		text += ", " + human.Bytes(p.Done)
	}
	if p.Rate >= 1 && p.Phase != "settle" {
		text += ", " + human.Bytes(int64(p.Rate)) + "/s"
	}
	if p.Rule != "" {
		text += ", rule " + p.Rule
	}
	return text
}
