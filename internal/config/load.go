package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"canvasback/internal/failure"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Load reads the configuration file path: strictly, with defaults filled in
// and relative paths taken from the file's own directory. A file that others
// than its owner may change is refused: it names commands. All faults come back
// in one failure.InvalidConfig, a line of text each: "path:line: fault".
func Load(path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "configuration file %s: %w", path, err)
	}
	data, info, err := readPlain(abs, maxFile, ownOnly)
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "configuration file %s: %w", path, err)
	}
	c, at, faults := parse(data)
	c.file, c.sum, c.doubts = abs, sum(data), doubtsOf(abs, info)
	if !slices.ContainsFunc(faults, func(f fault) bool { return f.syntax }) {
		faults = append(faults, c.checkZeros(at)...)
		c.absolute(filepath.Dir(abs))
		c.fillIn()
		faults = append(faults, c.check()...)
	}
	if err := report(path, faults, at); err != nil {
		return nil, err
	}
	return c, nil
}

// reason drops the path from an error whose message will name it anyway.
func reason(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// parse decodes data as far as it goes. The faults are those of the form alone.
func parse(data []byte) (*Config, lines, []fault) {
	c := &Config{}
	d := ParseDocument(data, c)
	return c, d.at, d.faults
}

// decodeFaults takes the decoder's error apart. An empty file is no fault of
// its own: what it lacks is reported by name.
func decodeFaults(err error) []fault {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	te, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		line, text := cutLine(strings.TrimPrefix(err.Error(), "yaml: "))
		return []fault{{line: line, text: text, form: true, syntax: true}}
	}
	var faults []fault
	for _, e := range te.Errors {
		line, text := cutLine(e)
		faults = append(faults, fault{line: line, text: plain(text), form: true})
	}
	return faults
}

// cutLine splits "line 7: text".
func cutLine(s string) (int, string) {
	var line int
	if n, err := fmt.Sscanf(s, "line %d:", &line); err != nil || n != 1 {
		return 0, s
	}
	_, text, _ := strings.Cut(s, ": ")
	return line, text
}

// plain rewords what the decoder says about Go types.
func plain(text string) string {
	if key, _, ok := strings.Cut(strings.TrimPrefix(text, "field "), " not found in type "); ok {
		return fmt.Sprintf("unknown key %q", withoutURL(key))
	}
	value, kind, ok := strings.Cut(strings.TrimPrefix(text, "cannot unmarshal "), " into ")
	if !ok {
		return text
	}
	_, value, found := strings.Cut(withoutURL(value), " ")
	switch {
	case kind == "bool":
		kind = "true or false"
	case kind == "int":
		kind = "a whole number"
	case kind == "string", kind == "config.SecretURL":
		kind = "text"
	case strings.HasPrefix(kind, "[]"):
		kind = "a list"
	case strings.HasPrefix(kind, "config."), strings.HasPrefix(kind, "fleet."), strings.HasPrefix(kind, "map["):
		kind = "a set of keys"
	}
	if !found {
		return fmt.Sprintf("%s is wanted here", kind)
	}
	return fmt.Sprintf("%s is wanted here, not %s", kind, strings.Trim(value, "`"))
}

// withoutURL cuts the secret part off a URL that stands in the wrong place.
func withoutURL(text string) string {
	before, after, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	host, _, _ := strings.Cut(after[strings.LastIndex(after, "@")+1:], "/")
	host, _, _ = strings.Cut(host, "?")
	return before + "://" + host + "..."
}

// absolute makes relative paths start at dir.
func (c *Config) absolute(dir string) {
	from := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	c.Repository = from(c.Repository)
	c.Notify.absolute(from)
	for i := range c.Databases {
		d := &c.Databases[i]
		d.Path = from(d.Path)
		d.KeyFile = from(d.KeyFile)
		d.Checkpoint.Socket = from(d.Checkpoint.Socket)
		d.Hold.Socket = from(d.Hold.Socket)
		d.Drill.Directory = from(d.Drill.Directory)
		d.Restore.absolute(from)
		d.Notify.absolute(from)
		// A bare command name is looked up in PATH.
		for _, cmd := range [][]string{d.Checkpoint.Command, d.Hold.Command, d.Engine.Command} {
			if len(cmd) > 0 && strings.Contains(cmd[0], "/") {
				cmd[0] = from(cmd[0])
			}
		}
	}
}
