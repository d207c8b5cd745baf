package hotcopy

import (
	"context"
	"time"

	"canvasback/internal/duckfile"
	"canvasback/internal/vfs"
)

// Options say what to copy and within which bounds.
type Options struct {
	FS   vfs.FS
	Path string // the live database
	Dir  string // an existing directory that this copy has to itself
	Name string // the copy is Dir/Name.duckdb, its WAL Dir/Name.duckdb.wal

	// EngineVersion is the owner's DuckDB version if the operator vouches for
	// it ("1.4.1"); empty: unknown, the worst is assumed.
	EngineVersion string
	// Key opens an encrypted database; without it the copy is an opaque one. A
	// plain database needs none.
	Key *duckfile.Key
	// Settle is the bound of assumption A7, 5 s if zero.
	Settle time.Duration
	// Barrier lets rule C sync the live database before it waits.
	Barrier bool
	// Gate bounds the wait for a running checkpoint, 30 s if zero.
	Gate time.Duration
	// MaxAttempts is how many passes may be tried, 60 if zero.
	MaxAttempts int
	// MaxTime is how long all passes of one call may take; 0: no bound.
	MaxTime time.Duration
	// NeverClone copies by reading also where the file system could share the
	// blocks of the live database with the copy.
	NeverClone bool
	// AllowNetwork copies from a network file system, where assumption A6 may
	// not hold.
	AllowNetwork bool
	// Limiter bounds the bytes read from the database and its WAL; nil: no bound.
	Limiter Limiter
	// Hold asks the owner to keep checkpoints off while the copy runs; nil: it
	// is not asked.
	Hold Hold
	// HoldRequired makes a hold that cannot be had, or was lost, the copy's
	// failure. Otherwise the copy goes on by the other rules.
	HoldRequired bool
	// Progress is called after each read; nil: not at all.
	Progress func(Progress)

	clock   clock                                   // nil: the machine's
	stopped func(pid int) string                    // nil: as /proc has it
	opened  func(pid int, dev, ino uint64) []string // nil: as /proc has it
	without check                                   // tests only
}

// Limiter waits for its leave to read n bytes, at most MaxRead, and returns an
// error when ctx ends first. A *rate.Limiter whose burst is at least MaxRead is
// one. It is called by one goroutine at a time.
type Limiter interface {
	WaitN(ctx context.Context, n int) error
}

// MaxRead is the largest read from the database, in bytes.
const MaxRead = 1 << 20

// Progress is how far an attempt is. Done and Total are bytes, and nanoseconds in
// the phase settle; Total is what this attempt will read, or wait.
type Progress struct {
	Phase   string // hold, gate, clone, copy, compare, settle, hash
	Rule    string // by which the pass will be accepted if nothing changes; empty: not known yet
	Attempt int
	Done    int64
	Total   int64
}

// Result describes an accepted copy. Its files are synced.
type Result struct {
	Rule          string // A, B, C or hold
	Evidence      map[string]string
	EngineVersion string // the owner's, as the operator or its hook says; empty: unknown
	Attempts      int
	Began         time.Time // when the accepted pass began to look
	Iteration     uint64
	Storage       uint64
	Library       string
	Device        uint64
	Inode         uint64
	SourceBytes   int64
	BlockBytes    int64
	Blocks        int64 // used ones
	FreeBlocks    int64
	Encrypted     bool
	Opaque        bool // encrypted, copied without its key: no block was looked into
	OwnerPID      int
	Held          bool
	Commits       int64 // in the copied WAL
	WALBytes      int64
	BytesRead     int64 // from the live database file, over all attempts and processes
	BytesResumed  int64 // copied by an earlier process and not read again
	Cloned        bool  // the file system made the copy
	Files         []File
}

// File is a stored file of the copy, relative to Options.Dir.
type File struct {
	Name   string
	Bytes  int64
	SHA256 string
}

func (o *Options) fillIn() {
	if o.Settle == 0 {
		o.Settle = 5 * time.Second
	}
	if o.Gate == 0 {
		o.Gate = 30 * time.Second
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 60
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.clock == nil {
		o.clock = wall{}
	}
	if o.opened == nil {
		o.opened = openNames
	}
	if o.stopped == nil {
		o.stopped = whyStopped
	}
}
