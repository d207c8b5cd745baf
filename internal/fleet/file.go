package fleet

import (
	"fmt"
	"time"

	"canvasback/internal/app"
	"canvasback/internal/config"
	"canvasback/internal/failure"
)

// maxFile bounds a fleet file, in bytes: some ten thousand databases take one or
// two million.
const maxFile = 16 << 20

// File is a fleet file.
type File struct {
	Fleet     string     `yaml:"fleet"`
	Defaults  Defaults   `yaml:"defaults"`
	Databases []Database `yaml:"databases"`
}

// Times say when something begins. What is nil is taken from elsewhere.
type Times struct {
	Schedule      *string          `yaml:"schedule"`
	Timezone      *string          `yaml:"timezone"`
	Jitter        *config.Duration `yaml:"jitter"`
	Overlap       *string          `yaml:"overlap"`
	CatchupWindow *config.Duration `yaml:"catchup_window"`
}

// Defaults are for what the databases leave out.
type Defaults struct {
	Host  string `yaml:"host"`
	Times `yaml:",inline"`
	Drill *Drill `yaml:"drill"` // every database is drilled
}

// Database is one database and when its backups, and its drills, begin.
type Database struct {
	Name  string `yaml:"name"`
	Host  string `yaml:"host"`
	Times `yaml:",inline"`
	Drill *Drill `yaml:"drill"`
	// Paused is about the backups and the drills; nil leaves them as a person set
	// them.
	Paused *bool `yaml:"paused"`
}

// Drill says when the drills of a database begin. What it leaves out is that of
// the defaults' drill, then that of the database's backups, but for the schedule.
type Drill struct {
	Times `yaml:",inline"`
	Off   bool `yaml:"off"` // this database is not drilled, whatever the defaults say
}

// Wanted is one schedule of the file.
type Wanted struct {
	app.Spec
	Pause *bool // nil: as it is
}

// Load reads a fleet file: strictly, all faults in one failure.InvalidConfig, a
// line of text each: "path:line: fault".
func Load(path string) (*File, error) {
	f := &File{}
	d, err := config.ReadDocument(path, maxFile, f)
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "fleet file %s: %w", path, err)
	}
	return f, f.check(d, path)
}

// parse is Load of a text that path names.
func parse(data []byte, path string) (*File, error) {
	f := &File{}
	return f, f.check(config.ParseDocument(data, f), path)
}

func (f *File) check(d *config.Document, path string) error {
	if !d.Readable() {
		return d.Report(path)
	}
	d.Require(f.Fleet != "", "fleet", "missing: name the fleet, such as production")
	d.Require(f.Fleet == "" || config.ValidName(f.Fleet), "fleet", "%q is not a name: %s", f.Fleet, nameRule)
	d.Require(f.Defaults.Host == "" || config.ValidHost(f.Defaults.Host), "defaults.host", "%q is not a host name", f.Defaults.Host)
	d.Require(len(f.Databases) > 0, "databases", "missing: name at least one database")
	f.checkDefaults(d)
	first := map[string]int{}
	for i, db := range f.Databases {
		at := fmt.Sprintf("databases[%d]", i)
		before, twice := first[db.Name]
		d.Require(db.Name != "", at+".name", "missing: name the database as its worker's configuration does")
		d.Require(db.Name == "" || config.ValidName(db.Name), at+".name", "%q is not a name: %s", db.Name, nameRule)
		d.Require(!twice || db.Name == "", at+".name", "%q is the name of databases[%d] already: a database has one host and one schedule", db.Name, before)
		if !twice {
			first[db.Name] = i
		}
		host := f.host(db)
		d.Require(host != "", at+".host", "missing: name the host whose worker has the database, here or in defaults")
		d.Require(db.Host == "" || config.ValidHost(db.Host), at+".host", "%q is not a host name", db.Host)
		f.checkTimes(d, at, db)
	}
	return d.Report(path)
}

const nameRule = "lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit, at most 64"

func (f *File) checkDefaults(d *config.Document) {
	check := func(at string, t Times) { t.check(d, at, merge(t, Times{Schedule: new("@daily")}).spec()) }
	check("defaults", f.Defaults.Times)
	if drill := f.Defaults.Drill; drill != nil {
		d.Require(!drill.Off, "defaults.drill.off", "only a database can say so: leave the drill out")
		check("defaults.drill", drill.Times)
	}
}

