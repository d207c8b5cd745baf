package restore

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"canvasback/internal/duckfile"
	"canvasback/internal/engine"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/verify"
)

// check reads the restored database with the engine and compares it with what
// the manifest says that verification read.
func (r *run) check(ctx context.Context) error {
	if r.req.Scan == nil {
		return nil
	}
	if r.manifest.State == repo.StateStructure {
		r.result.Unchecked = "no engine has opened this backup yet: its bytes are those that were copied"
		if v := r.manifest.Verification; v != nil && v.Reason != "" {
			r.result.Unchecked += " (" + v.Reason + ")"
		}
		return nil
	}
	path, readWrite, err := r.scanPath(ctx)
	if err != nil {
		return fmt.Errorf("%s is in place, but was not checked: %w", r.target, err)
	}
	tables, err := r.req.Scan(ctx, path, readWrite)
	if failure.Of(err) == failure.NewerStorage {
		r.result.Unchecked = "the engine here cannot read it, its bytes are those that were verified: " + err.Error()
		return nil
	}
	if kind := failure.Of(err); err != nil && kind != failure.BackupBad {
		return fmt.Errorf("%s is in place, but was not checked: %w", r.target, err)
	}
	if err != nil {
		return fmt.Errorf("%s is in place, but did not pass its check: %w", r.target, err)
	}
	r.result.Tables = tables
	if !HasTables(r.manifest) {
		r.result.Unchecked = "the backup was never read, so there is nothing to compare its tables with"
		return nil
	}
	if diff := Difference(r.manifest.Verification, r.manifest.Verification.Tables, tables); diff != "" {
		return failure.Errorf(failure.BackupBad, "%s is in place, but does not read as backup %s did when it was verified: %s", r.target, r.manifest.ID, diff)
	}
	return nil
}

// scanPath is the restored file itself, or a scratch copy where only a writer
// can replay the WAL: the first open of the restored file belongs to its owner.
func (r *run) scanPath(ctx context.Context) (path string, readWrite bool, err error) {
	if r.wal == nil || !r.needsWrite(r.target+".wal") {
		return r.target, false, nil
	}
	scratch := filepath.Join(r.stage, "scan.duckdb")
	for _, suffix := range []string{"", ".wal"} {
		if _, err := copyTo(ctx, r.fs, r.fs, r.target+suffix, scratch+suffix, 0o600, nil, nil); err != nil {
			return "", false, err
		}
	}
	return scratch, true, nil
}

// needsWrite asks the WAL. One that cannot be judged is tried on a scratch copy,
// which is right for every WAL.
func (r *run) needsWrite(name string) bool {
	f, err := r.fs.Open(name)
	if err != nil {
		return true
	}
	defer f.Close()
	wal, err := duckfile.ScanWAL(f, r.wal.Bytes, nil)
	return err != nil || wal.NeedsWrite || r.manifest.Verification != nil && r.manifest.Verification.ReadWrite
}

// HasTables tells whether an engine has read the backup.
func HasTables(m *repo.Manifest) bool {
	return m.Verification != nil && m.Verification.Level != verify.LevelBytes && m.Verification.Tables != nil
}

// Difference compares tables that v has, all or some, with what is read now: by
// name, rows and, where both have one of the present form, fingerprint; empty if
// they agree.
func Difference(v *repo.Verification, want, got []repo.Table) string {
	same := v.Fingerprints == engine.FingerprintVersion
	byName := func(a, b repo.Table) int { return cmp.Compare(a.Name, b.Name) }
	want, got = slices.SortedFunc(slices.Values(want), byName), slices.SortedFunc(slices.Values(got), byName)
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got) || i < len(want) && want[i].Name < got[i].Name:
			return fmt.Sprintf("table %s is missing", want[i].Name)
		case i >= len(want) || got[i].Name < want[i].Name:
			return fmt.Sprintf("table %s was not there", got[i].Name)
		case want[i].Rows != got[i].Rows:
			return fmt.Sprintf("table %s has %d rows, then %d", want[i].Name, got[i].Rows, want[i].Rows)
		case same && want[i].Fingerprint != "" && got[i].Fingerprint != "" && want[i].Fingerprint != got[i].Fingerprint:
			return fmt.Sprintf("table %s has fingerprint %s, then %s", want[i].Name, got[i].Fingerprint, want[i].Fingerprint)
		}
	}
	return ""
}
