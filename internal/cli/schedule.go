package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
)

func newScheduleCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Create, describe and change the schedule of a database's backups or drills",
		Long: `Create, describe and change the schedule of a database's backups, or with --drill
that of its restore drills. A schedule holds a cron expression, can be paused,
triggered and backfilled, and starts nothing while its last run is at work.`,
	}
	cmd.AddCommand(
		newScheduleCreateCommand(a),
		newScheduleDescribeCommand(a),
		newScheduleUpdateCommand(a),
		newSchedulePauseCommand(a),
		newScheduleUnpauseCommand(a),
		newScheduleTriggerCommand(a),
		newScheduleBackfillCommand(a),
		newScheduleDeleteCommand(a),
	)
	return cmd
}

// specFlags are the flags that make a schedule.
type specFlags struct {
	backups.Spec
	flags *pflag.FlagSet
}

func newSpecFlags(cmd *cobra.Command) *specFlags {
	s := &specFlags{flags: cmd.Flags()}
	s.flags.StringVar(&s.Cron, "schedule", "", "`CRON` expression of five fields, or @daily, '@every 6h' and the like")
	s.flags.StringVar(&s.Timezone, "timezone", "", "`ZONE` of --schedule, such as Europe/Amsterdam (default UTC)")
	s.flags.DurationVar(&s.Jitter, "jitter", 0, "put each start off by a random time up to this `DURATION`")
	s.flags.StringVar(&s.Overlap, "overlap", "skip", "what a start does while a backup runs: `POLICY` skip, or buffer-one to begin after it")
	s.flags.DurationVar(&s.Catchup, "catchup-window", 0, "make up for a missed start that is at most this `DURATION` late (default: one interval)")
	return s
}

func newScheduleCreateCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --database NAME --schedule CRON",
		Short: "Create the schedule of a database",
		Example: `  starter schedule create --database shop --schedule '0 3 * * *'
  starter schedule create --database shop --schedule '@every 6h' --jitter 10m --paused
  starter schedule create --drill --database shop --schedule '0 5 * * 0'`,
	}
	r, s := newScheduleRemote(cmd), newSpecFlags(cmd)
	cmd.Flags().BoolVar(&s.Paused, "paused", false, "create it paused")
	must(cmd.MarkFlagRequired("schedule"))
	cmd.RunE = func(*cobra.Command, []string) error {
		s.Task, s.Database = r.task(), r.database
		if err := s.Check(); err != nil {
			return err
		}
		return r.withClient(a, func(c client.Client) error {
			s.Host = r.host
			if err := backups.CreateSchedule(a.ctx, c, s.Spec); err != nil {
				return err
			}
			return describeSchedule(a, c, r)
		})
	}
	return cmd
}

func newScheduleUpdateCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "update --database NAME",
		Short:   "Change the schedule of a database",
		Long:    "Change the schedule of a database. What no flag names stays as it is, and whether it is\npaused too.",
		Example: `  starter schedule update --database shop --schedule '30 4 * * *' --timezone Europe/Amsterdam`,
	}
	r, s := newScheduleRemote(cmd), newSpecFlags(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if !anyChanged(cmd.Flags(), "schedule", "timezone", "jitter", "overlap", "catchup-window", "host") {
			return usagef("name what is to change: --schedule, --timezone, --jitter, --overlap, --catchup-window or --host")
		}
		return r.withClient(a, func(c client.Client) error {
			_, err := backups.UpdateSchedule(a.ctx, c, r.task(), r.database, func(now *backups.Spec) { s.change(now, r.host) })
			if err != nil {
				return err
			}
			return describeSchedule(a, c, r)
		})
	}
	return cmd
}

func anyChanged(flags *pflag.FlagSet, names ...string) bool {
	for _, n := range names {
		if flags.Changed(n) {
			return true
		}
	}
	return false
}

// change sets in now what the command line names.
func (s *specFlags) change(now *backups.Spec, host string) {
	for name, set := range map[string]func(){
		"schedule":       func() { now.Cron = s.Cron },
		"timezone":       func() { now.Timezone = s.Timezone },
		"jitter":         func() { now.Jitter = s.Jitter },
		"overlap":        func() { now.Overlap = s.Overlap },
		"catchup-window": func() { now.Catchup = s.Catchup },
		"host":           func() { now.Host = host },
	} {
		if s.flags.Changed(name) {
			set()
		}
	}
	if now.Host == "" {
		now.Host = host
	}
}

func newScheduleDescribeCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "describe --database NAME",
		Short:   "Show the schedule of a database, its last runs and its next ones",
		Example: "  starter schedule describe --database shop",
	}
	r := newScheduleRemote(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error { return describeSchedule(a, c, r) })
	}
	return cmd
}

