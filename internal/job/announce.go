package job

import "time"

// Tasks that are announced.
const (
	AnnounceBackup = "backup"
	AnnounceDrill  = "drill"
)

// AnnounceActivity is the registered name of the step that tells people. It goes
// on beside the other ones of a run.
const AnnounceActivity = "Announce"

// Announced ends of a run; none is its start.
const (
	AnnouncePassed = "passed" // for a backup: State tells how far
	AnnounceFailed = "failed"
)

// AnnounceInput tells what is to be announced of a run: that it has started,
// where End is empty, or how it ended.
type AnnounceInput struct {
	Database   string    `json:"database"`
	Task       string    `json:"task"`
	WorkflowID string    `json:"workflow_id,omitempty"`
	Run        string    `json:"run"`
	Started    time.Time `json:"started"`
	End        string    `json:"end,omitempty"`
	Backup     string    `json:"backup,omitempty"` // that was taken or drilled
	State      string    `json:"state,omitempty"`  // of the backup that was taken
	Reason     string    `json:"reason,omitempty"` // why it is not verified
	// Of a run that failed.
	Kind    string `json:"kind,omitempty"`
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// AnnounceResult says who was told. Nobody: the configuration names no one to
// tell of this database.
type AnnounceResult struct {
	Nobody bool          `json:"nobody,omitempty"`
	Told   []Told        `json:"told,omitempty"`
	Untold []Undelivered `json:"untold,omitempty"`
}

// Told is one message that was delivered.
type Told struct {
	Event   string `json:"event"`
	Channel string `json:"channel"`
}

// Undelivered is one that was not, so far. Error names no more than the scheme and
// host of a URL.
type Undelivered struct {
	Event   string `json:"event"`
	Channel string `json:"channel"`
	Error   string `json:"error"`
}
