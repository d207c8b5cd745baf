package job

import "time"

// ProgressQuery is the name of the query that says how far a run is. It is
// answered for runs that have ended, too, as long as a worker of their host is
// there.
const ProgressQuery = "progress"

// RunProgress is the answer: the steps so far, in their order.
type RunProgress struct {
	Title   string    `json:"title"`
	Ended   bool      `json:"ended"`
	Verdict string    `json:"verdict,omitempty"` // of a run that has ended
	Steps   []RunStep `json:"steps"`
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

// AttributesInput asks which search attributes the namespace has.
type AttributesInput struct{}

// AttributesResult names those of ours.
type AttributesResult struct {
	Names []string `json:"names"`
}