func newSchedulePauseCommand(a *app) *cobra.Command {
	return newPausingCommand(a, "pause", "the disk is being replaced", "Pause the schedule of a database: it starts nothing until it is unpaused",
		func(h client.ScheduleHandle, note string) error {
			return h.Pause(a.ctx, client.SchedulePauseOptions{Note: note})
		})
}

func newScheduleUnpauseCommand(a *app) *cobra.Command {
	return newPausingCommand(a, "unpause", "the new disk is in", "Let a paused schedule go on",
		func(h client.ScheduleHandle, note string) error {
			return h.Unpause(a.ctx, client.ScheduleUnpauseOptions{Note: note})
		})
}

func newPausingCommand(a *app, name, why, short string, do func(h client.ScheduleHandle, note string) error) *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:     name + " --database NAME",
		Short:   short,
		Example: fmt.Sprintf("  starter schedule %s --database shop --note '%s'", name, why),
	}
	r := newScheduleRemote(cmd)
	cmd.Flags().StringVar(&note, "note", "", "`TEXT` that is shown with the schedule")
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error {
			if note == "" {
				note = name + "d by starter"
			}
			if err := do(handle(a, c, r), note); err != nil {
				return backups.ScheduleError(r.task(), r.database, err)
			}
			return describeSchedule(a, c, r)
		})
	}
	return cmd
}

func newScheduleTriggerCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "trigger --database NAME",
		Short:   "Have the schedule start a backup now, and do not wait for it",
		Long:    "Have the schedule start a backup now, and do not wait for it. Refused while a backup of\nthe database runs. 'starter run' waits and shows the result.",
		Example: "  starter schedule trigger --database shop",
	}
	r := newScheduleRemote(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error {
			if _, err := backups.DescribeSchedule(a.ctx, c, r.task(), r.database); err != nil {
				return err
			}
			run, err := backups.StartNow(a.ctx, c, r.task(), r.database, r.host)
			if err != nil {
				return err
			}
			return startedResult(a, r.task(), r.database, *run)
		})
	}
	return cmd
}

func newScheduleBackfillCommand(a *app) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "backfill --database NAME --from TIME --to TIME",
		Short: "Start the backups that a past time span would have had, one after another",
		Long: `Start as many backups as the schedule would have started in a past time span, one
after another. Each copies the database as it is now: there is no way to copy
what it was.`,
		Example: "  starter schedule backfill --database shop --from 2026-11-20T00:00:00Z --to 2026-11-23T00:00:00Z",
	}
	r := newScheduleRemote(cmd)
	cmd.Flags().StringVar(&from, "from", "", "begin of the span, `TIME` as 2026-11-20T00:00:00Z")
	cmd.Flags().StringVar(&to, "to", "", "end of the span, a `TIME` that has passed")
	must(cmd.MarkFlagRequired("from"))
	must(cmd.MarkFlagRequired("to"))
	cmd.RunE = func(*cobra.Command, []string) error {
		start, end, err := span(from, to, a.now())
		if err != nil {
			return err
		}
		return r.withClient(a, func(c client.Client) error {
			if err := backups.Backfill(a.ctx, c, r.task(), r.database, start, end); err != nil {
				return err
			}
			doc := struct {
				Database string `json:"database"`
				From     string `json:"from"`
				To       string `json:"to"`
			}{r.database, stamp(start), stamp(end)}
			return a.result(doc, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "The %s schedule of %s makes up for %s to %s.\n", r.task(), r.database, doc.From, doc.To)
				return err
			})
		})
	}
	return cmd
}

// span checks the ends of a past time span.
func span(from, to string, now time.Time) (start, end time.Time, err error) {
	if start, err = time.Parse(time.RFC3339, from); err != nil {
		return start, end, usagef("--from %s: a time such as 2026-11-20T00:00:00Z is wanted", from)
	}
	if end, err = time.Parse(time.RFC3339, to); err != nil {
		return start, end, usagef("--to %s: a time such as 2026-11-23T00:00:00Z is wanted", to)
	}
	if !start.Before(end) || end.After(now) {
		return start, end, usagef("--from %s --to %s: the span must end after it begins, and not in the future", from, to)
	}
	return start, end, nil
}

func newScheduleDeleteCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete --database NAME",
		Short:   "Delete the schedule of a database; a backup that runs goes on",
		Example: "  starter schedule delete --database shop",
	}
	r := newScheduleRemote(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		return r.withClient(a, func(c client.Client) error {
			if err := handle(a, c, r).Delete(a.ctx); err != nil {
				return backups.ScheduleError(r.task(), r.database, err)
			}
			doc := struct {
				Database string `json:"database"`
				Deleted  bool   `json:"deleted"`
			}{r.database, true}
			return a.result(doc, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "The %s schedule of %s is deleted. Its backups stay.\n", r.task(), r.database)
				return err
			})
		})
	}
	return cmd
}

func handle(a *app, c client.Client, r *remote) client.ScheduleHandle {
	return backups.Schedule(a.ctx, c, r.task(), r.database)
}