// checkTimes says of a database what is its own: what is wrong with the defaults
// is said once.
func (f *File) checkTimes(d *config.Document, at string, db Database) {
	backup := f.backup(db)
	d.Require(backup.Schedule != nil, at+".schedule", "missing: say when backups begin, here or in defaults")
	if backup.Schedule != nil && db.Times != (Times{}) {
		db.Times.check(d, at, backup.spec())
	}
	drill := f.drill(db)
	if drill == nil {
		return
	}
	d.Require(drill.Schedule != nil, at+".drill.schedule", "missing: say when drills begin, here or in defaults.drill")
	if drill.Schedule != nil && db.Drill != nil && db.Drill.Times != (Times{}) {
		db.Drill.Times.check(d, at+".drill", drill.spec())
	}
}

// check notes what is wrong with the times given at a place, of which s is what
// they make with what they leave out.
func (t Times) check(d *config.Document, at string, s app.Spec) {
	d.Require(t.Jitter == nil || *t.Jitter >= 0, at+".jitter", "a time to put starts off by cannot be negative")
	d.Require(t.CatchupWindow == nil || *t.CatchupWindow >= config.Duration(shortestCatchup), at+".catchup_window",
		"at least %s, or left out for one interval of the schedule", shortestCatchup)
	if _, err := app.Overlap(s.Overlap); err != nil {
		d.Require(t.Overlap == nil, at+".overlap", "%s", err)
	}
	if t.Schedule == nil && t.Timezone == nil {
		return
	}
	if s.Cron == "" {
		d.Require(false, at+".schedule", "empty: a cron expression is wanted, such as '0 3 * * *'")
		return
	}
	if err := (app.Spec{Cron: s.Cron, Timezone: s.Timezone}).Check(); err != nil {
		d.Require(false, at+t.whenKey(), "%s", err)
	}
}

// shortestCatchup is what Temporal makes of a shorter catch-up window.
const shortestCatchup = 10 * time.Second

func (t Times) whenKey() string {
	if t.Schedule == nil {
		return ".timezone"
	}
	return ".schedule"
}

// merge takes from otherwise what t leaves out.
func merge(t, otherwise Times) Times {
	pick(&t.Schedule, otherwise.Schedule)
	pick(&t.Timezone, otherwise.Timezone)
	pick(&t.Jitter, otherwise.Jitter)
	pick(&t.Overlap, otherwise.Overlap)
	pick(&t.CatchupWindow, otherwise.CatchupWindow)
	return t
}

func pick[T any](value **T, otherwise *T) {
	if *value == nil {
		*value = otherwise
	}
}

// spec is what the times say of a schedule.
func (t Times) spec() app.Spec {
	return app.Spec{
		Cron: valueOf(t.Schedule), Timezone: valueOf(t.Timezone), Overlap: valueOf(t.Overlap),
		Jitter: time.Duration(valueOf(t.Jitter)), Catchup: time.Duration(valueOf(t.CatchupWindow)),
	}
}

func valueOf[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

func (f *File) host(db Database) string {
	if db.Host == "" {
		return f.Defaults.Host
	}
	return db.Host
}

func (f *File) backup(db Database) Times { return merge(db.Times, f.Defaults.Times) }

// drill is nil for a database that is not drilled.
func (f *File) drill(db Database) *Times {
	if db.Drill == nil && f.Defaults.Drill == nil || db.Drill != nil && db.Drill.Off {
		return nil
	}
	var t Times
	if db.Drill != nil {
		t = db.Drill.Times
	}
	if f.Defaults.Drill != nil {
		t = merge(t, f.Defaults.Drill.Times)
	}
	backup := f.backup(db)
	backup.Schedule = nil
	t = merge(t, backup)
	return &t
}

// Wanted are the schedules that the file asks for, in its order.
func (f *File) Wanted() []Wanted {
	var all []Wanted
	for _, db := range f.Databases {
		add := func(task app.Task, t Times) {
			s := t.spec()
			s.Task, s.Database, s.Host, s.Fleet = task, db.Name, f.host(db), f.Fleet
			all = append(all, Wanted{s, db.Paused})
		}
		add(app.TaskBackup, f.backup(db))
		if drill := f.drill(db); drill != nil {
			add(app.TaskDrill, *drill)
		}
	}
	return all
}
