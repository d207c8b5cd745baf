package cli

import (
	"fmt"
	"io"
	"time"

	"canvasback/internal/backup"
	"canvasback/internal/human"
	"canvasback/internal/repo"
	"canvasback/internal/retention"
)

// pruneDoc is the outcome of prune. Without Confirmed, Removed is what would
// be removed. Scripts are written against it: it changes by addition only.
type pruneDoc struct {
	Database   string      `json:"database"`
	Confirmed  bool        `json:"confirmed"`
	Policy     string      `json:"policy"`
	Hash       string      `json:"hash"`
	NeedsForce bool        `json:"needs_force"`
	Bytes      int64       `json:"bytes"`             // of Removed
	Grace      string      `json:"grace"`             // for which Removed is in the trash, but for failed copies; "0": not at all
	Confirm    string      `json:"confirm,omitempty"` // the command that removes exactly this
	Kept       []prunedDoc `json:"kept"`              // newest first
	Removed    []prunedDoc `json:"removed"`           // newest first

	rows [][]string // of the table: every backup, newest first
}

// prunedDoc is one backup and what is decided of it.
type prunedDoc struct {
	ID      string     `json:"id"`
	State   repo.State `json:"state"`
	Started time.Time  `json:"started"`
	Bytes   int64      `json:"bytes"`
	Rules   []string   `json:"rules"` // that keep it
	Reason  string     `json:"reason"`
}

// newPruneDoc shows the plan, as if all that goes had gone.
func newPruneDoc(database string, p *backup.Pruning, now time.Time) *pruneDoc {
	doc := &pruneDoc{
		Database: database, Policy: p.Policy.String(), Hash: p.Plan.Hash, NeedsForce: p.Plan.Radical(),
		Grace: p.Policy.Grace.String(), Kept: []prunedDoc{}, Removed: []prunedDoc{},
	}
	for _, d := range p.Plan.Decisions {
		doc.add(p.Manifests[d.ID], d, now)
	}
	return doc
}

func (doc *pruneDoc) add(m repo.Manifest, d retention.Decision, now time.Time) {
	b := prunedDoc{
		ID: m.ID, State: m.State, Started: m.Started, Bytes: backup.Bytes(&m),
		Rules: append([]string{}, d.Rules...), Reason: d.Reason,
	}
	verb := "keep"
	switch {
	case d.Keep:
		doc.Kept = append(doc.Kept, b)
	case m.State == repo.StateFailed || doc.Grace == (retention.Period{}).String():
		verb = "remove"
	default:
		verb = "trash"
	}
	if !d.Keep {
		doc.Removed = append(doc.Removed, b)
		doc.Bytes += b.Bytes
	}
	doc.rows = append(doc.rows, []string{verb, m.ID, human.Age(now.Sub(m.Started)), string(m.State), human.Bytes(b.Bytes), d.Reason})
}

// carriedOut makes the plan into what became of it.
func (doc *pruneDoc) carriedOut(res backup.Pruned) {
	doc.Confirmed = true
	stays := map[string]string{}
	for _, d := range res.Kept {
		stays[d.ID] = d.Reason
	}
	planned := doc.Removed
	doc.Removed, doc.Bytes = []prunedDoc{}, 0
	for _, b := range planned {
		if why, ok := stays[b.ID]; ok {
			b.Reason = why
			doc.Kept = append(doc.Kept, b)
			continue
		}
		doc.Removed = append(doc.Removed, b)
		doc.Bytes += b.Bytes
	}
	for _, row := range doc.rows {
		why, stayed := stays[row[1]]
		switch {
		case stayed:
			row[0], row[5] = "keep", why
		case row[0] == "trash":
			row[0] = "trashed"
		case row[0] == "remove":
			row[0] = "removed"
		}
	}
}

func (doc *pruneDoc) write(w io.Writer) error {
	if len(doc.rows) == 0 {
		_, err := fmt.Fprintf(w, "no backups of %s\n", doc.Database)
		return err
	}
	if err := writeTable(w, []string{"DECISION", "ID", "AGE", "STATE", "SIZE", "WHY"}, doc.rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	went := "would go"
	if doc.Confirmed {
		went = "went"
	}
	fields := []field{
		{"policy", doc.Policy},
		{"plan", doc.Hash},
		{went, fmt.Sprintf("%d of %d backups, %s", len(doc.Removed), len(doc.rows), human.Bytes(doc.Bytes))},
		{"to confirm", doc.Confirm},
	}
	if doc.NeedsForce && !doc.Confirmed {
		fields = append(fields, field{"mind", "more than half of the backups would go, which --force allows"})
	}
	return writeFields(w, fields)
}
