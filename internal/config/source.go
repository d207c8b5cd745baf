package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
)

// sum are the first 12 hex digits of the SHA-256 of a file's bytes.
func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])[:12]
}

// File is the absolute path of the file that c was loaded from; empty where it
// was made from flags.
func (c *Config) File() string { return c.file }

// Sum are the first 12 hex digits of the SHA-256 of the file that c was loaded
// from; empty without one.
func (c *Config) Sum() string { return c.sum }

// Changed tells whether the file that c was loaded from holds other bytes now, or
// is gone. Key files and others that it names do not count.
func (c *Config) Changed() (bool, error) {
	if c.file == "" {
		return false, nil
	}
	data, _, err := readPlain(c.file, maxFile, func(fs.FileInfo) error { return nil })
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("configuration file %s: %w", c.file, err)
	}
	return sum(data) != c.sum, nil
}
