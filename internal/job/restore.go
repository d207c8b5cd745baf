package job

import "time"

// RestoreWorkflow is the registered name of the workflow that puts a backup
// back in place on the database's host.
const RestoreWorkflow = "Restore"

// RestoreID is the workflow ID of the restores of a database: there is one at a
// time.
func RestoreID(database string) string { return "canvasback-restore-" + database }

// RestoreInput says which backup goes where. Target is a name in the worker's
// configuration; a path never travels. Backup is an ID or "latest"; with At it
// is empty, and the newest verified backup that was finished by then is taken.
type RestoreInput struct {
	Database string     `json:"database"`
	Backup   string     `json:"backup"`
	At       *time.Time `json:"at,omitempty"`
	Target   string     `json:"target"`
	KeepOld  bool       `json:"keep_old"`
}

// ChooseInput asks which backup is meant: by an ID, "latest" (the newest verified
// one), "random" (any verified one, by the run), or as of a time. Drill: what
// Backup leaves open is as the worker's configuration says for drills.
type ChooseInput struct {
	Database string     `json:"database"`
	Backup   string     `json:"backup"`
	At       *time.Time `json:"at,omitempty"`
	Run      string     `json:"run"`
	Drill    bool       `json:"drill"`
}

// ChooseResult is the backup, and the time that it was copied in: it holds what
// was committed before Started, and nothing from after Finished.
type ChooseResult struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Bytes    int64     `json:"bytes"`
}

// RestoreStepInput is RestoreInput with the backup chosen.
type RestoreStepInput struct {
	Database string `json:"database"`
	ID       string `json:"id"`
	Target   string `json:"target"`
	KeepOld  bool   `json:"keep_old"`
}

// RestoreResult says what was restored. Path is where, as the worker's
// configuration has it. Bytes is the size of the files, Seconds is wall time.
type RestoreResult struct {
	ID         string   `json:"id"`
	Database   string   `json:"database"`
	Target     string   `json:"target"`
	Path       string   `json:"path"`
	MovedAside []string `json:"moved_aside"`
	Bytes      int64    `json:"bytes"`
	Tables     int      `json:"tables"`
	Rows       int64    `json:"rows"`
	Seconds    float64  `json:"seconds"`
}
