package cli

import (
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/repo"
	"canvasback/internal/retention"
)

// pinDoc is a backup and its pin, null where there is none.
type pinDoc struct {
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Pin      *repo.Pin `json:"pin"`
}

func (d *pinDoc) write(w io.Writer) error {
	if d.Pin == nil {
		return writeFields(w, []field{{"not pinned", d.ID}})
	}
	return writeFields(w, []field{
		{"pinned", d.ID},
		{"owner", d.Pin.Owner},
		{"until", until(d.Pin)},
		{"reason", d.Pin.Reason},
	})
}

func until(p *repo.Pin) string {
	if p.Until == nil {
		return "taken off"
	}
	return p.Until.UTC().Format("2006-01-02 15:04 MST")
}

func newPinCommand(a *app) *cobra.Command {
	s := &stored{}
	var owner, reason, end string
	cmd := &cobra.Command{
		Use:   "pin --repository DIR --database NAME --backup ID --reason TEXT",
		Short: "Keep a backup whatever the retention says",
		Long: `Pin a backup: no prune removes it until it is unpinned or the pin ends. A pin
takes the place of an older one. Its end is a time, or a date (the end of that
day in UTC), or a period from now on. It has passed when later verified backups
show so: a wrong clock ends no pin.`,
		Example: `  starter pin --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a --reason "before the migration" --until 30d
  starter unpin --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a`,
		RunE: func(*cobra.Command, []string) error {
			p, err := newPin(owner, reason, end, a.now())
			if err != nil {
				return err
			}
			return a.setPin(s, p)
		},
	}
	s.repositoryFlag(cmd)
	s.databaseFlag(cmd)
	s.oneBackupFlag(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that says why")
	must(cmd.MarkFlagRequired("reason"))
	cmd.Flags().StringVar(&owner, "owner", "", "`NAME` of whoever answers for it (default the user that runs this)")
	cmd.Flags().StringVar(&end, "until", "", "`WHEN` the pin ends: 2026-12-24, 2026-12-24T18:00:00Z or 30d (default never)")
	return cmd
}

func newUnpinCommand(a *app) *cobra.Command {
	s := &stored{}
	cmd := &cobra.Command{
		Use:     "unpin --repository DIR --database NAME --backup ID",
		Short:   "Leave a pinned backup to the retention again",
		Example: `  starter unpin --repository /backups --database shop --backup 20261123T034600Z-i42-1f3a`,
		RunE:    func(*cobra.Command, []string) error { return a.setPin(s, nil) },
	}
	s.repositoryFlag(cmd)
	s.databaseFlag(cmd)
	s.oneBackupFlag(cmd)
	return cmd
}

// newPin makes a pin of what was typed.
func newPin(owner, reason, end string, now time.Time) (*repo.Pin, error) {
	p := &repo.Pin{Owner: strings.TrimSpace(owner), Reason: strings.TrimSpace(reason), At: now.UTC().Truncate(time.Second)}
	if p.Reason == "" {
		return nil, usagef("--reason is empty: say why the backup stays")
	}
	if strings.ContainsAny(p.Owner+p.Reason, "\n\r\t") {
		return nil, usagef("--reason and --owner are one line each")
	}
	if p.Owner == "" {
		u, err := user.Current()
		if err != nil {
			return nil, usagef("--owner: the user that runs this is not known: %w", err)
		}
		p.Owner = u.Username
	}
	if end == "" {
		return p, nil
	}
	at, err := parseEnd(end, now)
	if err != nil {
		return nil, err
	}
	if !at.After(now) {
		return nil, usagef("--until %s: it has passed", end)
	}
	p.Until = &at
	return p, nil
}

func parseEnd(end string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, end); err == nil {
		return at.UTC(), nil
	}
	if at, err := time.Parse(time.DateOnly, end); err == nil {
		return at.AddDate(0, 0, 1), nil
	}
	p, err := retention.ParsePeriod(end)
	if err != nil {
		return time.Time{}, usagef("--until %s: a date such as 2026-12-24, a time such as 2026-12-24T18:00:00Z or a period such as 30d is wanted", end)
	}
	return p.After(now).Truncate(time.Second), nil
}

// setPin pins the backup, or unpins it where p is nil.
func (a *app) setPin(s *stored, p *repo.Pin) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	m, err := r.Get(s.database, s.backup)
	if err != nil {
		return err
	}
	if err := r.SetPin(s.database, m.ID, p); err != nil {
		return fmt.Errorf("the pin of %s: %w", m.ID, err)
	}
	doc := &pinDoc{ID: m.ID, Database: s.database, Pin: p}
	return a.result(doc, doc.write)
}
