package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// What drill.backup may say.
const (
	DrillLatest = "latest"
	DrillRandom = "random"
)

// Drill says how a restore is tried out.
type Drill struct {
	// `latest`, the newest verified backup, or `random`, any of them.
	Backup string `yaml:"backup"`
	// `open`, `full` or `assert`: how deep what was restored is checked.
	Level string `yaml:"level"`
	// Directory for the restored files, which must be there; left out, in the
	// repository. Set it where the repository's disk has no room for one more copy.
	Directory string `yaml:"directory"`
}

// Restore says where restores through Temporal may go.
type Restore struct {
	// Database files by the names that a restore is asked for them by: no path comes
	// from elsewhere.
	Targets map[string]string `yaml:"targets"`
}

// fillIn needs to know whether there are assertions.
func (d *Drill) fillIn(assertions bool) {
	setDefault(&d.Backup, DrillLatest)
	level := DefaultVerifyLevel
	if assertions {
		level = "assert"
	}
	setDefault(&d.Level, level)
}

func (d *Drill) check(at string, assertions bool) []fault {
	k := &checks{at: at}
	k.require(d.Backup == DrillLatest || d.Backup == DrillRandom, "backup", "%q is not one of latest, random", d.Backup)
	known := slices.Contains([]string{"open", "full", "assert"}, d.Level)
	k.require(known, "level", "%q is not one of open, full, assert", d.Level)
	k.require(d.Level != "assert" || assertions, "level", "assert, but the database has no assertions")
	return k.faults
}

// absolute makes relative paths start where from says.
func (r *Restore) absolute(from func(string) string) {
	for name, path := range r.Targets {
		r.Targets[name] = from(path)
	}
}

// checkTargets finds targets without a usable name or path, and those that
// would write over another database or into the repository.
func (c *Config) checkTargets() []fault {
	k := &checks{}
	for i, d := range c.Databases {
		k.at = fmt.Sprintf("databases[%d].restore.targets", i)
		for _, name := range slices.Sorted(maps.Keys(d.Restore.Targets)) {
			path := d.Restore.Targets[name]
			k.require(namePattern.MatchString(name), name, "%q is not a name: lower-case letters, digits, dot, underscore and hyphen", name)
			k.require(path != "", name, "missing: name the database file to make")
			if path == "" {
				continue
			}
			k.require(filepath.Base(path) != string(filepath.Separator), name, "%s is not a file", path)
			for j, other := range c.Databases {
				k.require(i == j || !sameFile(path, other.Path), name, "%s is the file of databases[%d]", path, j)
			}
			inside := c.Repository != "" && (resolve(path) == resolve(c.Repository) || below(resolve(c.Repository), resolve(path)))
			k.require(!inside, name, "%s lies inside the repository %s", path, c.Repository)
		}
	}
	return k.faults
}

// OfRepository is the configuration of one database whose backups are at hand
// and whose file need not be: enough to restore and to drill.
func OfRepository(dir, database, keyFile string) *Config {
	c := &Config{Repository: dir, Databases: []Database{{Name: database, KeyFile: keyFile}}}
	c.fillIn()
	return c
}
