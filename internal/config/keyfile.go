package config

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"canvasback/internal/failure"
)

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 4096

// ReadKeyFile returns the encryption key of a database from the file path,
// without the line end behind it; an empty path is no key. The key is a secret:
// it goes to the engine and nowhere else. Faults are failure.InvalidConfig.
func ReadKeyFile(path string) (string, error) { return readSecretFile("key file", path) }

// ReadSecretFile is the same for what is not the key of a database: the URL of
// a check, a token.
func ReadSecretFile(path string) (string, error) { return readSecretFile("secret file", path) }

func readSecretFile(what, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, _, err := readPlain(path, maxKeyFile, func(info fs.FileInfo) error {
		switch {
		case info.Size() > maxKeyFile:
			return fmt.Errorf("%d bytes, more than %d", info.Size(), maxKeyFile)
		case tooOpen(info.Mode().Perm(), owner(info), os.Geteuid()):
			return fmt.Errorf("others than its owner may read or change it (mode %04o): make it 0600", info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		return "", failure.Errorf(failure.InvalidConfig, "%s %s: %w", what, path, err)
	}
	key := strings.TrimRight(string(data), "\r\n")
	if key == "" {
		return "", failure.Errorf(failure.InvalidConfig, "%s %s: it is empty", what, path)
	}
	return key, nil
}

// tooOpen tells a file that others than the reader and root can read or change.
// Of a file of root's a group may read, for a reader who is not root could not
// otherwise: credentials of systemd and secrets of Kubernetes are such files.
func tooOpen(mode fs.FileMode, owner, reader int) bool {
	if owner == 0 && reader != 0 {
		return mode&0o037 != 0
	}
	return mode&0o077 != 0
}

// owner is the user that a file belongs to; -1 where that is not known.
func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
