package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"canvasback/internal/job"
	"canvasback/internal/repo"
	"canvasback/internal/retention"
)

// pruneDoc is the outcome of prune. Without Confirmed, Removed is what would
// be removed.
type pruneDoc struct {
	Database  string         `json:"database"`
	Confirmed bool           `json:"confirmed"`
	Kept      []job.Decision `json:"kept"`
	Removed   []job.Decision `json:"removed"`
}

func newPruneCommand(a *app) *cobra.Command {
	s := &stored{}
	var keepLast int
	var confirm bool
	cmd := &cobra.Command{
		Use:   "prune --repository DIR --database NAME --keep-last N",
		Short: "Show, and with --confirm remove, the backups that are too many",
		Long: `Decide which backups of a database stay: the newest N verified ones, and always
the newest verified one. Every decision is shown with its reason; nothing is
removed without --confirm.`,
		Example: `  starter prune --repository /backups --database shop --keep-last 10
  starter prune --repository /backups --database shop --keep-last 10 --confirm`,
		RunE: func(*cobra.Command, []string) error {
			if keepLast < 1 {
				return usagef("--keep-last %d: at least 1", keepLast)
			}
			return a.prune(s, keepLast, confirm)
		},
	}
	s.repositoryFlag(cmd)
	s.databaseFlag(cmd)
	cmd.Flags().IntVar(&keepLast, "keep-last", 0, "verified backups to keep")
	must(cmd.MarkFlagRequired("keep-last"))
	cmd.Flags().BoolVar(&confirm, "confirm", false, "remove, instead of only showing what would be removed")
	return cmd
}

func (a *app) prune(s *stored, keepLast int, confirm bool) (err error) {
	r, err := s.open()
	if err != nil {
		return err
	}
	if confirm {
		// No backup run may decide or remove at the same time.
		lease, err := r.Acquire(s.database, "prune by hand", a.now())
		if err != nil {
			return err
		}
		defer func() {
			if endErr := lease.End(); err == nil && endErr != nil {
				a.notef("%v", endErr)
			}
		}()
	}
	doc, problems, err := a.decide(r, s.database, keepLast)
	if err != nil {
		return err
	}
	if confirm {
		doc.Confirmed = true
		problems = errors.Join(problems, removeAll(r, doc))
	}
	if err := a.result(doc, doc.write); err != nil {
		return err
	}
	if !confirm && len(doc.Removed) > 0 {
		a.notef("nothing was removed: --confirm removes")
	}
	if problems != nil {
		return &partial{problems}
	}
	return nil
}

// decide lists and judges. Problems are manifests that cannot be read: their
// backups are left alone.
func (a *app) decide(r *repo.Repo, database string, keepLast int) (doc *pruneDoc, problems, err error) {
	manifests, problems := r.List(database)
	if len(manifests) == 0 && problems != nil {
		return nil, nil, problems
	}
	backups := make([]retention.Backup, 0, len(manifests))
	for _, m := range manifests {
		backups = append(backups, retention.Backup{ID: m.ID, Time: m.Started, State: string(m.State)})
	}
	doc = &pruneDoc{Database: database, Kept: []job.Decision{}, Removed: []job.Decision{}}
	for _, d := range retention.Decide(a.now(), backups, retention.Policy{Last: keepLast}) {
		decision := job.Decision{ID: d.ID, Reason: d.Reason}
		if d.Keep {
			doc.Kept = append(doc.Kept, decision)
		} else {
			doc.Removed = append(doc.Removed, decision)
		}
	}
	return doc, problems, nil
}

// removeAll removes the oldest first, goes on after a failure, and leaves in
// doc what was really removed.
func removeAll(r *repo.Repo, doc *pruneDoc) error {
	var problems error
	removed := []job.Decision{}
	for i := len(doc.Removed) - 1; i >= 0; i-- {
		d := doc.Removed[i]
		if err := r.Remove(doc.Database, d.ID); err != nil {
			problems = errors.Join(problems, err)
			doc.Kept = append(doc.Kept, job.Decision{ID: d.ID, Reason: "removing it failed: " + err.Error()})
			continue
		}
		removed = append(removed, d)
	}
	doc.Removed = removed
	return problems
}

func (d *pruneDoc) write(w io.Writer) error {
	verb := "would remove"
	if d.Confirmed {
		verb = "removed"
	}
	rows := make([][]string, 0, len(d.Kept)+len(d.Removed))
	for _, k := range d.Kept {
		rows = append(rows, []string{"keep", k.ID, k.Reason})
	}
	for _, k := range d.Removed {
		rows = append(rows, []string{verb, k.ID, k.Reason})
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(w, "no backups of %s\n", d.Database)
		return err
	}
	return writeTable(w, []string{"DECISION", "ID", "REASON"}, rows)
}
