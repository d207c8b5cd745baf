package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Pin             *repo.Pin      `json:"pin,omitempty"` // list only
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
		{"rule", fmt.Sprintf("%s (attempt %d)", d.Rule, d.Attempts)},
		{"tags", strings.Join(d.Tags, " ")},
		{"size", humanBytes(d.Bytes)},
		{"tables", fmt.Sprintf("%d, %d rows", len(d.Tables), d.rows())},
		{"time", fmt.Sprintf("%.1fs, of which the copy %.1fs", d.DurationSeconds, d.CopySeconds)},
	}
	for _, p := range d.Pruned {
		fields = append(fields, field{"pruned", p.ID + ": " + p.Reason})
	}
	return writeFields(w, fields)
}

// writeBackups prints a table, oldest first. Tags and pins have a column where
// there are any.
func writeBackups(w io.Writer, docs []backupDoc, now time.Time) error {
	header := []string{"DATABASE", "ID", "STATE", "RULE", "AGE", "SIZE", "TABLES", "ROWS"}
	tags := slices.ContainsFunc(docs, func(d backupDoc) bool { return len(d.Tags) > 0 })
	pins := slices.ContainsFunc(docs, func(d backupDoc) bool { return d.Pin != nil })
	if tags {
		header = append(header, "TAGS")
	}
	if pins {
		header = append(header, "PIN")
	}
	rows := make([][]string, 0, len(docs))
	for _, d := range docs {
		row := []string{
			d.Database, d.ID, string(d.State), d.Rule, humanAge(now.Sub(d.Started)), humanBytes(d.Bytes),
			strconv.Itoa(len(d.Tables)), strconv.FormatInt(d.rows(), 10),
		}
		if tags {
			row = append(row, strings.Join(d.Tags, " "))
		}
		if pins {
			row = append(row, pinText(d.Pin))
		}
		rows = append(rows, row)
	}
	return writeTable(w, header, rows)
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
