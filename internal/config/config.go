package config

import "time"

// Config is everything the worker knows about its host. The zero value of each
// optional field means its default, filled in by Load. The comments of the
// fields are the text of docs/configuration.md.
type Config struct {
	// The machine's name: the task queue of the host is named for it, and so are its
	// schedules. Set it where the machine's name changes, as in a container.
	Host string `yaml:"host"`
	// Directory of the backups. It must be there, and on another disk if it can.
	Repository string `yaml:"repository"`
	// Copies, verifications and drills at once; the others wait, in their order. More
	// than one where several databases have to be copied in a short time and the disks
	// are up to it.
	Copies int `yaml:"copies"`
	// What all copies of this host together may read: see
	// [bandwidth](scaling.md#bandwidth-and-copies-at-once).
	Bandwidth Bandwidth `yaml:"bandwidth"`
	// Who is told how the runs of all databases end. A database may have its own; what
	// that leaves out it has from here.
	Notify Notify `yaml:"notify"`
	// Where the worker tells about itself: see [metrics](metrics.md).
	Metrics Metrics `yaml:"metrics"`
	// The databases of this host that are backed up, at least one.
	Databases []Database `yaml:"databases"`

	file   string   // that it was loaded from; empty: flags
	sum    string   // of the file's bytes
	doubts []string // about who else can change it
}

// Database is one database to back up.
type Database struct {
	// Its name in commands, schedules and the repository: lower-case letters, digits,
	// dot, underscore and hyphen, at most 64. It cannot be changed later: a new name
	// begins a new history.
	Name string `yaml:"name"`
	// The database file, by the path that the service opens.
	Path string `yaml:"path"`
	// How old the newest verified backup may be before `starter status` and the alerts
	// say so. Left out it is twice the longest time between two starts of its
	// schedule, and an hour.
	MaxAge Duration `yaml:"max_age"`
	// The DuckDB version of the service that has the database open, such as 1.4.1, if
	// you vouch for it: up to 1.4 the copy need not wait. Left out, nothing is assumed.
	EngineVersion string `yaml:"engine_version"`
	// File, mode 0600, with the key of an encrypted database. Without it such a
	// database is copied, and not looked into.
	KeyFile string `yaml:"key_file"`
	// How the service is asked to fold its write-ahead log into the database before
	// the copy. Without it the log is copied along, which is as good.
	Checkpoint Checkpoint `yaml:"checkpoint"`
	// How the service is asked not to checkpoint while the copy runs: every copy has a
	// proof then, and none waits. For services that checkpoint often.
	Hold Hold `yaml:"hold"`
	// What the copy may take.
	Copy Copy `yaml:"copy"`
	// How deep a copy is checked before it counts.
	Verify Verify `yaml:"verify"`
	// The DuckDB that verifies, if it is not the one inside.
	Engine Engine `yaml:"engine"`
	// Which backups stay. A backup stays if any rule keeps it. Of each number -1 means
	// all; only verified backups are counted.
	Retention Retention `yaml:"retention"`
	// Tags of every backup that is made: letters, digits and `. _ : = + @ -`.
	Tags []string `yaml:"tags"`
	// How a restore is tried out.
	Drill Drill `yaml:"drill"`
	// Where `starter restore-on-host` may restore to.
	Restore Restore `yaml:"restore"`
	// Questions to each copy, in verification and in each drill, and their answers.
	Assertions []Assertion `yaml:"assertions"`
	// Who is told how the runs of this database end.
	Notify Notify `yaml:"notify"`
}

// Checkpoint modes.
const (
	CheckpointNone    = "none"
	CheckpointCommand = "command"
	CheckpointHTTP    = "http"
	CheckpointOpen    = "open"
)

// Checkpoint says how the owner is asked to fold its WAL.
type Checkpoint struct {
	// `none`; `command` runs one; `http` POSTs to the service; `open` lets the worker
	// open the database itself when nobody else has it open.
	Mode string `yaml:"mode"`
	// For `command`: a program and its arguments, run without a shell.
	Command []string `yaml:"command"`
	// For `http`: what is POSTed to; on this machine only.
	URL string `yaml:"url"`
	// Unix socket that serves the URL, whose host is ignored then.
	Socket string `yaml:"socket"`
	// How long the service may take. More where it folds a large log.
	Timeout Duration `yaml:"timeout"`
	// `continue`: the copy is made without it; `fail`: the run fails.
	OnError string `yaml:"on_error"`
}

