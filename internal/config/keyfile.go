package config

import (
	"os"
	"strings"

	"canvasback/internal/failure"
)

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 4096

// ReadKeyFile returns the encryption key of a database from the file path,
// without the line end behind it; an empty path is no key. The key is a secret:
// it goes to the engine and nowhere else. Faults are failure.InvalidConfig.
func ReadKeyFile(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: %w", path, reason(err))
	}
	switch {
	case !info.Mode().IsRegular():
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: not a regular file", path)
	case info.Size() > maxKeyFile:
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: %d bytes, more than %d", path, info.Size(), maxKeyFile)
	case info.Mode().Perm()&0o077 != 0:
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: others than its owner may read or change it (mode %04o): make it 0600", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: %w", path, reason(err))
	}
	key := strings.TrimRight(string(data), "\r\n")
	if key == "" {
		return "", failure.Errorf(failure.InvalidConfig, "key file %s: it is empty", path)
	}
	return key, nil
}
