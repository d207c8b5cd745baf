package config

import "time"

// Config is everything the worker knows about its host. The zero value of each
// optional field means its default, filled in by Load.
type Config struct {
	Host       string     `yaml:"host"`       // default: the machine's host name
	Repository string     `yaml:"repository"` // directory of the backups
	Copies     int        `yaml:"copies"`     // copies at once, default 1
	Notify     Notify     `yaml:"notify"`     // of all databases, unless one has its own
	Metrics    Metrics    `yaml:"metrics"`    // off unless an address is set
	Databases  []Database `yaml:"databases"`

	file string // that it was loaded from; empty: flags
	sum  string // of the file's bytes
}

// Database is one database to back up.
type Database struct {
	Name          string      `yaml:"name"`           // ^[a-z0-9][a-z0-9._-]{0,63}$
	Path          string      `yaml:"path"`           // absolute after loading
	MaxAge        Duration    `yaml:"max_age"`        // how old the newest verified backup may be; 0: two intervals of its schedule and an hour
	EngineVersion string      `yaml:"engine_version"` // the owner's DuckDB ("1.4.1"), vouched for by the operator; empty: unknown
	KeyFile       string      `yaml:"key_file"`       // file with the key of an encrypted database; without it the copy is opaque
	Checkpoint    Checkpoint  `yaml:"checkpoint"`
	Hold          Hold        `yaml:"hold"`
	Copy          Copy        `yaml:"copy"`
	Verify        Verify      `yaml:"verify"`
	Engine        Engine      `yaml:"engine"`
	Retention     Retention   `yaml:"retention"`
	Tags          []string    `yaml:"tags"` // of every backup that is made
	Drill         Drill       `yaml:"drill"`
	Restore       Restore     `yaml:"restore"`
	Assertions    []Assertion `yaml:"assertions"`
	Notify        Notify      `yaml:"notify"`
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
	Mode    string   `yaml:"mode"`     // none (default), command, http, open
	Command []string `yaml:"command"`  // argv, run without a shell
	URL     string   `yaml:"url"`      // loopback http URL, POSTed to; with Socket the host part is ignored
	Socket  string   `yaml:"socket"`   // unix socket that serves URL
	Timeout Duration `yaml:"timeout"`  // default 1m
	OnError string   `yaml:"on_error"` // continue (default) or fail
}

// Hold modes.
const (
	HoldNone    = "none"
	HoldCommand = "command"
	HoldHTTP    = "http"
)

// Hold says how the owner is asked not to checkpoint while the copy runs.
type Hold struct {
	Mode     string   `yaml:"mode"`     // none (default), command, http
	Command  []string `yaml:"command"`  // argv, run without a shell, with "begin" or "end" appended
	URL      string   `yaml:"url"`      // loopback http URL; URL/begin and URL/end are POSTed to; with Socket the host part is ignored
	Socket   string   `yaml:"socket"`   // unix socket that serves URL
	Timeout  Duration `yaml:"timeout"`  // of each call, default 30s
	Deadline Duration `yaml:"deadline"` // told to the owner, who ends the hold by itself after that; whole seconds, default 10m
	OnError  string   `yaml:"on_error"` // continue (default): without the hold the copy goes on by the other rules; fail: it fails
}

// What copy.clone may say.
const (
	CloneAuto  = "auto"
	CloneNever = "never"
)

// Copy bounds what the copy may take.
type Copy struct {
	Bandwidth Bytes    `yaml:"bandwidth"`     // bytes per second read from the database, 0: unlimited
	Settle    Duration `yaml:"settle"`        // rule C: how long the header must hold still, default 5s
	Barrier   bool     `yaml:"barrier"`       // rule C: sync the database before waiting
	Clone     string   `yaml:"clone"`         // auto (default): clone where the file system can; never: the copy shares no blocks with the database
	Network   bool     `yaml:"allow_network"` // copy from a network file system, though its cache may be stale
	Attempts  int      `yaml:"attempts"`      // default 60
	Timeout   Duration `yaml:"timeout"`       // for all attempts of one activity, default 6h
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
	Level       string   `yaml:"level"`        // bytes, open, full or assert; default: assert where there are assertions, else full
	MemoryLimit string   `yaml:"memory_limit"` // DuckDB's form, "2GB"
	Threads     int      `yaml:"threads"`
	Timeout     Duration `yaml:"timeout"` // default 1h
}

// Engine is the DuckDB that verifies copies. Without a command it is the one
// linked into this program.
type Engine struct {
	Command []string `yaml:"command"` // argv of a DuckDB command-line shell, run without a shell: [/usr/bin/duckdb]
}

// Assertion is a query on the copy and the value it must return. Verification
// asks it at level assert, and each drill.
type Assertion struct {
	Name    string   `yaml:"name"`
	SQL     string   `yaml:"sql"`
	Expect  string   `yaml:"expect"`
	Timeout Duration `yaml:"timeout"` // default 1m
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
