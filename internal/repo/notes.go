package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"canvasback/internal/failure"
	"canvasback/internal/vfs"
)

// keptDrills is how many drills of a backup are kept: the newest.
const keptDrills = 20

// maxNoteBytes bounds what is read of a note into memory.
const maxNoteBytes = 4 << 20

// Notes are what was added to a backup after its commit: each in a small file
// of its own beside the manifest (pin.json, drills.json, check.json), so that no
// writer of one can lose another's.
type Notes struct {
	Pin    *Pin    // nil: none
	Drills []Drill // oldest first, the newest 20
	Check  *Check  // nil: never checked
}

// Pin keeps a backup from retention.
type Pin struct {
	Owner  string     `json:"owner"`
	Reason string     `json:"reason"`
	At     time.Time  `json:"at"`
	Until  *time.Time `json:"until,omitempty"` // nil: until taken off
}

// Drill is a restore of the backup that was made to prove that it can be.
type Drill struct {
	At             time.Time   `json:"at"`
	Run            string      `json:"run"`
	Level          string      `json:"level"`
	Engine         string      `json:"engine"`
	Passed         bool        `json:"passed"`
	RestoreSeconds float64     `json:"restore_seconds"`
	Seconds        float64     `json:"seconds"` // in all
	Bytes          int64       `json:"bytes"`
	BytesPerSecond float64     `json:"bytes_per_second"`
	Tables         int         `json:"tables"`
	Rows           int64       `json:"rows"`
	Assertions     []Assertion `json:"assertions,omitempty"`
	Failure        string      `json:"failure,omitempty"`
}

// Check is the last time that the backup's bytes were read again and compared
// with its manifest.
type Check struct {
	At      time.Time `json:"at"`
	Passed  bool      `json:"passed"`
	Bytes   int64     `json:"bytes"` // of all its files
	Seconds float64   `json:"seconds"`
	Failure string    `json:"failure,omitempty"`
}

type pinNote struct {
	Schema int  `json:"schema"`
	Pin    *Pin `json:"pin"`
}

type drillsNote struct {
	Schema int     `json:"schema"`
	Drills []Drill `json:"drills"`
}

type checkNote struct {
	Schema int    `json:"schema"`
	Check  *Check `json:"check"`
}

// Notes reads the notes of a backup: UnknownBackup, or RepoCorrupt naming a file
// that cannot be used, with the others still returned. A pin that cannot be read
// is returned as a pin without an end, beside the error: who cannot tell whether
// a backup is pinned must not remove it.
func (r *Repo) Notes(database, id string) (Notes, error) {
	if err := r.mustHave(database, id); err != nil {
		return Notes{}, err
	}
	return r.notes(r.BackupDir(database, id))
}

func (r *Repo) notes(dir string) (Notes, error) {
	var n Notes
	var pin pinNote
	_, pinErr := r.readNote(dir, pinName, &pin)
	n.Pin = pin.Pin
	if pinErr != nil {
		n.Pin = &Pin{Reason: "the pin cannot be read: " + pinErr.Error()}
	}
	drills, drillsErr := r.readDrills(dir)
	n.Drills = drills
	var check checkNote
	_, checkErr := r.readNote(dir, checkName, &check)
	if checkErr == nil {
		n.Check = check.Check
	}
	return n, errors.Join(pinErr, drillsErr, checkErr)
}

func (r *Repo) readDrills(dir string) ([]Drill, error) {
	var note drillsNote
	if _, err := r.readNote(dir, drillsName, &note); err != nil {
		return nil, err
	}
	return note.Drills, nil
}

// readNote fills note from the file, strictly; found is false where there is
// none.
func (r *Repo) readNote(dir, base string, note any) (found bool, err error) {
	name := filepath.Join(dir, base)
	data, err := r.readSmall(name, maxNoteBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if err := decodeNote(base, data, note); err != nil {
		return true, failure.Errorf(failure.RepoCorrupt, "%s: %w", name, err)
	}
	return true, nil
}

// decodeNote reads a note as strictly as Decode reads a manifest.
func decodeNote(base string, data []byte, note any) error {
	if err := decodeStrict(base, data, note); err != nil {
		return err
	}
	switch n := note.(type) {
	case *pinNote:
		if n.Pin == nil {
			return fmt.Errorf("%s holds no pin", base)
		}
		until := n.Pin.At
		if n.Pin.Until != nil {
			until = *n.Pin.Until
		}
		return noteTimes(base, n.Pin.At, until)
	case *drillsNote:
		for _, d := range n.Drills {
			if err := noteTimes(base, d.At); err != nil {
				return err
			}
		}
	case *checkNote:
		if n.Check == nil {
			return fmt.Errorf("%s holds no check", base)
		}
		return noteTimes(base, n.Check.At)
	case *removal:
		return noteTimes(base, n.At, n.Until)
	}
	return nil
}

func noteTimes(base string, times ...time.Time) error {
	if err := writable(times...); err != nil {
		return fmt.Errorf("%s: %w", base, err)
	}
	return nil
}

func (r *Repo) writeNote(dir, base string, note any) error {
	data, err := encodeStrict(base, note)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, base)
	if err := vfs.WriteAtomic(r.fs, name, data, filePerm); err != nil {
		return writeError(err, "write %s", name)
	}
	return nil
}

// SetPin pins the backup, in the place of an older pin; nil takes the pin off.
// UnknownBackup.
func (r *Repo) SetPin(database, id string, p *Pin) error {
	return r.editBackup(database, id, func(dir string) error {
		if p == nil {
			if err := removeIfThere(r.fs, filepath.Join(dir, pinName)); err != nil {
				return err
			}
			return syncDir(r.fs, dir)
		}
		return r.writeNote(dir, pinName, pinNote{Schema, p})
	})
}

// AddDrill adds a drill and drops the oldest beyond 20. A drills.json that
// cannot be used is an error (RepoCorrupt) and stays as it is. UnknownBackup.
func (r *Repo) AddDrill(database, id string, d Drill) error {
	return r.editBackup(database, id, func(dir string) error {
		drills, err := r.readDrills(dir)
		if err != nil {
			return err
		}
		drills = append(drills, d)
		drills = drills[max(0, len(drills)-keptDrills):]
		return r.writeNote(dir, drillsName, drillsNote{Schema, drills})
	})
}

// SetCheck records the last check. UnknownBackup.
func (r *Repo) SetCheck(database, id string, c Check) error {
	return r.editBackup(database, id, func(dir string) error {
		return r.writeNote(dir, checkName, checkNote{Schema, &c})
	})
}
