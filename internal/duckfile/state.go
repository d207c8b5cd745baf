package duckfile

// State is where a database stands between two checkpoints, as its header and
// its WAL files tell. The headers must have been the same before and after the
// WAL files were read.
type State int

// The states. N is the current header's iteration.
const (
	// Clean: no WAL, or one without a commit. The database is what header N
	// says. From DuckDB 1.5 on a checkpoint may be running all the same: of an
	// empty WAL it leaves no marker.
	Clean State = iota
	// Logged: commits and no marker. The database is header N and the WAL.
	Logged
	// Running: a marker at the WAL's end that announces another root than the
	// header has, or a checkpoint WAL beside it. Checkpoint N+1 runs, or its
	// process died in it. The database is header N, the WAL without the marker,
	// and the commits of the checkpoint WAL.
	Running
	// Written: a marker that announces the root that the header has. The WAL is
	// in the file already and about to go. The database is header N and the
	// commits of the checkpoint WAL.
	Written
	// Resumed: markers in the WAL, but commits behind the last one. A checkpoint
	// failed and the process went on. The database is header N and the WAL
	// without the markers.
	Resumed
)

func (s State) String() string {
	switch s {
	case Clean:
		return "S0: no commits outside the file"
	case Logged:
		return "S1: commits in the WAL"
	case Running:
		return "S2: a checkpoint runs or died"
	case Written:
		return "S3: a checkpoint is written, its WAL is still there"
	case Resumed:
		return "S4: a checkpoint failed, commits followed"
	}
	return "unknown"
}

// Classify finds the state from the headers, the WAL and the checkpoint WAL;
// nil stands for a file that is not there. Without the key an encrypted WAL
// hides its markers: only Clean, Logged and, by a checkpoint WAL, Running are
// told apart, and a WAL with nothing but a marker is Logged.
//
// A marker anywhere that announces the header's own root means Written: the
// root of a checkpoint to come is free in header N, hence never its own.
func Classify(h *Headers, main, side *WAL) State {
	if main == nil {
		main = &WAL{}
	}
	for _, m := range main.Markers {
		if m.MetaBlock == h.Current().MetaBlock {
			return Written
		}
	}
	_, atTail := main.MarkerAtTail()
	switch {
	case atTail || side != nil:
		return Running
	case len(main.Markers) > 0:
		return Resumed
	case main.Commits > 0:
		return Logged
	}
	return Clean
}
