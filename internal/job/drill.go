package job

// DrillWorkflow is the registered name of the workflow that proves that a
// backup can be restored.
const DrillWorkflow = "Drill"

// DrillID is the base of the workflow IDs of a database's drills, and the ID of
// their schedule.
func DrillID(database string) string { return "canvasback-drill-" + database }

// Which backup a drill takes.
const (
	DrillLatest = "latest" // the newest verified one
	DrillRandom = "random" // any verified one, another with each run
)

// DrillInput asks for a drill. Backup is an ID, DrillLatest or DrillRandom;
// empty: what the worker's configuration says.
type DrillInput struct {
	Database string `json:"database"`
	Backup   string `json:"backup,omitempty"`
}

// DrillResult is what a drill that passed returns. RestoreSeconds is the time
// to the restored file, durable on disk; BytesPerSecond is the rate of that.
type DrillResult struct {
	ID             string  `json:"id"`
	Database       string  `json:"database"`
	Level          string  `json:"level"`
	Engine         string  `json:"engine"`
	Bytes          int64   `json:"bytes"`
	RestoreSeconds float64 `json:"restore_seconds"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	VerifySeconds  float64 `json:"verify_seconds"`
	Tables         int     `json:"tables"`
	Rows           int64   `json:"rows"`
	Assertions     int     `json:"assertions"`
}

// DrillStepInput names the backup, and the run whose scratch directory it is
// restored to and proved in.
type DrillStepInput struct {
	Database string `json:"database"`
	ID       string `json:"id"`
	Run      string `json:"run"`
}

// DrillRestoreResult says how fast it was restored.
type DrillRestoreResult struct {
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// DrillVerifyResult is the short form of what the restored file was held to.
type DrillVerifyResult struct {
	Level      string  `json:"level"`
	Engine     string  `json:"engine"`
	Tables     int     `json:"tables"`
	Rows       int64   `json:"rows"`
	Assertions int     `json:"assertions"`
	Seconds    float64 `json:"seconds"`
}

// DrillRecordInput ends a drill: its evidence goes beside the backup, unless ID
// is empty, and its scratch directory goes. Failure is empty where it passed.
type DrillRecordInput struct {
	Database string             `json:"database"`
	Run      string             `json:"run"`
	ID       string             `json:"id"`
	Restored DrillRestoreResult `json:"restored"`
	Verified DrillVerifyResult  `json:"verified"`
	Failure  string             `json:"failure,omitempty"`
}

// Result is what a drill that passed comes to.
func (d DrillRecordInput) Result() DrillResult {
	r := DrillResult{
		ID: d.ID, Database: d.Database, Level: d.Verified.Level, Engine: d.Verified.Engine,
		Bytes: d.Restored.Bytes, RestoreSeconds: d.Restored.Seconds, VerifySeconds: d.Verified.Seconds,
		Tables: d.Verified.Tables, Rows: d.Verified.Rows, Assertions: d.Verified.Assertions,
	}
	if r.RestoreSeconds > 0 {
		r.BytesPerSecond = float64(r.Bytes) / r.RestoreSeconds
	}
	return r
}
