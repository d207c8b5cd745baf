package cli

import (
	"os"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	backups "canvasback/internal/app"
	"canvasback/internal/codec"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/telemetry"
)

// temporalCommands are the commands that speak to a Temporal server.
func temporalCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newRunCommand(a),
		newDrillCommand(a),
		newRestoreThereCommand(a),
		newStatusCommand(a),
		newHistoryCommand(a),
		newStopCommand(a),
		newScheduleCommand(a),
		newApplyCommand(a),
		newCronCommand(a),
	}
}

// remote says which server, host and database a command is about.
type remote struct {
	address, namespace string
	codecKeys          string
	host               string
	database           string
	drill              bool // about the drills of the database, not its backups
}

// task is what the command is about.
func (r *remote) task() backups.Task {
	if r.drill {
		return backups.TaskDrill
	}
	return backups.TaskBackup
}

// newRemote adds the flags to cmd.
func newRemote(cmd *cobra.Command) *remote {
	r := &remote{}
	f := cmd.Flags()
	f.StringVar(&r.address, "address", "", "Temporal server, `HOST:PORT` (default: TEMPORAL_ADDRESS, the profile, or localhost:7233)")
	f.StringVar(&r.namespace, "namespace", "", "Temporal namespace, a `NAME` (default: TEMPORAL_NAMESPACE, the profile, or default)")
	codecFlag(cmd, &r.codecKeys)
	f.StringVar(&r.host, "host", "", "`NAME` of the host whose worker takes the backups (default: this machine's)")
	f.StringVar(&r.database, "database", "", "`NAME` of a database of the worker's configuration")
	return r
}

// newDatabaseRemote adds the flags to cmd, of which --database must be given.
func newDatabaseRemote(cmd *cobra.Command) *remote {
	r := newRemote(cmd)
	must(cmd.MarkFlagRequired("database"))
	return r
}

// newScheduleRemote also adds --drill.
func newScheduleRemote(cmd *cobra.Command) *remote {
	r := newDatabaseRemote(cmd)
	cmd.Flags().BoolVar(&r.drill, "drill", false, "the schedule of the database's restore drills, not that of its backups")
	return r
}

// connect checks the flags and reaches the server, or fails within seconds.
func (r *remote) connect(a *app, tracing *telemetry.Tracing) (client.Client, error) {
	if r.database != "" && !repo.ValidName(r.database) {
		return nil, usagef("--database %s: not the name of a database", r.database)
	}
	if r.host == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, failure.Errorf(failure.Usage, "name the worker's host with --host: %w", err)
		}
		r.host = host
	}
	keys, err := codec.Load(r.codecKeys, os.Getenv)
	if err != nil {
		return nil, err
	}
	opts := backups.ConnectOptions{
		Address: r.address, Namespace: r.namespace, Identity: "canvasback-starter@" + r.host, Interceptors: tracing.Client(), Codec: keys,
	}
	if plain := opts.Plain(); plain != "" {
		a.notef("warning: %s", plain)
	}
	return backups.Connect(a.ctx, opts)
}

// withClient runs f with a connection. What f starts is traced where OTEL_* asks
// for it; that its spans are not delivered is no failure of the command.
func (r *remote) withClient(a *app, f func(c client.Client) error) error {
	log, err := telemetry.NewLogger(a.errOut, "text")
	if err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(a.ctx, os.Getenv, "canvasback-starter", log)
	if err != nil {
		return err
	}
	defer func() {
		if err := tracing.Close(); err != nil {
			log.Warn("Traces are not delivered", "error", err)
		}
	}()
	c, err := r.connect(a, tracing)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}
