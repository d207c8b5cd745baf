package job

// WorkerStopping is the error type of an activity that gave way because its
// worker is being stopped. The next attempt goes on where it left off.
const WorkerStopping = "WorkerStopping"

// HintMark stands between what happened and what to do about it in the message
// of an activity's error, so that both show in the Temporal UI.
const HintMark = "\nhint: "

// DefaultHint is what to do about a failure that nothing better is known of.
const DefaultHint = "look at the worker's log on its host, mend what it tells of, and run it again"
