package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"canvasback/internal/config"
	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/hook"
)

// probeTimeout bounds the start of an engine and the calls of a hook.
const probeTimeout = time.Minute

// known is a version of the owner's DuckDB, and where it was read; empty: it is
// not known.
type known struct{ version, from string }

// statusOf is where a hold says how it is: below its URL, before the query that
// this may have.
func statusOf(hold string) string {
	to, err := url.JoinPath(hold, "status")
	if err != nil {
		return hold
	}
	return to
}

// ownersVersion asks the hook, which knows, and else looks at what the owner's
// process is made of.
func (s *subject) ownersVersion(ctx context.Context) known {
	if s.db.Hold.Mode == config.HoldHTTP {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(s.db.Hold.Timeout))
		defer cancel()
		answer, err := hook.Get(ctx, statusOf(s.db.Hold.URL), s.db.Hold.Socket)
		var status struct {
			EngineVersion string `json:"engine_version"`
		}
		if err == nil && json.Unmarshal(answer, &status) == nil && status.EngineVersion != "" {
			return known{status.EngineVersion, "its hold hook"}
		}
	}
	if s.seen != nil && s.seen.Owner != nil && s.seen.Owner.PID > 0 {
		return processVersion(s.seen.Owner.PID)
	}
	return known{}
}

// ownerVersion holds engine_version, by which copies are accepted, to what can
// be known of the owner and of the file. Saying too low a version is the one
// setting that can make a bad backup pass for good.
func (s *subject) ownerVersion(ctx context.Context) Finding {
	const check = "database.engine-version"
	told, toldOK := duckfile.ReleaseOf(s.db.EngineVersion)
	is := s.ownersVersion(ctx)
	real, realOK := duckfile.ReleaseOf(is.version)
	mend := "leave engine_version out"
	if realOK {
		mend = "engine_version: " + bare(is.version) + ", or leave it out"
	}
	switch {
	case toldOK && realOK && told.String() != real.String():
		return finding(check, Fail, mend, "engine_version is %s, and the owner is DuckDB %s by %s", s.db.EngineVersion, is.version, is.from)
	case toldOK && s.seen != nil:
		if f, bad := s.contradicted(check, told, mend); bad {
			return f
		}
	}
	older := realOK && real.Before(duckfile.Release{Major: 1, Minor: 5})
	switch {
	case realOK && toldOK:
		return finding(check, OK, "", "engine_version is %s, and so is the owner by %s", s.db.EngineVersion, is.from)
	case toldOK:
		return finding(check, OK, "", "engine_version is %s; nothing here contradicts it, and the owner's own could not be seen", s.db.EngineVersion)
	case older:
		return finding(check, OK, "", "the owner is DuckDB %s by %s: with engine_version: %s copies need not wait", is.version, is.from, bare(is.version))
	case realOK:
		return finding(check, OK, "", "the owner is DuckDB %s by %s", is.version, is.from)
	}
	return finding(check, OK, "", "engine_version is not set, and the owner's could not be seen: the worst is assumed, which is always safe")
}

// contradicted looks for what no DuckDB of the version that was told could have
// made.
func (s *subject) contradicted(check string, told duckfile.Release, mend string) (Finding, bool) {
	needed, ok := s.needed()
	if ok && told.Before(needed) {
		return finding(check, Fail, mend, "engine_version is %s, which could not open this file: that takes DuckDB %s or newer", s.db.EngineVersion, needed), true
	}
	enc := s.seen.MainHeader.Encryption
	if v15 := (duckfile.Release{Major: 1, Minor: 5}); told.Before(v15) && (s.seen.CheckpointWAL != nil || enc != nil && enc.Version > 0) {
		return finding(check, Fail, mend, "engine_version is %s, and the owner does what only DuckDB 1.5 or newer does", s.db.EngineVersion), true
	}
	if made, ok := duckfile.ReleaseOf(s.seen.MainHeader.Library); ok && told.Before(made) {
		return finding(check, Warn, mend, "engine_version is %s, and the file was made by DuckDB %s: is the service really an older one?", s.db.EngineVersion, s.seen.MainHeader.Library), true
	}
	return Finding{}, false
}

// needed is the oldest DuckDB that reads the file.
func (s *subject) needed() (duckfile.Release, bool) {
	var compatibility uint64
	for _, slot := range s.seen.Slots {
		if slot.Current {
			compatibility = slot.Compatibility
		}
	}
	return duckfile.Needed(s.seen.MainHeader.Version, compatibility, s.seen.MainHeader.Encryption != nil)
}

// engineReads checks that the engine which verifies can open the file, and the
// WALs of its owner.
func (s *subject) engineReads(ctx context.Context) Finding {
	const check = "engine.reads"
	if s.seen == nil {
		return finding(check, Skipped, "", "the database cannot be read")
	}
	engineIs, name := s.Version, "the engine inside this program"
	if len(s.db.Engine.Command) > 0 {
		name = s.db.Engine.Command[0]
		engineIs, _ = engine.Probe(ctx, engine.ProbeRequest{Command: s.db.Engine.Command, Timeout: probeTimeout})
	}
	reads, ok := duckfile.ReleaseOf(engineIs)
	if !ok {
		return finding(check, Skipped, "", "the version of %s is not known", name)
	}
	needed, ok := s.needed()
	if !ok || reads.Before(needed) {
		text := fmt.Sprintf("%s is DuckDB %s, and storage version %d takes a newer one: backups end as structure", name, engineIs, s.seen.StorageVersion)
		mend := "engine: {command: [/path/to/a/newer/duckdb]}"
		if s.db.Retention.CountStructure {
			return finding(check, Warn, mend, "%s, and count all the same (count_structure)", text)
		}
		return finding(check, Fail, mend, "%s, and do not count", text)
	}
	if real, ok := duckfile.ReleaseOf(s.ownersVersion(ctx).version); ok && reads.Before(real) {
		return finding(check, Warn, "engine: {command: [/path/to/duckdb of the owner's version]}",
			"%s is DuckDB %s, the owner %s: a WAL that a newer DuckDB wrote may not be readable", name, engineIs, real)
	}
	return finding(check, OK, "", "%s is DuckDB %s, which reads the file", name, engineIs)
}

func bare(version string) string {
	if len(version) > 0 && version[0] == 'v' {
		return version[1:]
	}
	return version
}
