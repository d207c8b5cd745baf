package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"canvasback/internal/app"
	"canvasback/internal/backup"
	"canvasback/internal/codec"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/host"
	"canvasback/internal/telemetry"
	"canvasback/internal/version"
	"canvasback/internal/version/versioncmd"
)

// options are the flags.
type options struct {
	configFile string
	databases  []string
	repository string
	host       string
	address    string
	namespace  string
	codecKeys  string
	logFormat  string
	metrics    string
}

const long = `Take the backups of the databases on this host as Temporal asks for them.

The worker polls the task queue of its host, and waits for a Temporal server
that is not there yet. It finds the server as Temporal's own tools do: by
TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and so on, or by the profile file.

With --metrics-address, or metrics.address in the configuration, it answers
/metrics in Prometheus' form, /healthz and /readyz over HTTP. It delivers traces
where OpenTelemetry's environment variables, OTEL_*, ask for them.

SIGTERM and SIGINT stop it in good order: a copy notes how far it is, and goes
on from there when a worker is back. Give it 45 seconds before a SIGKILL.`

// Main runs the command line args (without the program's name) and returns
// the exit status. Cancelling ctx stops the worker.
func Main(ctx context.Context, args []string, out, errOut io.Writer) int {
	began := false
	cmd := newCommand(func(o *options) error { return work(ctx, o, errOut) })
	cmd.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return failure.ExitDone
	}
	if !began {
		err = failure.Errorf(failure.Usage, "%w", err)
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(errOut, "canvasback: error: %s\n", strings.TrimRight(line, "\n"))
	}
	if hint := failure.Of(err).Hint; hint != "" {
		fmt.Fprintf(errOut, "canvasback: hint: %s\n", hint)
	}
	return failure.Of(err).Exit
}

func newCommand(run func(o *options) error) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Take backups of the databases on this host",
		Long:  long,
		Example: `  worker --database shop=/var/lib/shop/shop.duckdb --repository /backups
  worker --config /etc/canvasback.yaml --log-format json`,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              func(*cobra.Command, []string) error { return run(o) },
	}
	cmd.Version = version.OfBuild().Version
	cmd.AddCommand(versioncmd.New("worker"), newHealthcheckCommand())
	f := cmd.Flags()
	f.StringVar(&o.configFile, "config", "", "configuration file, instead of --database and --repository")
	f.StringArrayVar(&o.databases, "database", nil, "database to back up, NAME=PATH (repeatable)")
	f.StringVar(&o.repository, "repository", "", "directory of the backups")
	f.StringVar(&o.host, "host", "", "name of this host's task queue (default: the configuration's, or the machine's name)")
	f.StringVar(&o.address, "address", "", "Temporal server, HOST:PORT (default: TEMPORAL_ADDRESS, the profile, or localhost:7233)")
	f.StringVar(&o.namespace, "namespace", "", "Temporal namespace (default: TEMPORAL_NAMESPACE, the profile, or default)")
	f.StringVar(&o.codecKeys, "codec-key-file", "", codec.Usage)
	f.StringVar(&o.logFormat, "log-format", "text", "form of the log on standard error, text or json")
	f.StringVar(&o.metrics, "metrics-address", "", "address of /metrics, /healthz and /readyz, HOST:PORT (default: the configuration's, "+config.MetricsVariable+", or none; without HOST: loopback)")
	cmd.SetUsageTemplate(cmd.UsageTemplate() + "\nExit status: 0 stopped in good order, 1 failed, 2 wrong usage or configuration,\n5 not found, 130 interrupted before it began.\n")
	return cmd
}

// configuration reads or makes the configuration that the flags name.
func (o *options) configuration() (*config.Config, error) {
	cfg, err := o.configured()
	if err != nil {
		return nil, err
	}
	return cfg, cfg.Metrics.Settle(o.metrics, os.Getenv(config.MetricsVariable))
}

func (o *options) configured() (*config.Config, error) {
	if o.configFile == "" {
		return config.FromFlags(o.databases, o.repository, o.host)
	}
	if len(o.databases) > 0 || o.repository != "" {
		return nil, failure.Errorf(failure.Usage, "--config names the databases and the repository: leave --database and --repository out")
	}
	cfg, err := config.Load(o.configFile)
	if err == nil && o.host != "" {
		cfg.Host = o.host
		err = cfg.Validate()
	}
	return cfg, err
}

// work checks everything that can be checked here before it looks for the
// server, and returns when ctx has ended and the steps at work have put down
// where they are.
func work(ctx context.Context, o *options, logTo io.Writer) error {
	log, err := telemetry.NewLogger(logTo, o.logFormat)
	if err != nil {
		return err
	}
	cfg, err := o.configuration()
	if err != nil {
		return err
	}
	keys, err := codec.Load(o.codecKeys, os.Getenv)
	if err != nil {
		return err
	}
	runner, err := backup.New(cfg)
	if err != nil {
		return err
	}
	tel, err := telemetry.Start(ctx, telemetry.Options{
		Host: cfg.Host, Databases: cfg.Names(), Service: "canvasback-worker", Address: cfg.Metrics.Address, Log: log, Getenv: os.Getenv,
	})
	if err != nil {
		return err
	}
	defer tel.Close()
	c, err := app.Connect(ctx, app.ConnectOptions{
		Address: o.address, Namespace: o.namespace, Identity: "canvasback-worker@" + cfg.Host, Logger: telemetry.ForTemporal(log), Wait: true,
		Metrics: tel.Metrics.SDK(), Interceptors: tel.Tracing.Client(), Codec: keys,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := app.Readable(ctx, c, cfg.Host, cfg.Names()); err != nil {
		return err
	}
	for _, d := range cfg.Databases {
		log.Info("Database", "name", d.Name, "path", d.Path, "repository", cfg.Repository)
	}
	if keys != nil {
		log.Info("What Temporal keeps is encrypted", "key", keys.IDs()[0], "file", keys.File())
	}
	log.Info("Taking backups", "host", cfg.Host)
	if err := host.New(c, cfg, runner, tel, log).Run(ctx); err != nil {
		return err
	}
	log.Info("Stopped", "host", cfg.Host)
	return nil
}
