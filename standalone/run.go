package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"canvasback/internal/app"
	"canvasback/internal/backup"
	"canvasback/internal/codec"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/host"
	"canvasback/internal/telemetry"
	"canvasback/standalone/sample"
	"canvasback/standalone/server"
)

// Main runs the command line args (without the program's name) and returns
// the exit status. Cancelling ctx stops everything in good order.
func Main(ctx context.Context, args []string, out, errOut io.Writer) int {
	began := false
	cmd := newCommand(func(o *options) error { return run(ctx, o, out, errOut) })
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
	if ctx.Err() != nil {
		err = failure.Errorf(failure.Interrupted, "interrupted: %w", err)
	}
	printFailure(errOut, err)
	return failure.Of(err).Exit
}

func printFailure(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "canvasback: error: %s\n", strings.TrimRight(line, "\n"))
	}
	if hint := failure.Of(err).Hint; hint != "" {
		fmt.Fprintf(w, "canvasback: hint: %s\n", hint)
	}
}

// standalone is everything that runs, in the order in which it was started.
type standalone struct {
	options *options
	config  *config.Config
	screen  *screen
	sample  *sample.Process // nil without one
	server  *server.Server
	client  client.Client
	log     *slog.Logger
	closers []func()

	telemetry *telemetry.Worker
	keys      *codec.Keys // nil: what Temporal keeps is not encrypted
}

// stop ends everything, last things first.
func (s *standalone) stop() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

func (s *standalone) onStop(f func()) { s.closers = append(s.closers, f) }

func run(ctx context.Context, o *options, out, errOut io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	s := &standalone{options: o, screen: &screen{out: out, errOut: errOut}}
	defer s.stop()
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := s.firstBackups(ctx); err != nil {
		if o.once || ctx.Err() != nil {
			return err
		}
		printFailure(errOut, err)
	}
	if o.once {
		return nil
	}
	s.screen.line("")
	s.screen.line("Backups go on by the schedule while this runs. Ctrl-C stops it; a later start goes on here.")
	return s.wait(ctx)
}

func (s *standalone) start(ctx context.Context) error {
	data, err := openData(s.options.data)
	if err != nil {
		return err
	}
	s.onStop(data.close)
	s.options.data = data.path
	if s.log, err = data.log("worker.log", s.options.logFormat); err != nil {
		return err
	}
	if s.config, err = s.options.configuration(); err != nil {
		return err
	}
	if s.keys, err = codec.Load(s.options.codecKeys, os.Getenv); err != nil {
		return err
	}
	runner, err := backup.New(s.config)
	if err != nil {
		return err
	}
	s.telemetry, err = telemetry.Start(ctx, telemetry.Options{
		Host: s.config.Host, Databases: s.config.Names(), Service: "canvasback-standalone", Address: s.config.Metrics.Address, Log: s.log, Getenv: os.Getenv,
	})
	if err != nil {
		return err
	}
	s.onStop(s.telemetry.Close)
	s.screen.title(data.path, s.config)
	if s.options.sample() {
		if err := s.startSample(ctx); err != nil {
			return err
		}
	}
	if err := s.startServer(ctx, data); err != nil {
		return err
	}
	return s.startWorker(ctx, runner)
}

func (s *standalone) startSample(ctx context.Context) error {
	p, err := sample.Start(ctx, s.options.sampleFile())
	if err != nil {
		return err
	}
	s.sample = p
	s.onStop(func() {
		if err := p.Stop(); err != nil {
			s.log.Error("the sample's writer", "error", err)
		}
	})
	s.screen.sample(s.options.sampleFile(), p)
	return nil
}

func (s *standalone) startServer(ctx context.Context, data *dataDir) error {
	log, err := data.log("temporal.log", s.options.logFormat)
	if err != nil {
		return err
	}
	decrypt, endpoint, err := s.codecServer()
	if err != nil {
		return err
	}
	s.server, err = server.Start(ctx, server.Options{
		CodecEndpoint: endpoint,
		DBFile:        filepath.Join(data.path, server.FileName()),
		Listen:        s.options.listen,
		FrontendPort:  s.options.port,
		UIPort:        s.options.uiPort,
		NoUI:          s.options.noUI,
		Attributes:    app.AttributeTypes,
		Logger:        log,
	})
	if err != nil {
		return portFailure(err)
	}
	s.onStop(func() {
		if err := s.server.Stop(); err != nil {
			s.log.Error("stop the server", "error", err)
		}
	})
	if decrypt != nil {
		decrypt.Serve(s.keys, codec.Access{Origins: origins(s.server.UIAddress())}, s.log)
	}
	s.screen.server(s.server)
	if open := s.options.openTo(); open != "" {
		s.screen.warn(open)
		s.log.Warn(open)
	}
	return nil
}

// codecServer takes a port for the server that decrypts for the UI; nil where there
// is nothing to decrypt, or no UI.
func (s *standalone) codecServer() (decrypt *codec.Server, endpoint string, err error) {
	if s.keys == nil || s.options.noUI {
		return nil, "", nil
	}
	if decrypt, err = codec.Listen("127.0.0.1:0"); err != nil {
		return nil, "", err
	}
	s.onStop(func() {
		if err := decrypt.Close(); err != nil {
			s.log.Error("stop the codec server", "error", err)
		}
	})
	return decrypt, "http://" + decrypt.Address(), nil
}

// origins are those under which a browser on this machine has the UI.
func origins(ui string) []string {
	return []string{ui, strings.Replace(ui, "127.0.0.1", "localhost", 1)}
}

// portFailure names the flag that a taken port came from.
func portFailure(err error) error {
	var port *server.PortError
	if !errors.As(err, &port) {
		return err
	}
	flag := "--port"
	if port.UI {
		flag = "--ui-port"
	}
	return failure.Errorf(failure.PortTaken, "%s %d: %w", flag, port.Port, port.Err)
}

func (s *standalone) startWorker(ctx context.Context, runner *backup.Runner) error {
	opts := client.Options{
		Identity:       "canvasback-standalone@" + s.config.Host,
		Logger:         sdklog.NewStructuredLogger(telemetry.ForTemporal(s.log)),
		MetricsHandler: s.telemetry.Metrics.SDK(),
		Interceptors:   s.telemetry.Tracing.Client(),
	}
	app.Patient(&opts)
	err := app.Encrypt(&opts, s.keys)
	if err != nil {
		return err
	}
	if s.client, err = s.server.Client(opts); err != nil {
		return failure.Errorf(failure.TemporalUnreachable, "%w", err)
	}
	s.onStop(s.client.Close)
	if err := app.Readable(ctx, s.client, s.config.Host, s.config.Names()); err != nil {
		return err
	}
	h := host.New(s.client, s.config, runner, s.telemetry, s.log)
	if err := h.Start(ctx); err != nil {
		return err
	}
	s.onStop(h.Stop)
	return s.ensureSchedules(ctx)
}

// wait returns when ctx ends, and with an error when the sample's writer does.
func (s *standalone) wait(ctx context.Context) error {
	var gone <-chan struct{}
	if s.sample != nil {
		gone = s.sample.Done()
	}
	select {
	case <-ctx.Done():
		s.screen.line("Stopping ...")
		return nil
	case <-gone:
		return errors.Join(errors.New("the sample's writer has ended"), s.sample.Stop())
	}
}

// goRun reports whether this program was started by go run, so that what it
// tells people to type works as it stands.
func goRun() bool {
	exe, err := os.Executable()
	return err == nil && strings.Contains(exe, string(filepath.Separator)+"go-build")
}
