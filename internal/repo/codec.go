package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// maxManifestBytes bounds what is read into memory: some 500,000 tables.
const maxManifestBytes = 64 << 20

// Bounds of what a decoded file takes of memory: a list element takes fewer bytes
// as text than as a value. Half a million tables have neither so many objects nor
// so many commas.
const (
	maxObjects = 1 << 20
	maxCommas  = 4 << 20
)

// maxBytes bounds the files of a backup, so that sums of them are numbers: an
// exbibyte, more than a file system holds.
const maxBytes = 1 << 60

// Decode reads a manifest strictly: an unknown schema version, an unknown
// field, trailing data, more than 64 MiB and contents that no backup can have
// are refused.
func Decode(data []byte) (*Manifest, error) {
	if len(data) > maxManifestBytes {
		return nil, fmt.Errorf("manifest of %d bytes is larger than %d", len(data), maxManifestBytes)
	}
	m := new(Manifest)
	if err := decodeStrict("manifest", data, m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// decodeStrict fills v from the data, refusing what Decode refuses; what names
// it in the errors.
func decodeStrict(what string, data []byte, v any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%s is not UTF-8", what)
	}
	if bytes.Count(data, []byte("{")) > maxObjects || bytes.Count(data, []byte(",")) > maxCommas {
		return fmt.Errorf("%s holds more than any backup has to say", what)
	}
	// The version first: the fields of another version mean nothing to us.
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return fmt.Errorf("%s is not JSON: %w", what, err)
	}
	if version.Schema == nil {
		return fmt.Errorf("%s has no schema version", what)
	}
	if *version.Schema != Schema {
		return fmt.Errorf("%s has schema version %d, this program reads %d", what, *version.Schema, Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%s has trailing data", what)
	}
	return nil
}

// encodeStrict is the inverse of decodeStrict, indented for people.
func encodeStrict(what string, v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return append(data, '\n'), nil
}

// Encode is the inverse of Decode, indented for people.
func Encode(m *Manifest) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	data, err := encodeStrict("manifest", m)
	if err == nil && len(data) > maxManifestBytes {
		return nil, fmt.Errorf("manifest of %d bytes is larger than %d", len(data), maxManifestBytes)
	}
	return data, err
}

func (m *Manifest) check() error {
	switch {
	case m.Schema != Schema:
		return fmt.Errorf("schema version %d", m.Schema)
	case !ValidID(m.ID):
		return fmt.Errorf("id %q is no backup ID", m.ID)
	case !ValidName(m.Database):
		return fmt.Errorf("database %q is no database name", m.Database)
	case m.Run == "":
		return errors.New("run is empty")
	case len(m.Files) == 0:
		return errors.New("no files")
	}
	switch m.State {
	case StateCopied, StateVerified, StateStructure, StateFailed, StateRotten:
	default:
		return fmt.Errorf("state %q is unknown", m.State)
	}
	tags := make(map[string]bool, len(m.Tags))
	for _, tag := range m.Tags {
		if !ValidTag(tag) || tags[tag] {
			return fmt.Errorf("tag %q is not a plain one, or there twice", tag)
		}
		tags[tag] = true
	}
	times := []time.Time{m.Started, m.Finished}
	if m.Verification != nil {
		times = append(times, m.Verification.At)
	}
	if err := writable(times...); err != nil {
		return err
	}
	return m.checkFiles()
}

// writable refuses times that have no place in a calendar of four digits once
// they are in UTC, as they are shown and written.
func writable(times ...time.Time) error {
	for _, t := range times {
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			return fmt.Errorf("a time in the year %d", year)
		}
	}
	return nil
}

func (m *Manifest) checkFiles() error {
	var total int64
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		switch {
		case !plainFileName(f.Name):
			return fmt.Errorf("file name %q is not a plain one", f.Name)
		case seen[f.Name]:
			return fmt.Errorf("file %q is listed twice", f.Name)
		case f.Bytes < 0 || f.Bytes > maxBytes-total:
			return fmt.Errorf("file %q has %d bytes", f.Name, f.Bytes)
		case !sumPattern.MatchString(f.SHA256):
			return fmt.Errorf("file %q: sha256 %q is not 64 hex digits", f.Name, f.SHA256)
		}
		seen[f.Name] = true
		total += f.Bytes
	}
	return nil
}
