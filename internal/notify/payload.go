package notify

import (
	"time"

	"canvasback/internal/version"
)

// Events of webhook and command, and what is said to a dead-man service.
const (
	EventFailure  = "failure"
	EventRecovery = "recovery"
	EventTest     = "test"

	PingStart = "start"
	PingOK    = "ok"
	PingFail  = "fail"
	pingLog   = "log"
)

// Channels.
const (
	ChannelPing    = "ping"
	ChannelWebhook = "webhook"
	ChannelCommand = "command"
)

// KindNotVerified is the kind of a backup that was taken and does not count.
const KindNotVerified = "NotVerified"

// schema of Payload and of the record.
const schema = 1

// Payload is what a webhook and a command get, as JSON. Its form is documented
// in docs/notifications.md and changes by addition only.
type Payload struct {
	Schema   int       `json:"schema"`
	ID       string    `json:"id"` // the same each time that this event is sent
	Event    string    `json:"event"`
	Reminder bool      `json:"reminder"` // the failure was told before
	At       time.Time `json:"at"`
	Host     string    `json:"host"`
	Database string    `json:"database"`
	Step     string    `json:"step"` // backup or drill

	WorkflowID string    `json:"workflow_id,omitempty"` // empty: a run without Temporal
	RunID      string    `json:"run_id"`
	Started    time.Time `json:"started"`          // of the run
	Backup     string    `json:"backup,omitempty"` // that was taken or drilled

	Kind    string `json:"kind,omitempty"` // of a failure
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`

	Since    time.Time `json:"since"`    // start of the first run that failed
	Failures int       `json:"failures"` // runs in a row that failed

	Newest *Newest `json:"newest_verified"` // null: there is none
	Tool   string  `json:"tool"`
}

// Newest is the newest verified backup.
type Newest struct {
	ID         string    `json:"id"`
	Finished   time.Time `json:"finished"`
	AgeSeconds int64     `json:"age_seconds"` // at the time of the event
}

// tool names this program and its version.
func tool() string { return "canvasback " + version.String() }
