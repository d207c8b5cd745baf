package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/term"

	backups "canvasback/internal/app"
	"canvasback/internal/failure"
	"canvasback/internal/fleet"
	"canvasback/internal/human"
)

// applyFlags are those of apply.
type applyFlags struct {
	*remote
	file     string
	dryRun   bool
	yes      bool
	takeOver []string
}

func newApplyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the schedules of many databases what a fleet file says",
		Long: `Make the schedules of many databases, on any number of hosts, what a fleet file says.

It shows the plan first: the schedules to be created, adopted, moved to another host,
updated (what was changed elsewhere is put back), removed, and left as they are. Then it
asks on a terminal, and does it; elsewhere --yes is needed. Schedules that were made by
hand are adopted if the file names their database, else shown and left alone. Schedules
of another fleet, those that this program did not make, and databases with a cron
workflow are not touched: the plan says what to do about those that the file names.

It can be run again at any time, also by two people at once: what is done is found to
be unchanged, and what failed is tried again. It touches schedules only, never a backup
that is there, and no run that is at work but one: that of a database that moves away
from a host without a worker, where nobody could end it.

The exit status is 3 where some of the plan could not be done, or a database of the file
is in conflict.`,
		Example: `  starter apply -f fleet.yaml --dry-run
  starter apply -f fleet.yaml
  starter apply -f fleet.yaml --yes --json
  starter apply -f fleet.yaml --take-over staging`,
	}
	f := &applyFlags{remote: newRemote(cmd)}
	flags := cmd.Flags()
	for _, name := range []string{"host", "database"} {
		must(flags.MarkHidden(name)) // the file names them
	}
	flags.StringVarP(&f.file, "file", "f", "", "`FILE` with the fleet")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the plan and do nothing")
	flags.BoolVar(&f.yes, "yes", false, "do it without asking")
	flags.StringArrayVar(&f.takeOver, "take-over", nil, "adopt schedules of another `FLEET` too; may be given again")
	must(cmd.MarkFlagRequired("file"))
	cmd.RunE = func(*cobra.Command, []string) error {
		switch {
		case flags.Changed("database"):
			return usagef("--database: apply is about all databases of the file")
		case f.dryRun && f.yes:
			return usagef("--dry-run and --yes exclude each other")
		case !f.dryRun && !f.yes && (a.json || !a.asks()):
			return usagef("nobody can be asked here: --yes does it, --dry-run shows the plan")
		}
		file, err := fleet.Load(f.file)
		if err != nil {
			return err
		}
		return f.withClient(a, func(c client.Client) error { return f.apply(a, c, file) })
	}
	return cmd
}

// asks tells whether a person can be asked.
func (a *app) asks() bool {
	f, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (f *applyFlags) apply(a *app, c client.Client, file *fleet.File) error {
	var wanted []backups.Spec
	for _, w := range file.Wanted() {
		wanted = append(wanted, w.Spec)
	}
	there, err := backups.PresenceOf(a.ctx, c, wanted)
	if err != nil {
		return err
	}
	for _, err := range there.Locked {
		a.notef("left out: %v", err)
	}
	doc := newApplyDoc(file.Fleet, fleet.Plan(file, there, f.takeOver...))
	doc.DryRun = f.dryRun
	if !a.json {
		if err := doc.writePlan(a.painter(a.out)); err != nil {
			return err
		}
	}
	if f.dryRun {
		return a.result(doc, func(io.Writer) error { return nil })
	}
	if !f.yes && doc.changes() > 0 {
		if err := a.confirm(fmt.Sprintf("Make %s?", human.Count(int64(doc.changes()), "change"))); err != nil {
			return err
		}
	}
	doc.do(a, c)
	if err := a.result(doc, doc.writeOutcome); err != nil {
		return err
	}
	return doc.verdict()
}

// confirm asks a person, and fails as Interrupted unless the answer is yes.
func (a *app) confirm(question string) error {
	fmt.Fprintf(a.errOut, "%s [y/N] ", question)
	answer := make(chan string, 1)
	// It ends with the process where nobody answers.
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-a.ctx.Done():
		return failure.Errorf(failure.Interrupted, "nothing was changed")
	case said := <-answer:
		if said == "y" || said == "yes" {
			return nil
		}
		return failure.Errorf(failure.Interrupted, "nothing was changed")
	}
}
