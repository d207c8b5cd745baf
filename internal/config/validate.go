package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"canvasback/internal/failure"
)

// What checkpoint.on_error and hold.on_error may say.
const (
	OnErrorContinue = "continue"
	OnErrorFail     = "fail"
)

var (
	namePattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	hostPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)
	versionPattern = regexp.MustCompile(`^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$`)
	memoryPattern  = regexp.MustCompile(`(?i)^([0-9]+(\.[0-9]+)?) ?([KMGT]i?B|B)$`)
)

// Validate reports everything wrong with c in one failure.InvalidConfig, a
// line each. It expects defaults to be filled in and paths to be absolute, as
// Load and FromFlags leave them.
func (c *Config) Validate() error {
	return join(failure.InvalidConfig, c.check(), func(fault) string { return "" })
}

// checks collects faults below one key.
type checks struct {
	at     string
	faults []fault
}

// require notes a fault of the key unless ok.
func (k *checks) require(ok bool, key, format string, args ...any) {
	if !ok {
		k.faults = append(k.faults, fault{
			at:      strings.Trim(k.at+"."+key, "."),
			text:    fmt.Sprintf(format, args...),
			missing: strings.HasPrefix(format, "missing"),
		})
	}
}

func (c *Config) check() []fault {
	k := &checks{}
	k.require(c.Host != "", "host", "the machine has no host name: set one")
	k.require(c.Host == "" || hostPattern.MatchString(c.Host), "host", "%q is not a host name", c.Host)
	k.require(c.Repository != "", "repository", "missing: name the directory of the backups")
	k.require(c.Copies >= 1, "copies", "%d is not a number of copies: at least 1", c.Copies)
	k.require(len(c.Databases) > 0, "databases", "missing: name at least one database")
	faults := append(k.faults, c.Metrics.check()...)
	faults = append(faults, c.Bandwidth.check()...)
	for i := range c.Databases {
		faults = append(faults, c.Databases[i].check(fmt.Sprintf("databases[%d]", i))...)
	}
	faults = append(faults, c.Notify.check("notify")...)
	faults = append(faults, c.checkNames()...)
	faults = append(faults, c.checkPings()...)
	faults = append(faults, c.checkHolds()...)
	faults = append(faults, c.checkTargets()...)
	return append(faults, c.checkPaths()...)
}

func (c *Config) checkNames() []fault {
	k := &checks{}
	seen := map[string]int{}
	for i, d := range c.Databases {
		first, twice := seen[d.Name]
		k.at = fmt.Sprintf("databases[%d]", i)
		k.require(!twice || d.Name == "", "name", "%q is the name of databases[%d] already", d.Name, first)
		if !twice {
			seen[d.Name] = i
		}
	}
	return k.faults
}

// checkHolds finds a hold that two databases share: it would vouch for the wrong
// one.
func (c *Config) checkHolds() []fault {
	k := &checks{}
	seen := map[string]int{}
	for i, d := range c.Databases {
		if d.Hold.Mode != HoldHTTP {
			continue
		}
		k.at = fmt.Sprintf("databases[%d]", i)
		where := d.Hold.Socket + " " + d.Hold.URL
		first, twice := seen[where]
		k.require(!twice, "hold.url", "%s is the hold of databases[%d] already: each database needs one of its own", hookURL(d.Hold.URL), first)
		if !twice {
			seen[where] = i
		}
	}
	return k.faults
}

func (d *Database) check(at string) []fault {
	k := &checks{at: at}
	k.require(d.Name != "", "name", "missing")
	k.require(d.Name == "" || namePattern.MatchString(d.Name), "name",
		"%q is not a name: lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit, at most 64", d.Name)
	k.require(d.Path != "", "path", "missing: name the database file")
	k.require(!strings.ContainsRune(d.Path, 0), "path", "%q holds a zero byte", d.Path)
	k.require(d.MaxAge >= 0, "max_age", "%s is no age: more than 0, or left out", d.MaxAge)
	k.require(d.EngineVersion == "" || versionPattern.MatchString(d.EngineVersion), "engine_version",
		"%q is not a DuckDB version such as 1.4.1", d.EngineVersion)

	k.require(d.KeyFile == "" || d.Checkpoint.Mode != CheckpointOpen, "checkpoint.mode", "open does not open an encrypted database: ask the service that has the key, by command or http")
	k.require(d.Copy.Bandwidth >= 0, "copy.bandwidth", "%s is negative", d.Copy.Bandwidth)
	k.require(d.Copy.Settle > 0, "copy.settle", "%s is no waiting time: more than 0", d.Copy.Settle)
	k.require(d.Copy.Clone == CloneAuto || d.Copy.Clone == CloneNever, "copy.clone", "%q is not one of auto, never", d.Copy.Clone)
	k.require(d.Copy.Attempts >= 1, "copy.attempts", "%d is not a number of attempts: at least 1", d.Copy.Attempts)
	k.require(d.Copy.Timeout > 0, "copy.timeout", "%s is no time limit: more than 0", d.Copy.Timeout)

	k.require(slices.Contains(levels, d.Verify.Level), "verify.level", "%q is not one of bytes, open, full, assert", d.Verify.Level)
	k.require(d.Verify.Level != LevelAssert || len(d.Assertions) > 0, "verify.level", "assert without assertions: name some, or say full")
	k.require(validMemory(d.Verify.MemoryLimit), "verify.memory_limit", "%q is not a size such as 512MB or 2GB", d.Verify.MemoryLimit)
	k.require(d.Verify.Threads >= 0, "verify.threads", "%d is negative", d.Verify.Threads)
	k.require(d.Verify.Timeout > 0, "verify.timeout", "%s is no time limit: more than 0", d.Verify.Timeout)

	k.require(d.Engine.Command == nil || len(d.Engine.Command) > 0 && d.Engine.Command[0] != "", "engine.command",
		"no program: name a DuckDB command-line shell, such as [/usr/bin/duckdb]")

	faults := append(k.faults, d.Checkpoint.check(at+".checkpoint")...)
	faults = append(faults, d.Hold.check(at+".hold")...)
	faults = append(faults, d.Retention.check(at+".retention")...)
	faults = append(faults, checkTags(at, "tags", d.Tags)...)
	faults = append(faults, d.Notify.check(at+".notify")...)
	faults = append(faults, d.Drill.check(at+".drill", len(d.Assertions) > 0)...)
	return append(faults, checkAssertions(at, d.Assertions)...)
}

func validMemory(limit string) bool {
	m := memoryPattern.FindStringSubmatch(limit)
	return limit == "" || m != nil && strings.Trim(m[1], "0.") != ""
}

func checkAssertions(at string, assertions []Assertion) []fault {
	k := &checks{}
	seen := map[string]bool{}
	for i, a := range assertions {
		k.at = fmt.Sprintf("%s.assertions[%d]", at, i)
		k.require(a.Name != "", "name", "missing")
		k.require(a.Name == "" || !seen[a.Name], "name", "%q is the name of an earlier assertion already", a.Name)
		k.require(strings.TrimSpace(a.SQL) != "", "sql", "missing")
		k.require(a.Timeout > 0, "timeout", "%s is no time limit: more than 0", a.Timeout)
		seen[a.Name] = true
	}
	return k.faults
}
