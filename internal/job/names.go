package job

// WorkerStopping is the error type of an activity that gave way because its
// worker is being stopped. The next attempt goes on where it left off.
const WorkerStopping = "WorkerStopping"

// HintMark stands between what happened and what to do about it in the message
// of an activity's error, so that both show in the Temporal UI.
const HintMark = "\nhint: "

// Keys of the memo of every run, so that lists can be read without opening
// each one. Schedule and timezone are those of the cron workflow or schedule
// that started the run, in the user's own words; a run by hand has neither.
const (
	MemoDatabase = "database"
	MemoHost     = "host"
	MemoSchedule = "schedule"
	MemoTimezone = "timezone"
)
