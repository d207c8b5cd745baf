package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Latest stands for the newest verified backup where an ID is asked for.
const Latest = "latest"

const (
	dirPerm  = 0o700
	filePerm = 0o600

	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"
	pinName      = "pin.json"
	drillsName   = "drills.json"
	checkName    = "check.json"
	removedName  = "removed.json"
	stagingName  = ".staging"
	trashName    = ".trash"
	lockName     = ".lock"
	editName     = ".edit"
	recordName   = ".run"
	toldName     = ".told"
	gonePrefix   = ".gone-"
	probePrefix  = ".probe-"

	idTime = "20060102T150405Z"
)

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	idPattern   = regexp.MustCompile(`^([0-9]{8}T[0-9]{6}Z)-i([0-9]{1,20})-([0-9a-f]{4})$`)
	keyPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:=+@-]{0,63}$`)
	sumPattern  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ValidName reports whether name can be that of a database.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// ValidTag reports whether tag can be one of a manifest: a letter or digit, and
// up to 63 more of those and of . _ : = + @ -.
func ValidTag(tag string) bool { return tagPattern.MatchString(tag) }

// ValidID reports whether id has the form of NewID.
func ValidID(id string) bool {
	_, _, err := ParseID(id)
	return err == nil
}

// NewID names a backup: the start in UTC to the second, the iteration of the
// copied header, and four hex digits of the SHA-256 of the run's key, as in
// "20261123T034600Z-i42-1f3a". As text IDs sort by the second of the start.
func NewID(started time.Time, iteration uint64, key string) string {
	return fmt.Sprintf("%s-i%d-%s", started.UTC().Format(idTime), iteration, keyDigits(key))
}

// ParseID takes an ID apart: the start, to the second, and the iteration.
func ParseID(id string) (started time.Time, iteration uint64, err error) {
	m := idPattern.FindStringSubmatch(id)
	if m == nil {
		return time.Time{}, 0, fmt.Errorf("%q is no backup ID", id)
	}
	if started, err = time.Parse(idTime, m[1]); err != nil {
		return time.Time{}, 0, fmt.Errorf("%q is no backup ID: %w", id, err)
	}
	if iteration, err = strconv.ParseUint(m[2], 10, 64); err != nil {
		return time.Time{}, 0, fmt.Errorf("%q is no backup ID: %w", id, err)
	}
	return started, iteration, nil
}

func keyDigits(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:2])
}

// stagingDirName is the key itself where it is safe as a file name, else its
// hash.
func stagingDirName(key string) string {
	if keyPattern.MatchString(key) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "k-" + hex.EncodeToString(sum[:16])
}

// plainFileName reports whether a manifest may list name: a base name that is
// neither hidden nor one of the repository's own.
func plainFileName(name string) bool {
	return name != "" && len(name) <= 255 && name[0] != '.' && !strings.ContainsAny(name, "/\\\x00\n\r") && !ownName(name)
}

// ownName reports whether a backup's directory has a file of that name beside
// those that its manifest lists.
func ownName(name string) bool {
	switch name {
	case manifestName, sumsName, pinName, drillsName, checkName, removedName:
		return true
	}
	return false
}
