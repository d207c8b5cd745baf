package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"canvasback/internal/failure"
)

// What checkpoint.on_error may say.
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
	faults := k.faults
	for i := range c.Databases {
		faults = append(faults, c.Databases[i].check(fmt.Sprintf("databases[%d]", i))...)
	}
	faults = append(faults, c.checkNames()...)
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

func (d *Database) check(at string) []fault {
	k := &checks{at: at}
	k.require(d.Name != "", "name", "missing")
	k.require(d.Name == "" || namePattern.MatchString(d.Name), "name",
		"%q is not a name: lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit, at most 64", d.Name)
	k.require(d.Path != "", "path", "missing: name the database file")
	k.require(!strings.ContainsRune(d.Path, 0), "path", "%q holds a zero byte", d.Path)
	k.require(d.EngineVersion == "" || versionPattern.MatchString(d.EngineVersion), "engine_version",
		"%q is not a DuckDB version such as 1.4.1", d.EngineVersion)

	k.require(d.Copy.Bandwidth >= 0, "copy.bandwidth", "%s is negative", d.Copy.Bandwidth)
	k.require(d.Copy.Settle > 0, "copy.settle", "%s is no waiting time: more than 0", d.Copy.Settle)
	k.require(d.Copy.Attempts >= 1, "copy.attempts", "%d is not a number of attempts: at least 1", d.Copy.Attempts)
	k.require(d.Copy.Timeout > 0, "copy.timeout", "%s is no time limit: more than 0", d.Copy.Timeout)

	k.require(slices.Contains([]string{"bytes", "open", "full"}, d.Verify.Level), "verify.level", "%q is not one of bytes, open, full", d.Verify.Level)
	k.require(validMemory(d.Verify.MemoryLimit), "verify.memory_limit", "%q is not a size such as 512MB or 2GB", d.Verify.MemoryLimit)
	k.require(d.Verify.Threads >= 0, "verify.threads", "%d is negative", d.Verify.Threads)
	k.require(d.Verify.Timeout > 0, "verify.timeout", "%s is no time limit: more than 0", d.Verify.Timeout)

	k.require(d.Retention.KeepLast >= 1 || d.Retention.KeepLast == KeepAll, "retention.keep_last",
		"%d is not a number of backups: at least 1, or -1 to keep all", d.Retention.KeepLast)

	faults := append(k.faults, d.Checkpoint.check(at+".checkpoint")...)
	return append(faults, checkAssertions(at, d.Assertions)...)
}

func validMemory(limit string) bool {
	m := memoryPattern.FindStringSubmatch(limit)
	return limit == "" || m != nil && strings.Trim(m[1], "0.") != ""
}

func (p *Checkpoint) check(at string) []fault {
	k := &checks{at: at}
	modes := []string{CheckpointNone, CheckpointCommand, CheckpointHTTP, CheckpointOpen}
	k.require(slices.Contains(modes, p.Mode), "mode", "%q is not one of %s", p.Mode, strings.Join(modes, ", "))
	if len(k.faults) == 0 {
		k.require(p.Mode == CheckpointCommand || len(p.Command) == 0, "command", "set, but mode is %s", p.Mode)
		k.require(p.Mode == CheckpointHTTP || p.URL == "", "url", "set, but mode is %s", p.Mode)
		k.require(p.Mode == CheckpointHTTP || p.Socket == "", "socket", "set, but mode is %s", p.Mode)
	}
	if p.Mode == CheckpointCommand {
		k.require(len(p.Command) > 0 && p.Command[0] != "", "command", "missing: mode command needs a list such as [/usr/local/bin/fold, --now]")
		k.require(!slices.ContainsFunc(p.Command, func(s string) bool { return strings.ContainsRune(s, 0) }), "command", "an argument holds a zero byte")
	}
	if p.Mode == CheckpointHTTP {
		why := p.checkURL()
		k.require(why == "", "url", "%s", why)
	}
	k.require(p.Timeout > 0, "timeout", "%s is no time limit: more than 0", p.Timeout)
	k.require(p.OnError == OnErrorContinue || p.OnError == OnErrorFail, "on_error", "%q is not one of continue, fail", p.OnError)
	return k.faults
}

// checkURL says what is wrong with the URL: what it reaches may be this
// machine only, so that a configuration cannot make the worker knock on
// other doors.
func (p *Checkpoint) checkURL() string {
	if p.URL == "" {
		return "missing: mode http needs one such as http://127.0.0.1:8080/checkpoint"
	}
	u, err := url.Parse(p.URL)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is not a URL", p.URL)
	case u.Scheme != "http" || u.Host == "":
		return fmt.Sprintf("%q is not a URL of the form http://HOST:PORT/PATH", u.Redacted())
	case u.User != nil:
		return fmt.Sprintf("%q holds a user name: the hook is called without one", u.Redacted())
	case p.Socket == "" && !isLoopback(u.Hostname()):
		return fmt.Sprintf("%q is not on this machine: localhost, 127.0.0.1 or [::1], or a unix socket in checkpoint.socket", p.URL)
	}
	return ""
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
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
