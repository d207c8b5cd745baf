package job

import "time"

// ProgressQuery is the name of the query that says how far a run is. It is
// answered for runs that have ended, too, as long as a worker of their host is
// there.
const ProgressQuery = "progress"

// RunProgress is the answer: the steps so far, in their order. Step is at work
// since Since; a run that has ended has none. The others are known of the backup
// that the run takes, restores or proves as soon as a step has told them: Bytes
// is the size of its files, Attempts are those of its copy.
type RunProgress struct {
	Title    string     `json:"title"`
	Ended    bool       `json:"ended"`
	Step     string     `json:"step,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
	Backup   string     `json:"backup,omitempty"`
	State    string     `json:"state,omitempty"`
	Rule     string     `json:"rule,omitempty"`
	Attempts int        `json:"attempts,omitempty"`
	Bytes    int64      `json:"bytes,omitempty"`
	Tables   int        `json:"tables,omitempty"`
	Rows     int64      `json:"rows,omitempty"`
	Verdict  string     `json:"verdict,omitempty"` // of a run that has ended
	Steps    []RunStep  `json:"steps"`
}

// RunStep is one step of a run. Result is empty while it is at work.
type RunStep struct {
	Step    string    `json:"step"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Result  string    `json:"result,omitempty"`
	Failed  bool      `json:"failed,omitempty"`
}

// StopUpdate is the name of the update that stops a run. It returns when what the
// run had staged is removed; one that is ending already refuses it.
const StopUpdate = "cancel"

// MaxStopReason bounds the reason, in bytes.
const MaxStopReason = 500

// StopInput says why, for those who read of the run later.
type StopInput struct {
	Reason string `json:"reason"`
}

// StopResult says what became of the run.
type StopResult struct {
	Outcome string `json:"outcome"`
}

// Names of the search attributes that a run carries where the namespace has
// them: words, but for the bytes, which are an integer.
const (
	AttributeDatabase = "CanvasbackDatabase"
	AttributeHost     = "CanvasbackHost"
	AttributeOutcome  = "CanvasbackOutcome"
	AttributeRule     = "CanvasbackRule"
	AttributeBytes    = "CanvasbackBytes"
)

// AttributesActivity is the registered name of the activity that says which of
// them the namespace has.
const AttributesActivity = "SearchAttributes"

// AttributesResult names them.
type AttributesResult struct {
	Names []string `json:"names"`
}

// RunMemo is what a run that has ended carries in its memo under MemoKey,
// whichever search attributes there are.
type RunMemo struct {
	Outcome  string `json:"outcome"` // the backup's state, passed, restored, stopped, or failed and the name of a failure.Kind
	Backup   string `json:"backup,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Database string `json:"database,omitempty"`
	Host     string `json:"host,omitempty"`
}

// MemoKey is where RunMemo is.
const MemoKey = "canvasback-run"
