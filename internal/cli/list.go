package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"canvasback/internal/failure"
)

func newListCommand(a *app) *cobra.Command {
	s := &stored{}
	cmd := &cobra.Command{
		Use:   "list --repository DIR",
		Short: "List the backups there are",
		Long: `List the backups of a repository, oldest first. A backup whose manifest cannot
be read is reported on standard error; the others are listed, with exit status 3.`,
		Example: `  starter list --repository /backups
  starter list --repository /backups --database shop --json`,
		RunE: func(*cobra.Command, []string) error { return a.list(s) },
	}
	s.repositoryFlag(cmd)
	cmd.Flags().StringVar(&s.database, "database", "", "only the backups of the database `NAME`")
	return cmd
}

func (a *app) list(s *stored) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	names := []string{s.database}
	var problems error
	if s.database == "" {
		names, problems = r.Databases()
	}
	docs := []backupDoc{}
	for _, name := range names {
		backups, err := r.List(name)
		problems = errors.Join(problems, err)
		for i := range backups {
			doc := newBackupDoc(&backups[i])
			notes, err := r.Notes(name, doc.ID)
			if failure.Of(err) == failure.UnknownBackup {
				continue // removed just now
			}
			problems = errors.Join(problems, err)
			doc.Pin, doc.Check = notes.Pin, notes.Check
			if n := len(notes.Drills); n > 0 {
				doc.Drill = &notes.Drills[n-1]
			}
			docs = append(docs, doc)
		}
	}
	err = a.result(docs, func(w io.Writer) error { return writeBackups(w, docs, a.now()) })
	if err == nil && problems != nil {
		return &partial{problems}
	}
	return err
}
