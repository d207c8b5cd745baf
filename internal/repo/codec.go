package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxManifestBytes bounds what is read into memory: some 500,000 tables.
const maxManifestBytes = 64 << 20

// Decode reads a manifest strictly: an unknown schema version, an unknown
// field, trailing data, more than 64 MiB and contents that no backup can have
// are refused.
func Decode(data []byte) (*Manifest, error) {
	if len(data) > maxManifestBytes {
		return nil, fmt.Errorf("manifest of %d bytes is larger than %d", len(data), maxManifestBytes)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("manifest is not UTF-8")
	}
	// The version first: the fields of another version mean nothing to us.
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("manifest is not JSON: %w", err)
	}
	if version.Schema == nil {
		return nil, errors.New("manifest has no schema version")
	}
	if *version.Schema != Schema {
		return nil, fmt.Errorf("manifest has schema version %d, this program reads %d", *version.Schema, Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	m := new(Manifest)
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("manifest has trailing data")
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// Encode is the inverse of Decode, indented for people.
func Encode(m *Manifest) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if len(data) >= maxManifestBytes {
		return nil, fmt.Errorf("manifest of %d bytes is larger than %d", len(data)+1, maxManifestBytes)
	}
	return append(data, '\n'), nil
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
	case StateCopied, StateVerified, StateStructure, StateFailed:
	default:
		return fmt.Errorf("state %q is unknown", m.State)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		switch {
		case !plainFileName(f.Name):
			return fmt.Errorf("file name %q is not a plain one", f.Name)
		case seen[f.Name]:
			return fmt.Errorf("file %q is listed twice", f.Name)
		case f.Bytes < 0:
			return fmt.Errorf("file %q has %d bytes", f.Name, f.Bytes)
		case !sumPattern.MatchString(f.SHA256):
			return fmt.Errorf("file %q: sha256 %q is not 64 hex digits", f.Name, f.SHA256)
		}
		seen[f.Name] = true
	}
	return nil
}
