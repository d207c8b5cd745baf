package job

// Turns is the task queue, beside that of a host, for the steps that load its
// disks. The host's worker takes as many of them at once as it makes copies at
// once. The others wait at the server: in their order, for as long as it takes, and
// in the way of no other step.
func Turns(queue string) string { return queue + "/turns" }

// WaitingPhase is the phase of a step that waits for its turn.
const WaitingPhase = "waiting for another database's backup"

// turnSteps are the steps that take turns, as their activities are registered, and
// what their progress calls them.
var turnSteps = map[string]string{
	"Copy":         "copy",
	"Verify":       "verify",
	"DrillRestore": "drill restore",
	"DrillVerify":  "drill verify",
}

// TurnStep is what the progress of a step calls it that takes turns; empty: the
// activity of that name takes none.
func TurnStep(activity string) string { return turnSteps[activity] }
