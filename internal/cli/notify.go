package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/notify"
)

func newNotifyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "notify", Short: "Tell people how backups go"}
	cmd.AddCommand(newNotifyTestCommand(a))
	return cmd
}

func newNotifyTestCommand(a *app) *cobra.Command {
	var file, database string
	cmd := &cobra.Command{
		Use:   "test --config FILE",
		Short: "Send a test message to everyone who is told of a database",
		Long: `Send one test event to the webhook and the command that the configuration names
for a database, or for each of them, and say what became of it. A dead-man
service gets an entry for its log, which counts neither as ok nor as a failure.

Run it on the worker's host, as the worker's user: what it can reach and read
is what the worker can. The exit status is 3 if some messages were not taken,
1 if none was.`,
		Example: `  starter notify test --config /etc/canvasback.yaml --database shop`,
		RunE:    func(*cobra.Command, []string) error { return a.notifyTest(file, database) },
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration `FILE` of the worker")
	cmd.Flags().StringVar(&database, "database", "", "`NAME` of one database (default all)")
	must(cmd.MarkFlagRequired("config"))
	return cmd
}

// triedDoc is the outcome of one test message.
type triedDoc struct {
	Database string `json:"database"`
	Channel  string `json:"channel"`
	To       string `json:"to,omitempty"`
	Outcome  string `json:"outcome"` // sent, failed or skipped
	Reason   string `json:"reason,omitempty"`
}

func (a *app) notifyTest(file, database string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	var names []string
	for _, d := range cfg.Databases {
		if database == "" || database == d.Name {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		return failure.Errorf(failure.UnknownDatabase, "%s has no database %q", file, database)
	}
	n := notify.New(cfg)
	tried, failed := []triedDoc{}, 0
	for _, name := range names {
		for _, t := range n.Try(a.ctx, name) {
			doc := triedDoc{Database: name, Channel: t.Channel, To: t.To, Outcome: notify.Sent, Reason: t.Skipped}
			if t.Skipped != "" {
				doc.Outcome = "skipped"
			}
			if t.Err != nil {
				doc.Outcome, doc.Reason = notify.Failed, t.Err.Error()
				failed++
			}
			tried = append(tried, doc)
		}
	}
	if len(tried) == 0 {
		return failure.Errorf(failure.InvalidConfig, "%s names nobody to be told: notify has no ping, webhook or command", file)
	}
	if err := a.printTried(tried); err != nil || failed == 0 {
		return err
	}
	err = fmt.Errorf("%d of %d test messages were not taken", failed, len(tried))
	if failed < len(tried) {
		return &partial{err}
	}
	return err
}

func (a *app) printTried(tried []triedDoc) error {
	return a.result(struct {
		Tried []triedDoc `json:"tried"`
	}{tried}, func(w io.Writer) error {
		rows := [][]string{}
		for _, t := range tried {
			rows = append(rows, []string{t.Database, t.Channel, t.To, t.Outcome, t.Reason})
		}
		return writeTable(w, []string{"DATABASE", "CHANNEL", "TO", "OUTCOME", "WHY"}, rows)
	})
}

// notifier tells people of the runs of this process.
func (a *app) notifier(cfg *config.Config) *notify.Notifier {
	n := notify.New(cfg)
	n.Complain = func(database, event, channel string, err error) {
		a.notef("warning: %s of %s was not told by %s: %v", event, database, channel, err)
	}
	return n
}
