package cli

import (
	"github.com/spf13/cobra"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/telemetry"
)

// logFlag is of the commands that take the worker's steps by themselves.
func logFlag(cmd *cobra.Command, form *string) {
	cmd.Flags().StringVar(form, "log-format", "", "with --local: log a line for each step on standard error, as the worker does; `FORM` is text or json")
}

// runner takes the steps that cfg describes, with a log line for each where a
// form is given.
func (a *app) runner(cfg *config.Config, form string) (*backup.Runner, error) {
	if form == "" {
		return backup.New(cfg)
	}
	log, err := telemetry.NewLogger(a.errOut, form)
	if err != nil {
		return nil, err
	}
	runner, err := backup.New(cfg)
	if err != nil {
		return nil, err
	}
	a.logged = true
	recorder := telemetry.NewRecorder(log, telemetry.NewMetrics(cfg.Host, "", cfg.Names()))
	runner.Through = func(run string, steps *backup.Runner) backup.Steps { return recorder.StepsOf(run, steps) }
	return runner, nil
}
