package repo

import "time"

// Schema is the manifest version this program writes and the only one it reads.
const Schema = 1

// State of a backup. Only StateVerified counts for retention.
type State string

const (
	// StateCopied is a copy that was accepted by a rule and not verified yet.
	StateCopied State = "copied"
	// StateVerified is a copy whose bytes, blocks and rows were all checked.
	StateVerified State = "verified"
	// StateStructure is a copy whose bytes and blocks were checked but which
	// our engine is too old to open.
	StateStructure State = "structure"
	// StateFailed is a copy that verification refused, set aside for a look.
	StateFailed State = "failed"
	// StateRotten was a good copy, and later its bytes no longer were what the
	// manifest says.
	StateRotten State = "rotten"
)

// Manifest describes one backup. It is the last file written: a backup exists
// when its manifest does.
type Manifest struct {
	Schema       int           `json:"schema"`
	ID           string        `json:"id"`
	Database     string        `json:"database"`
	State        State         `json:"state"`
	Run          string        `json:"run"`
	Started      time.Time     `json:"started"`
	Finished     time.Time     `json:"finished"`
	Source       Source        `json:"source"`
	Acceptance   Acceptance    `json:"acceptance"`
	Files        []File        `json:"files"`
	Tags         []string      `json:"tags,omitempty"`
	Verification *Verification `json:"verification,omitempty"`
	Failure      string        `json:"failure,omitempty"`
	Tool         string        `json:"tool"`
}

// Source is the live database as the copy saw it.
type Source struct {
	Path           string `json:"path"`
	Device         uint64 `json:"device"`
	Inode          uint64 `json:"inode"`
	Bytes          int64  `json:"bytes"`
	Iteration      uint64 `json:"iteration"`
	StorageVersion uint64 `json:"storage_version"`
	Library        string `json:"library"`
	BlockBytes     int64  `json:"block_bytes"`
	Blocks         int64  `json:"blocks"`
	FreeBlocks     int64  `json:"free_blocks"`
	EngineVersion  string `json:"engine_version,omitempty"` // the owner's, as the operator or its hook says
	Encrypted      bool   `json:"encrypted,omitempty"`
	Opaque         bool   `json:"opaque,omitempty"` // copied without its key
	OwnerPID       int    `json:"owner_pid,omitempty"`
	OwnerExe       string `json:"owner_exe,omitempty"`
}

// Acceptance is the rule that the copy was accepted by, and its evidence.
type Acceptance struct {
	Rule         string            `json:"rule"`
	Attempts     int               `json:"attempts"`
	Seconds      float64           `json:"seconds"`
	WALBytes     int64             `json:"wal_bytes"`
	Commits      int64             `json:"commits"`
	BytesRead    int64             `json:"bytes_read"`
	BytesResumed int64             `json:"bytes_resumed"`
	Cloned       bool              `json:"cloned,omitempty"`
	Evidence     map[string]string `json:"evidence"`
}

// File is one stored file, relative to the backup's directory.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Verification is the evidence of the last verification. Level is the one that
// was reached, Asked the one that was to be reached; manifests of earlier
// releases do not have it.
type Verification struct {
	Level      string      `json:"level"`
	Asked      string      `json:"asked,omitempty"`
	Engine     string      `json:"engine"`
	At         time.Time   `json:"at"`
	Seconds    float64     `json:"seconds"`
	Blocks     int64       `json:"blocks"`
	ReadWrite  bool        `json:"read_write"`
	Tables     []Table     `json:"tables"`
	Assertions []Assertion `json:"assertions,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	// Fingerprints is the version of the encoding behind the tables'
	// fingerprints. 0 is 1, which the first manifests did not say; fingerprints
	// of two versions cannot be compared.
	Fingerprints int `json:"fingerprints,omitempty"`
}

// Table is one table as the engine read it: Name is schema-qualified, Rows the
// count, Fingerprint an order-independent digest of every column of every row.
type Table struct {
	Name        string `json:"name"`
	Rows        int64  `json:"rows"`
	Fingerprint string `json:"fingerprint"`
}

// Assertion is the outcome of one of the operator's SQL assertions.
type Assertion struct {
	Name   string `json:"name"`
	Got    string `json:"got"`
	Want   string `json:"want"`
	Passed bool   `json:"passed"`
}
