package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"canvasback/internal/codec"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/version"
	"canvasback/internal/version/versioncmd"
)

// options are the flags.
type options struct {
	databases  []string
	configFile string
	repository string
	data       string
	cron       string
	drillCron  string
	timezone   string
	listen     string
	port       int
	uiPort     int
	noUI       bool
	once       bool
	logFormat  string
	metrics    string
	codecKeys  string
}

const (
	defaultData = "canvasback-data"
	weekly      = "0 3 * * 0"
	drillWeekly = "0 5 * * 0"
	sampleName  = "sample"
)

const long = `Back up DuckDB databases that another process holds open, with a Temporal server
and its Web UI inside this one process.

It takes a first backup at once, shows it, and goes on taking one by the schedule
until it is stopped, and trying a restore out now and then. Started again, also
after a crash, it goes on where it was. Without --database or --config it makes a
sample database that a second process keeps writing, and backs that up.

Everything is kept below --data: backups in backups/, Temporal's state in a
SQLite file, logs. SQLite is for one machine; for more, run Temporal itself and
the worker of this repository.

Temporal and its UI listen on 127.0.0.1. With --listen others reach them too, and
whoever does may start, stop and restore what he likes.`

func newCommand(run func(o *options) error) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "standalone",
		Short: "Back up live DuckDB databases with a Temporal server inside",
		Long:  long,
		Example: `  standalone
  standalone --database /var/lib/shop/shop.duckdb --cron '30 2 * * *' --timezone Europe/Amsterdam
  standalone --config canvasback.yaml`,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              func(*cobra.Command, []string) error { return run(o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.databases, "database", nil, "`NAME=PATH` or PATH of a database to back up, repeatable")
	f.StringVar(&o.configFile, "config", "", "configuration `FILE` of the worker, instead of --database and --repository")
	f.StringVar(&o.repository, "repository", "", "`DIR` that holds the backups (default: backups below --data)")
	f.StringVar(&o.data, "data", defaultData, "`DIR` of everything that is kept")
	f.StringVar(&o.cron, "cron", weekly, "`CRON` expression of the backups")
	f.StringVar(&o.drillCron, "drill-cron", drillWeekly, "`CRON` expression of the restore drills; empty: never")
	f.StringVar(&o.timezone, "timezone", "UTC", "`ZONE` of --cron and --drill-cron")
	f.StringVar(&o.listen, "listen", "127.0.0.1", "IPv4 `ADDRESS` of Temporal and the Web UI; they ask for no password and speak no TLS")
	f.IntVar(&o.port, "port", 7233, "`PORT` of Temporal, 0 for any")
	f.IntVar(&o.uiPort, "ui-port", 8233, "`PORT` of the Web UI, 0 for any")
	f.BoolVar(&o.noUI, "no-ui", false, "leave the Web UI out")
	f.BoolVar(&o.once, "once", false, "end after the first backup")
	f.StringVar(&o.metrics, "metrics-address", "", "`HOST:PORT` of /metrics, /healthz and /readyz (default: the configuration's, "+config.MetricsVariable+", or none; without HOST: loopback)")
	f.StringVar(&o.codecKeys, "codec-key-file", "", codec.Usage)
	f.StringVar(&o.logFormat, "log-format", "text", "`FORM` of the log files, text or json")
	cmd.Version = version.OfBuild().Version
	cmd.AddCommand(versioncmd.New("standalone"))
	cmd.SetUsageTemplate(cmd.UsageTemplate() + `
Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 4 the backup is bad,
5 not found, 130 interrupted.
`)
	return cmd
}

// sample reports whether there is nothing of the user's to back up.
func (o *options) sample() bool { return len(o.databases) == 0 && o.configFile == "" }

// openTo warns of a server that others than this machine reach; empty: they do
// not.
func (o *options) openTo() string {
	if ip, err := netip.ParseAddr(o.listen); err == nil && ip.IsLoopback() {
		return ""
	}
	return fmt.Sprintf("--listen %s: Temporal and its UI are open to the network, without TLS and without a password: whoever reaches them can start and stop backups, and restore over what the configuration lets be restored", o.listen)
}

func (o *options) check() error {
	if o.configFile != "" && (len(o.databases) > 0 || o.repository != "") {
		return failure.Errorf(failure.Usage, "--config names the databases and the repository: leave --database and --repository out")
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		return failure.Errorf(failure.Usage, "--log-format %s: text or json is wanted", o.logFormat)
	}
	if ip, err := netip.ParseAddr(o.listen); err != nil || !ip.Is4() {
		return failure.Errorf(failure.Usage, "--listen %s: an IPv4 address of this machine is wanted, such as 127.0.0.1", o.listen)
	}
	for _, p := range []struct {
		flag string
		n    int
	}{{"--port", o.port}, {"--ui-port", o.uiPort}} {
		if p.n < 0 || p.n > 65535 {
			return failure.Errorf(failure.Usage, "%s %d: a port is a number up to 65535", p.flag, p.n)
		}
	}
	if o.port != 0 && o.port == o.uiPort && !o.noUI {
		return failure.Errorf(failure.Usage, "--port and --ui-port are both %d", o.port)
	}
	return nil
}

// configuration reads or makes the worker's configuration. The directory
// o.data is there.
func (o *options) configuration() (*config.Config, error) {
	cfg, err := o.configured()
	if err != nil {
		return nil, err
	}
	return cfg, cfg.Metrics.Settle(o.metrics, os.Getenv(config.MetricsVariable))
}

func (o *options) configured() (*config.Config, error) {
	if o.configFile != "" {
		return config.Load(o.configFile)
	}
	databases := make([]string, 0, len(o.databases))
	for _, d := range o.databases {
		databases = append(databases, named(d))
	}
	if o.sample() {
		databases = append(databases, sampleName+"="+o.sampleFile())
	}
	repository := o.repository
	if repository == "" {
		repository = filepath.Join(o.data, "backups")
		if err := os.MkdirAll(repository, 0o700); err != nil {
			return nil, failure.Errorf(failure.RepoNotWritable, "make the repository %s: %w", repository, err)
		}
	}
	return config.FromFlags(databases, repository, "")
}

func (o *options) sampleFile() string { return filepath.Join(o.data, sampleName+".duckdb") }

// named gives a PATH the name of its file. What is no name there is left for
// the configuration's own check to refuse. A path that holds a = needs a NAME.
func named(arg string) string {
	if strings.Contains(arg, "=") {
		return arg
	}
	base := filepath.Base(arg)
	if base == "." || base == string(filepath.Separator) {
		return arg
	}
	base = strings.TrimSuffix(base, filepath.Ext(base))
	return strings.Map(nameRune, strings.ToLower(base)) + "=" + arg
}

func nameRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		return r
	}
	return '-'
}
