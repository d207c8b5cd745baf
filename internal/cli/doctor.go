package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	backups "canvasback/internal/app"
	"canvasback/internal/codec"
	"canvasback/internal/config"
	"canvasback/internal/doctor"
	"canvasback/internal/failure"
)

// doctorFlags are those of the worker, so that its command line can be copied.
type doctorFlags struct {
	config     string
	databases  []string
	repository string
	host       string
	address    string
	namespace  string
	codecKeys  string
	local      bool
}

// surveyTimeout bounds all questions to the server.
const surveyTimeout = time.Minute

func newDoctorCommand(a *app) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:   "doctor --config FILE",
		Short: "Check what a new set-up gets wrong, and say how to mend it",
		Long: `Check what a new set-up gets wrong: the configuration, paths and permissions, file
systems, who holds each database, engine versions, hooks, free space, clocks; and
in Temporal the namespace and its retention, the worker on the queue, schedules
and cron workflows. Run it on the databases' host, as the worker's user, with the
worker's flags and environment.

It only looks: nothing is written to a database or beside it, no hook is asked
for anything but its status. In the repository a probe file is made and removed.
A warning leaves the exit status at 0, a FAIL makes it 1, and a configuration
that cannot be used 2.`,
		Example: `  sudo -u canvasback starter doctor --config /etc/canvasback.yaml
  starter doctor --local --database shop=/var/lib/shop/shop.duckdb --repository /backups
  starter doctor --config /etc/canvasback.yaml --json`,
		RunE: func(*cobra.Command, []string) error { return a.doctor(f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "configuration `FILE` of the worker, instead of --database and --repository")
	fl.StringArrayVar(&f.databases, "database", nil, "`NAME=PATH` of a database, repeatable")
	fl.StringVar(&f.repository, "repository", "", "`DIR` that holds the backups")
	fl.StringVar(&f.host, "host", "", "`NAME` of the host's task queue (default: the configuration's, or the machine's name)")
	fl.StringVar(&f.address, "address", "", "Temporal server, `HOST:PORT` (default: TEMPORAL_ADDRESS, the profile, or localhost:7233)")
	fl.StringVar(&f.namespace, "namespace", "", "Temporal namespace, a `NAME` (default: TEMPORAL_NAMESPACE, the profile, or default)")
	codecFlag(cmd, &f.codecKeys)
	fl.BoolVar(&f.local, "local", false, "do not look at Temporal")
	return cmd
}

// configuration is the worker's.
func (f *doctorFlags) configuration() (*config.Config, error) {
	if f.config == "" {
		return config.FromFlags(f.databases, f.repository, f.host)
	}
	if len(f.databases) > 0 || f.repository != "" {
		return nil, usagef("--config names the databases and the repository: leave --database and --repository out")
	}
	cfg, err := config.Load(f.config)
	if err == nil && f.host != "" {
		cfg.Host = f.host
		err = cfg.Validate()
	}
	return cfg, err
}

func (a *app) doctor(f *doctorFlags) error {
	cfg, err := f.configuration()
	if failure.Of(err) == failure.Usage {
		return err
	}
	if err != nil {
		return a.examined(badConfiguration(err), failure.Errorf(failure.Of(err), "the configuration cannot be used"))
	}
	findings := []doctor.Finding{{Check: "config", Status: doctor.OK, Found: fmt.Sprintf("host %s, %d databases", cfg.Host, len(cfg.Databases))}}
	findings = append(findings, doctor.NewCheckup(a.ctx, cfg).Local(a.ctx)...)
	if f.local {
		findings = append(findings, doctor.LocalOnly()...)
	} else {
		findings = append(findings, f.temporal(a.ctx, cfg)...)
	}
	if a.ctx.Err() != nil {
		return failure.Errorf(failure.Interrupted, "interrupted during the checks")
	}
	return a.examined(findings, nil)
}

// badConfiguration is one finding a fault.
func badConfiguration(err error) []doctor.Finding {
	var findings []doctor.Finding
	for line := range strings.Lines(err.Error()) {
		findings = append(findings, doctor.Finding{Check: "config", Status: doctor.Fail, Found: strings.TrimRight(line, "\n"), Mend: failure.Of(err).Hint})
	}
	return append(findings, doctor.Finding{Check: "all", Status: doctor.Skipped, Found: "everything else: what is to be checked is not known"})
}

func (f *doctorFlags) temporal(ctx context.Context, cfg *config.Config) []doctor.Finding {
	opts := backups.ConnectOptions{Address: f.address, Namespace: f.namespace, Identity: "canvasback-doctor@" + cfg.Host}
	var server doctor.Server
	var err error
	if opts.Codec, err = codec.Load(f.codecKeys, os.Getenv); err != nil {
		return doctor.NoKeys(err)
	}
	server.Keys = opts.Codec.IDs()
	if server.Address, server.Namespace, server.TLS, err = opts.Server(); err != nil {
		return server.Unreached(err)
	}
	server.Plain = opts.Plain()
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	c, err := backups.Connect(ctx, opts)
	if err != nil {
		return server.Unreached(err)
	}
	defer c.Close()
	survey, err := backups.SurveyOf(ctx, c, server.Namespace, cfg.Host, doctor.Names(cfg))
	if err != nil {
		return server.Unreached(err)
	}
	return server.Temporal(survey, cfg)
}

// examined prints the findings. Any that failed are the command's failure.
func (a *app) examined(findings []doctor.Finding, failed error) error {
	report := doctor.NewReport(findings)
	if err := a.result(report, func(w io.Writer) error { return writeReport(w, report) }); err != nil {
		return err
	}
	if failed == nil && report.Counts.Fail > 0 {
		failed = failure.Errorf(failure.SetUp, "%d of %d checks failed", report.Counts.Fail, len(findings))
	}
	return failed
}

func writeReport(w io.Writer, r *doctor.Report) error {
	marks := map[doctor.Status]string{doctor.OK: "ok", doctor.Warn: "warn", doctor.Fail: "FAIL", doctor.Skipped: "skipped"}
	width := 0
	for _, f := range r.Findings {
		width = max(width, len(subjectOf(f)))
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%-7s  %-*s  %s\n", marks[f.Status], width, subjectOf(f), f.Found); err != nil {
			return err
		}
		if f.Mend != "" {
			if _, err := fmt.Fprintf(w, "%-7s  %-*s  mend: %s\n", "", width, "", f.Mend); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%d ok, %d warnings, %d failed, %d skipped\n", r.Counts.OK, r.Counts.Warn, r.Counts.Fail, r.Counts.Skipped)
	return err
}

func subjectOf(f doctor.Finding) string {
	if f.Database == "" {
		return f.Check
	}
	return f.Check + " " + f.Database
}
