package job

import "time"

// HostWorkflow is the registered name of the workflow under which the worker of
// a host says that it lives.
const HostWorkflow = "Host"

// PulseActivity is the registered name of the one step of HostWorkflow. It goes
// on as long as a worker does, and its heartbeat is a Pulse.
const PulseActivity = "Pulse"

// HostID is the workflow ID of a host's HostWorkflow.
func HostID(host string) string { return "canvasback-host-" + host }

// PulseEvery is how often a worker renews its Pulse.
const PulseEvery = 10 * time.Second

// PulseLasts is how long one run of HostWorkflow lasts.
const PulseLasts = 24 * time.Hour

// PulseInput names the host.
type PulseInput struct {
	Host string `json:"host"`
}

// Pulse is what a worker says of itself and of its databases. It stays with
// Temporal as the heartbeat of the host's workflow, so that the last word of a
// worker that died can be read.
type Pulse struct {
	Host    string    `json:"host"`
	Version string    `json:"version"` // of the program
	PID     int       `json:"pid"`
	Started time.Time `json:"started"` // the worker
	At      time.Time `json:"at"`      // this report
	// Looked is when the repository was last read to its end. It falls behind At
	// while the file system that holds it does not answer.
	Looked time.Time `json:"looked"`
	// Config are the first 12 hex digits of the SHA-256 of the configuration file
	// that the worker runs with; empty without one.
	Config string `json:"config,omitempty"`
	// ConfigChanged: the file on disk is not the one that the worker runs with.
	ConfigChanged bool `json:"config_changed,omitempty"`
	// FreeBytes is what can still be written to the repository; RepositoryBytes is
	// the size of the stored backups of the databases.
	FreeBytes       int64           `json:"free_bytes"`
	RepositoryBytes int64           `json:"repository_bytes"`
	Databases       []PulseDatabase `json:"databases"` // those of the configuration, in its order
	// Problem is what kept the worker from looking at everything, a line of text;
	// empty: nothing did.
	Problem string `json:"problem,omitempty"`
}

// PulseDatabase is what the repository says of one database.
type PulseDatabase struct {
	Name string `json:"name"`
	// MaxAge is how old the newest backup that counts may be, in nanoseconds; 0:
	// the configuration does not say.
	MaxAge time.Duration `json:"max_age,omitempty"`
	// Backups counts the stored ones that count as verified.
	Backups int          `json:"backups"`
	Newest  *PulseBackup `json:"newest,omitempty"` // of those
	// GrowthPerDay is in bytes, over the last of them; negative where they shrink.
	GrowthPerDay float64     `json:"growth_per_day"`
	Drill        *PulseDrill `json:"drill,omitempty"` // the last one that is recorded
	// Hook is why the last call of the owner's hooks failed or hung; empty: it
	// did not.
	Hook string `json:"hook,omitempty"`
}

// PulseBackup is a stored backup. Started is what its age counts from: all that
// was committed before is in it.
type PulseBackup struct {
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Bytes    int64     `json:"bytes"`
	Rule     string    `json:"rule"`
}

// PulseDrill is the evidence of a restore drill.
type PulseDrill struct {
	Backup         string    `json:"backup"` // its ID
	At             time.Time `json:"at"`
	Passed         bool      `json:"passed"`
	RestoreSeconds float64   `json:"restore_seconds"`
}

// Database finds what the pulse says of a database.
func (p *Pulse) Database(name string) (*PulseDatabase, bool) {
	for i := range p.Databases {
		if p.Databases[i].Name == name {
			return &p.Databases[i], true
		}
	}
	return nil, false
}
