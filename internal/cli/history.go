package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/health"
	"canvasback/internal/human"
	"canvasback/internal/repo"
)

func newHistoryCommand(a *app) *cobra.Command {
	var limit int
	var ascii bool
	cmd := &cobra.Command{
		Use:   "history --database NAME",
		Short: "Show the last runs of a database's backups, with bars of their times and sizes",
		Long: `Show the runs of a database's backups that ended last, the newest first: when each
began, how it ended, by which rule the copy was accepted in how many attempts, how long
it took and how large the backup is, with a bar of each beside the others, and why it
failed; and on which host, where the database has moved. Temporal remembers runs for as long as its retention says; 'starter list' shows
the backups that are stored.`,
		Example: `  starter history --database shop
  starter history --database shop --limit 100 --json`,
	}
	r := newDatabaseRemote(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "`NUMBER` of runs")
	cmd.Flags().BoolVar(&ascii, "ascii", false, "draw bars of # (the default where the locale is not UTF-8)")
	cmd.RunE = func(*cobra.Command, []string) error {
		if limit < 1 || limit > 1000 {
			return usagef("--limit %d: a number from 1 to 1000", limit)
		}
		return r.withClient(a, func(c client.Client) error {
			runs, err := backups.History(a.ctx, c, r.database, limit)
			if err != nil {
				return err
			}
			docs := make([]historyDoc, len(runs))
			for i, e := range runs {
				docs[i] = historyDoc{e, e.Ended.Sub(e.Started).Seconds()}
			}
			return a.result(docs, func(w io.Writer) error {
				return a.painter(w).history(r.database, docs, ascii || !utf8Locale(os.Getenv))
			})
		})
	}
	return cmd
}

// historyDoc is a run that has ended.
type historyDoc struct {
	health.Ended
	Seconds float64 `json:"seconds"` // from its start to its end
}

// utf8Locale tells whether the terminal is said to show UTF-8.
func utf8Locale(getenv func(string) string) bool {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

func (p painter) history(database string, runs []historyDoc, ascii bool) error {
	if len(runs) == 0 {
		_, err := fmt.Fprintf(p.w, "Temporal remembers no run of %s that has ended.\n", database)
		return err
	}
	var longest, largest float64
	moved := false // the runs are of more than one host
	for _, r := range runs {
		longest, largest = max(longest, r.Seconds), max(largest, float64(r.Bytes))
		moved = moved || r.Host != runs[0].Host
	}
	rows := make([][]cell, 0, len(runs))
	for _, r := range runs {
		outcome := cell{r.Status, yellow}
		if r.State != "" {
			outcome.text = r.State
		}
		switch {
		case outcome.text == string(repo.StateVerified):
			outcome.colour = green
		case r.Status == "failed" || r.Status == "timed_out":
			outcome.colour = red
		}
		row := []cell{
			{text: r.Started.UTC().Format(time.DateTime)}, outcome, {text: r.Rule}, {}, {text: human.Seconds(r.Seconds)},
			{bar(r.Seconds, longest, ascii), dim}, {}, {}, {text: r.Backup}, {firstLine(r.Error), red},
		}
		if r.Attempts > 0 {
			row[3] = cell{text: fmt.Sprint(r.Attempts)}
		}
		if r.Backup != "" {
			row[6], row[7] = cell{text: human.Bytes(r.Bytes)}, cell{bar(float64(r.Bytes), largest, ascii), dim}
		}
		if moved {
			row = slices.Insert(row, 1, cell{text: r.Host})
		}
		rows = append(rows, row)
	}
	header := []string{"STARTED (UTC)", "OUTCOME", "RULE", "TRIES", "TIME", "", "SIZE", "", "BACKUP", "ERROR"}
	if moved {
		header = slices.Insert(header, 1, "HOST")
	}
	return p.table(header, rows)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// barWidth is the length of the longest bar, in characters.
const barWidth = 8

// bar is as long as value is large beside the largest, to an eighth of a
// character; what is more than nothing shows.
func bar(value, largest float64, ascii bool) string {
	if value <= 0 || largest <= 0 {
		return ""
	}
	if ascii {
		return strings.Repeat("#", max(int(value/largest*barWidth+0.5), 1))
	}
	eighths := max(int(value/largest*barWidth*8+0.5), 1)
	out := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		out += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return out
}