// Hold modes.
const (
	HoldNone    = "none"
	HoldCommand = "command"
	HoldHTTP    = "http"
)

// Hold says how the owner is asked not to checkpoint while the copy runs.
type Hold struct {
	// `none`; `command` runs one; `http` POSTs to the service.
	Mode string `yaml:"mode"`
	// For `command`: a program and its arguments, run without a shell, with `begin` or
	// `end` appended.
	Command []string `yaml:"command"`
	// For `http`: URL/begin and URL/end are POSTed to; on this machine only. No two
	// databases have the same.
	URL string `yaml:"url"`
	// Unix socket that serves the URL, whose host is ignored then.
	Socket string `yaml:"socket"`
	// How long each call may take.
	Timeout Duration `yaml:"timeout"`
	// Told to the service, which ends the hold by itself after that; whole seconds.
	// More where a copy takes longer; the write-ahead log grows as long.
	Deadline Duration `yaml:"deadline"`
	// `continue`: without the hold the copy is made by the other rules; `fail`: the
	// run fails.
	OnError string `yaml:"on_error"`
}

// What copy.clone may say.
const (
	CloneAuto  = "auto"
	CloneNever = "never"
)

// Copy bounds what the copy may take.
type Copy struct {
	// Bytes a second that are read from the database; 0: no limit but the host's, which
	// holds besides. Set it where the service feels its backups, and see that the copy
	// still ends within `timeout`.
	Bandwidth Bytes `yaml:"bandwidth"`
	// Rule C: how long the header must hold still. More where the disk may take longer
	// than that to sync the database.
	Settle Duration `yaml:"settle"`
	// Rule C: sync the database before waiting. It costs the service's disk a sync.
	Barrier bool `yaml:"barrier"`
	// `auto`: the copy shares its blocks with the database where the file system can
	// (XFS, Btrfs); `never`: it has its own, so that a bad block harms one of them only.
	Clone string `yaml:"clone"`
	// Copy from a network file system, though another machine's writes may be seen too
	// late. At your risk.
	Network bool `yaml:"allow_network"`
	// Passes over the file before a run gives up, and is tried again later.
	Attempts int `yaml:"attempts"`
	// Time for all attempts together. More for a database that is read for hours.
	Timeout Duration `yaml:"timeout"`
}

// Levels of verification; a file may also say L1 to L4, in any case.
const (
	LevelBytes  = "bytes"
	LevelOpen   = "open"
	LevelFull   = "full"
	LevelAssert = "assert"
)

// Verify says how deep a copy is checked.
type Verify struct {
	// `bytes` (L1), `open` (L2), `full` (L3) or `assert` (L4): see
	// [proof](backups.md#proof). Less where reading every row takes too long.
	Level string `yaml:"level"`
	// Memory of the engine, in DuckDB's form, such as 2GB. Left out, DuckDB's own
	// default, most of the machine's: set it beside a service that needs its memory.
	MemoryLimit string `yaml:"memory_limit"`
	// Threads of the engine; 0: one for each processor.
	Threads int `yaml:"threads"`
	// Time for one verification. More for a database that is read for hours.
	Timeout Duration `yaml:"timeout"`
}

// Engine is the DuckDB that verifies copies. Without a command it is the one
// linked into this program.
type Engine struct {
	// A DuckDB shell and its arguments, such as [/usr/bin/duckdb], run without a shell
	// of the system. For databases that are newer than the engine inside.
	Command []string `yaml:"command"`
}

// Assertion is a query on the copy and the value it must return. Verification
// asks it at level assert, and each drill.
type Assertion struct {
	// What it is called where it fails.
	Name string `yaml:"name"`
	// One SELECT with one value.
	SQL string `yaml:"sql"`
	// The value, as text.
	Expect string `yaml:"expect"`
	// Time for the query.
	Timeout Duration `yaml:"timeout"`
}

// Duration is a time.Duration written as "90s" or "1h30m".
type Duration time.Duration

// Bytes is a size written as 4096, "64KB", "16MiB" or "1GB".
type Bytes int64

// Names are those of the databases.
func (c *Config) Names() []string {
	names := make([]string, 0, len(c.Databases))
	for _, d := range c.Databases {
		names = append(names, d.Name)
	}
	return names
}

// Database finds a configured database by name.
func (c *Config) Database(name string) (*Database, bool) {
	for i := range c.Databases {
		if c.Databases[i].Name == name {
			return &c.Databases[i], true
		}
	}
	return nil, false
}
