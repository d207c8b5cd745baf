package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"canvasback/internal/human"
	"canvasback/internal/job"
	"canvasback/internal/repo"
)

// backupDoc is one backup as backup, list and verify print it. Scripts are
// written against it: it changes by addition only.
type backupDoc struct {
	ID              string         `json:"id"`
	Database        string         `json:"database"`
	State           repo.State     `json:"state"`
	Rule            string         `json:"rule"`
	Attempts        int            `json:"attempts"`
	Bytes           int64          `json:"bytes"`
	CopySeconds     float64        `json:"copy_seconds"`
	DurationSeconds float64        `json:"duration_seconds"`
	Started         time.Time      `json:"started"`
	Files           []repo.File    `json:"files"`
	Tables          []repo.Table   `json:"tables"`
	Pruned          []job.Decision `json:"pruned"`
	Reason          string         `json:"reason,omitempty"`
	Tags            []string       `json:"tags"`
	// Level and Engine are those of the deepest verification on record.
	Level  string `json:"level,omitempty"`
	Engine string `json:"engine,omitempty"`
	// Of verify only: the verification that it made.
	Verified *verifiedDoc `json:"verified,omitempty"`
	// Of list only: the pin, the last check and the last drill.
	Pin   *repo.Pin   `json:"pin,omitempty"`
	Check *repo.Check `json:"check,omitempty"`
	Drill *repo.Drill `json:"drill,omitempty"`
}

// verifiedDoc is a verification made just now.
type verifiedDoc struct {
	Level      string  `json:"level"`
	Engine     string  `json:"engine"`
	Seconds    float64 `json:"seconds"`
	Assertions int     `json:"assertions"`
}

// newBackupDoc leaves no list nil, so that none becomes null.
func newBackupDoc(m *repo.Manifest) backupDoc {
	doc := backupDoc{
		ID:              m.ID,
		Database:        m.Database,
		State:           m.State,
		Rule:            m.Acceptance.Rule,
		Attempts:        m.Acceptance.Attempts,
		CopySeconds:     m.Acceptance.Seconds,
		DurationSeconds: m.Finished.Sub(m.Started).Seconds(),
		Started:         m.Started,
		Files:           append([]repo.File{}, m.Files...),
		Tables:          []repo.Table{},
		Pruned:          []job.Decision{},
		Reason:          m.Failure,
		Tags:            append([]string{}, m.Tags...),
	}
	for _, f := range m.Files {
		doc.Bytes += f.Bytes
	}
	if v := m.Verification; v != nil {
		doc.Tables = append(doc.Tables, v.Tables...)
		doc.Level, doc.Engine = v.Level, v.Engine
		if doc.Reason == "" {
			doc.Reason = v.Reason
		}
	}
	return doc
}

func (d *backupDoc) rows() int64 {
	var n int64
	for _, t := range d.Tables {
		n += t.Rows
	}
	return n
}

// write prints the backup for people.
func (d *backupDoc) write(w io.Writer) error {
	fields := []field{
		{"backup", d.ID},
		{"database", d.Database},
		{"state", string(d.State)},
		{"reason", d.Reason},
		{"verified", verifiedText(d.Verified)},
		{"proved", provedText(d.Level, d.Engine)},
		{"rule", fmt.Sprintf("%s, attempt %d", d.Rule, d.Attempts)},
		{"tags", strings.Join(d.Tags, " ")},
		{"size", human.Bytes(d.Bytes)},
		{"contents", fmt.Sprintf("%d tables, %d rows", len(d.Tables), d.rows())},
		{"taken in", fmt.Sprintf("%s, copy %s", human.Seconds(d.DurationSeconds), human.Seconds(d.CopySeconds))},
	}
	for _, p := range d.Pruned {
		fields = append(fields, field{"pruned", p.ID + ": " + p.Reason})
	}
	return writeFields(w, fields)
}

// verifiedText tells of a verification made just now, provedText of the deepest
// one on record, which a shallower one leaves as it is.
func verifiedText(v *verifiedDoc) string {
	if v == nil {
		return ""
	}
	text := "now at level " + v.Level
	if v.Assertions > 0 {
		text += fmt.Sprintf(", %d assertions", v.Assertions)
	}
	return text + ", in " + human.Seconds(v.Seconds)
}

func provedText(level, engine string) string {
	switch {
	case level == "":
		return ""
	case engine == "":
		return "level " + level
	}
	return "level " + level + ", by DuckDB " + engine
}

// extra is a column that is there where any backup has something to show in it.
type extra struct {
	header string
	cell   func(d *backupDoc) string
}

// writeBackups prints a table, oldest first.
func writeBackups(w io.Writer, docs []backupDoc, now time.Time) error {
	header := []string{"DATABASE", "ID", "STATE", "RULE", "AGE", "SIZE", "TABLES", "ROWS"}
	extras := slices.DeleteFunc([]extra{
		{"TAGS", func(d *backupDoc) string { return strings.Join(d.Tags, " ") }},
		{"PIN", func(d *backupDoc) string { return pinText(d.Pin) }},
		{"CHECK", func(d *backupDoc) string { return checkText(d.Check, now) }},
		{"DRILL", func(d *backupDoc) string { return drillText(d.Drill, now) }},
		{"REASON", firstWords},
	}, func(e extra) bool {
		return !slices.ContainsFunc(docs, func(d backupDoc) bool { return e.cell(&d) != "" })
	})
	for _, e := range extras {
		header = append(header, e.header)
	}
	rows := make([][]string, 0, len(docs))
	for _, d := range docs {
		row := []string{
			d.Database, d.ID, string(d.State), d.Rule, human.Age(now.Sub(d.Started)), human.Bytes(d.Bytes),
			strconv.Itoa(len(d.Tables)), strconv.FormatInt(d.rows(), 10),
		}
		for _, e := range extras {
			row = append(row, e.cell(&d))
		}
		rows = append(rows, row)
	}
	return writeTable(w, header, rows)
}

// firstWords is the beginning of why a backup is not verified; --json has all.
func firstWords(d *backupDoc) string {
	const most = 60
	if d.State == repo.StateVerified {
		return ""
	}
	text := strings.TrimPrefix(d.Reason, "the backup is bad: ")
	if _, after, found := strings.Cut(text, d.ID+"/"); found {
		text = after // the path of its directory says nothing here
	}
	reason := []rune(strings.Join(strings.Fields(text), " "))
	if len(reason) > most {
		return string(reason[:most]) + "..."
	}
	return string(reason)
}

// checkText and drillText say how the last one went; a failure is shouted.
func checkText(c *repo.Check, now time.Time) string {
	if c == nil {
		return ""
	}
	return passedText(c.Passed, c.At, now)
}

func drillText(d *repo.Drill, now time.Time) string {
	if d == nil {
		return ""
	}
	text := passedText(d.Passed, d.At, now)
	if d.Passed {
		text += ", in " + human.Seconds(d.RestoreSeconds)
	}
	return text
}

func passedText(passed bool, at, now time.Time) string {
	if passed {
		return "passed " + human.Age(now.Sub(at)) + " ago"
	}
	return "FAILED " + human.Age(now.Sub(at)) + " ago"
}

// pinText is a pin in one cell.
func pinText(p *repo.Pin) string {
	if p == nil {
		return ""
	}
	text := p.Reason
	if p.Until != nil {
		text = "until " + until(p) + ": " + text
	}
	return strings.TrimSpace(p.Owner + " " + text)
}
