package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/human"
)

// trashDoc is one backup in the trash.
type trashDoc struct {
	backupDoc
	Removed time.Time `json:"removed"`
	Until   time.Time `json:"until"`
	Why     string    `json:"why"`
}

func (a *app) listTrash(f *pruneFlags) error {
	if f.repository == "" && f.config != "" {
		cfg, err := config.Load(f.config)
		if err != nil {
			return err
		}
		f.repository = cfg.Repository
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	trashed, problems := r.Trashed(f.database)
	docs := []trashDoc{}
	for i := range trashed {
		t := &trashed[i]
		docs = append(docs, trashDoc{newBackupDoc(&t.Manifest), t.At, t.Until, t.Reason})
	}
	err = a.result(docs, func(w io.Writer) error { return writeTrash(w, docs, a.now()) })
	if err == nil && problems != nil {
		return &partial{problems}
	}
	return err
}

func writeTrash(w io.Writer, docs []trashDoc, now time.Time) error {
	if len(docs) == 0 {
		_, err := fmt.Fprintln(w, "the trash is empty")
		return err
	}
	rows := make([][]string, 0, len(docs))
	for _, d := range docs {
		rows = append(rows, []string{
			d.ID, string(d.State), human.Bytes(d.Bytes), human.Age(now.Sub(d.Removed)), d.Until.UTC().Format("2006-01-02 15:04 MST"), d.Why,
		})
	}
	return writeTable(w, []string{"ID", "STATE", "SIZE", "REMOVED", "UNTIL", "WHY"}, rows)
}

func newUndeleteCommand(a *app) *cobra.Command {
	s := &stored{}
	cmd := &cobra.Command{
		Use:   "undelete --repository DIR --database NAME --backup ID",
		Short: "Bring a backup back that prune removed",
		Long: `Bring back a backup that was removed with a grace period that is not over.
'starter prune --trash' lists those there are. What made the backup go holds
for it still: 'starter pin' keeps it from the next prune.`,
		Example: `  starter undelete --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a`,
		RunE:    func(*cobra.Command, []string) error { return a.undelete(s) },
	}
	s.repositoryFlag(cmd)
	s.databaseFlag(cmd)
	s.oneBackupFlag(cmd)
	cmd.Flags().Lookup("backup").Usage = "`ID` of the backup, as 'starter prune --trash' shows it"
	return cmd
}

func (a *app) undelete(s *stored) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	if err := r.Untrash(s.database, s.backup); err != nil {
		return err
	}
	m, err := r.Get(s.database, s.backup)
	if err != nil {
		return err
	}
	doc := newBackupDoc(m)
	if err := a.result(doc, doc.write); err != nil {
		return err
	}
	a.notef("the next prune may remove it again: 'starter pin' keeps it")
	return nil
}
