package config

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Document is one YAML document that was read strictly, and what is wrong with it.
// It serves the other files of this program as it does the configuration.
type Document struct {
	at     lines
	faults []fault
}

// ReadDocument reads the file path, of at most so many bytes, into what into points to.
// An error is one of reading the file; all that is wrong with its form is noted in
// the document.
func ReadDocument(path string, most int64, into any) (*Document, error) {
	data, _, err := readPlain(path, most, func(fs.FileInfo) error { return nil })
	if err != nil {
		return nil, err
	}
	return ParseDocument(data, into), nil
}

// ParseDocument decodes data as far as it goes. The faults are those of the form
// alone: syntax, unknown or repeated keys, values of the wrong type.
func ParseDocument(data []byte, into any) *Document {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(into)
	d := &Document{at: lines{}, faults: decodeFaults(err)}
	if err == nil && dec.Decode(new(yaml.Node)) != io.EOF {
		d.faults = append(d.faults, fault{text: "one YAML document is wanted, and there is more"})
	}
	var root yaml.Node
	if yaml.Unmarshal(data, &root) == nil {
		d.at.add("", &root)
		if len(d.faults) > 0 && len(root.Content) > 0 && root.Content[0].Kind != yaml.MappingNode {
			d.faults[0].syntax = true
		}
	}
	return d
}

// Readable is false where nothing more can be said than that it is no YAML of a
// set of keys.
func (d *Document) Readable() bool {
	return !slices.ContainsFunc(d.faults, func(f fault) bool { return f.syntax })
}

// Require notes a fault of the key at ("databases[0].name") unless ok. A text that
// begins with "missing" is of a key that must be there.
func (d *Document) Require(ok bool, at, format string, args ...any) {
	k := &checks{at: at}
	k.require(ok, "", format, args...)
	d.faults = append(d.faults, k.faults...)
}

// Report joins the faults into one failure.InvalidConfig, in the order of their
// lines, "path:line: fault" each; nil without any.
func (d *Document) Report(path string) error { return report(path, d.faults, d.at) }

// ValidName tells the name of a database, and of a fleet.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// ValidHost tells the name of a host.
func ValidHost(name string) bool { return hostPattern.MatchString(name) }

// tooLarge is the fault of a file with more than so many bytes.
func tooLarge(most int64) error { return fmt.Errorf("larger than %d bytes", most) }
