package health

// Problem is something that is not as it should be. Missed: an objective is
// missed, or will be unless somebody acts; it is what 'starter status' exits
// with 3 for.
type Problem struct {
	Kind   string `json:"kind"`
	Text   string `json:"text"` // what is, a line
	Hint   string `json:"hint"` // what to do about it, a line
	Missed bool   `json:"missed"`
}

// The kinds of problems.
const (
	TooOld      = "too-old"              // the newest verified backup is older than it may be
	NoBackup    = "no-backup"            // there is no verified backup at all
	LastFailed  = "last-failed"          // the last run made no verified backup
	StuckRun    = "stuck-run"            // a run does not get on
	Paused      = "paused"               // the schedule is paused
	NoSchedule  = "no-schedule"          // nothing starts backups
	NoWorker    = "no-worker"            // nobody takes what is started
	Lagging     = "schedule-lag"         // a start that was due did not come
	Hook        = "hook"                 // the owner's hook fails or hangs
	OldConfig   = "old-config"           // the worker runs with another configuration than the one on disk
	DrillFailed = "drill-failed"         // the last restore drill did not pass
	Unreachable = "temporal-unreachable" // Temporal does not answer
)

// Kinds lists them all, in the order in which they are shown.
var Kinds = []string{
	Unreachable, NoWorker, NoBackup, TooOld, StuckRun, Lagging, Paused, NoSchedule, LastFailed, DrillFailed, Hook, OldConfig,
}
