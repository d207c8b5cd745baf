package duckfile

import "fmt"

// What DuckDB appends to the path of a database for the files beside it.
const (
	// WALSuffix: the commits since the header was written.
	WALSuffix = ".wal"
	// CheckpointSuffix: the commits made while a checkpoint runs, from DuckDB
	// 1.5 on.
	CheckpointSuffix = ".wal.checkpoint"
	// RecoverySuffix: the two above joined, while DuckDB 1.5 and later opens a
	// database whose checkpoint did not end.
	RecoverySuffix = ".wal.recovery"
)

// WAL entry types that matter to a copy.
const (
	walAlter       = 20
	walCreateIndex = 23
	walRowGroup    = 29
	walVersion     = 98
	walCheckpoint  = 99
	walFlush       = 100
)

// entryNames are DuckDB's names of the entry types.
var entryNames = map[uint64]string{
	1: "CREATE_TABLE", 2: "DROP_TABLE", 3: "CREATE_SCHEMA", 4: "DROP_SCHEMA", 5: "CREATE_VIEW", 6: "DROP_VIEW",
	8: "CREATE_SEQUENCE", 9: "DROP_SEQUENCE", 10: "SEQUENCE_VALUE", 11: "CREATE_MACRO", 12: "DROP_MACRO",
	13: "CREATE_TYPE", 14: "DROP_TYPE", walAlter: "ALTER_INFO", 21: "CREATE_TABLE_MACRO", 22: "DROP_TABLE_MACRO",
	walCreateIndex: "CREATE_INDEX", 24: "DROP_INDEX", 25: "USE_TABLE", 26: "INSERT_TUPLE", 27: "DELETE_TUPLE",
	28: "UPDATE_TUPLE", walRowGroup: "ROW_GROUP_DATA", 30: "CREATE_TRIGGER", 31: "DROP_TRIGGER",
	walVersion: "WAL_VERSION", walCheckpoint: "CHECKPOINT", walFlush: "WAL_FLUSH",
}

// EntryName is DuckDB's name of a WAL entry type, or "TYPE_n" of one that is
// not known.
func EntryName(kind uint64) string {
	if name, ok := entryNames[kind]; ok {
		return name
	}
	return fmt.Sprintf("TYPE_%d", kind)
}

// Marker is a checkpoint marker. Start is where its frame begins and End where
// the FLUSH behind it ends, or the frame itself where none follows yet.
type Marker struct {
	Start, End int64
	MetaBlock  Pointer // the pointer that the announced header will have
	Flushed    bool
	// alone: the marker is all that its FLUSH commits.
	alone bool
	// frameEnd is where the marker's own frame ends.
	frameEnd int64
}

// WAL is what a scan found. Offsets are in bytes from the file's start.
type WAL struct {
	Header WALHeader
	// Opaque: an encrypted WAL scanned without its key. Frames and commits are
	// counted, but a marker looks like a commit, and what the frames hold is
	// assumed to be the worst: RowGroups and NeedsWrite are true.
	Opaque bool
	// Commits counts the FLUSH entries that end a commit; those that belong to
	// markers do not count, unless Opaque.
	Commits int64
	// Frames counts the whole frames up to Scanned, Entries the same by entry
	// type (see EntryName). If Opaque, Entries knows FLUSH only.
	Frames  int64
	Entries map[uint64]int64
	// End is the end of the last FLUSH, or of the header when there is none.
	// What lies behind it is no part of any commit.
	End int64
	// Tail says why the scan ended at Scanned: nil at the file's end, else an
	// ErrTruncated (the file ends inside a frame) or ErrCorrupt error.
	Tail    error
	Scanned int64
	Markers []Marker
	// RowGroups: a commit refers to blocks of the database file.
	RowGroups bool
	// NeedsWrite: a commit holds ALTER or CREATE INDEX, which DuckDB up to
	// 1.5.6 cannot replay in read-only mode.
	NeedsWrite bool
	// lastCommit is where the last commit that is no marker ends.
	lastCommit int64
}

// Range is a span of bytes [Start, End).
type Range struct{ Start, End int64 }

// MarkerAtTail returns the checkpoint marker that no commit follows, if there
// is one: a checkpoint runs, or its process died in it.
func (w *WAL) MarkerAtTail() (Marker, bool) {
	if n := len(w.Markers); n > 0 && w.Markers[n-1].End > w.lastCommit {
		return w.Markers[n-1], true
	}
	return Marker{}, false
}

// Keep returns the ranges that belong in a copy: the header and all commits without markers.
// Nil when there is no commit.
func (w *WAL) Keep() []Range {
	if w.Commits == 0 {
		return nil
	}
	var keep []Range
	at := int64(0)
	for _, m := range w.Markers {
		if m.Start >= w.End {
			break
		}
		end := m.End
		if !m.alone {
			end = m.frameEnd
		}
		if m.Start > at {
			keep = append(keep, Range{at, m.Start})
		}
		at = end
	}
	if at < w.End {
		keep = append(keep, Range{at, w.End})
	}
	return keep
}
