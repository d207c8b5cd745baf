package health

// Problem is something that is not as it should be. Missed: the objective is
// missed already, or the proof that a backup can be restored failed; it is what
// 'starter status' exits with 3 for.
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
	NoWorker    = "no-worker"            // nobody takes what is started, or nobody says that he lives
	Lagging     = "schedule-lag"         // a start that was due did not come, or nobody took it
	Hook        = "hook"                 // the owner's hook fails or hangs
	OldConfig   = "old-config"           // what the worker runs with is not what is on disk, or what is scheduled
	DrillFailed = "drill-failed"         // the last restore drill did not pass
	Repository  = "repository"           // the worker cannot look at its repository, or it is nearly full
	Unreachable = "temporal-unreachable" // Temporal does not answer
)

// Kinds lists them all, in the order in which they are shown.
var Kinds = []string{
	Unreachable, NoWorker, NoBackup, TooOld, DrillFailed, StuckRun, Lagging, Paused, NoSchedule, LastFailed, Hook, OldConfig, Repository,
}
