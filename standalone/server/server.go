package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

const loopback = "127.0.0.1"

// startTries bounds how often Start picks other ports when another process
// took one between the choice and its use.
const startTries = 3

// readyWait is how long the services may take to answer after they started.
const readyWait = 60 * time.Second

// Options says where the server keeps its state and listens.
type Options struct {
	// DBFile is the SQLite file, made if it is not there. Empty: in memory.
	DBFile string
	// PostgreSQL keeps the state instead of a SQLite file, as a production server
	// does; DBFile is empty then.
	PostgreSQL *PostgreSQL
	// TLS is spoken by the frontend. Nil: it is not.
	TLS *TLS
	// TokenKeys are the addresses of JSON Web Key Sets. Where there are any, a
	// call needs a token ("API key") that one of their keys has signed, with the
	// permission "NAMESPACE:read", "NAMESPACE:write" or "NAMESPACE:admin".
	TokenKeys []string
	// Listen is the IPv4 address that the frontend and the UI listen on; empty:
	// 127.0.0.1. Whoever reaches it may do everything that they can.
	Listen string
	// FrontendPort and UIPort are TCP ports there; 0 picks a free one.
	FrontendPort int
	UIPort       int
	// NoUI leaves the Web UI out. There is none for a server with TLS or tokens.
	NoUI bool
	// CodecEndpoint is the address of the codec server that the UI has the browser
	// ask to decrypt payloads. Empty: none.
	CodecEndpoint string
	// Retention is how long closed runs stay visible in a file that is new;
	// 0 means DefaultRetention.
	Retention time.Duration
	// Attributes are the search attributes that the namespace is to have.
	Attributes map[string]enumspb.IndexedValueType
	// Logger gets what the server says. Nil: LogFile does.
	Logger *slog.Logger
	// LogFile is appended to where Logger is nil. Empty: nothing is kept.
	LogFile string
}

// DefaultRetention is how long closed runs stay visible.
const DefaultRetention = 30 * 24 * time.Hour

// Server is a running Temporal server with its UI.
type Server struct {
	temporal temporal.Server
	ui       *webUI
	address  string // of the frontend and the UI, to reach them from here
	frontend int
	internal int // where this process asks the server without TLS and tokens; 0: there is no such port
	lock     *os.File
	logFile  io.Closer
	stop     sync.Once
}

// Start returns once the server answers calls on its namespace and the UI
// serves pages. It fails with a *PortError where a port that was asked for is
// taken, and with a *LockedError where another process uses the file.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{}
	if err := s.openLog(&o); err != nil {
		return nil, err
	}
	if o.DBFile != "" {
		lock, err := lockFile(o.DBFile)
		if err != nil {
			return nil, errors.Join(err, s.release())
		}
		s.lock = lock
	}
	var err error
	for range startTries {
		if err = s.start(ctx, o); err == nil {
			return s, nil
		}
		automatic := o.FrontendPort == 0 || o.UIPort == 0
		if !automatic || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		var taken *PortError
		if errors.As(err, &taken) {
			break
		}
	}
	return nil, errors.Join(err, s.release())
}

func (s *Server) openLog(o *Options) error {
	if o.Logger != nil {
		return nil
	}
	if o.LogFile == "" {
		o.Logger = slog.New(slog.DiscardHandler)
		return nil
	}
	f, err := os.OpenFile(o.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("server: open the log: %w", err)
	}
	s.logFile = f
	o.Logger = slog.New(slog.NewJSONHandler(f, &slog.HandlerOptions{Level: slog.LevelInfo}))
	return nil
}

func (s *Server) start(ctx context.Context, o Options) error {
	p, err := choosePorts(o)
	if err != nil {
		return err
	}
	open := sqliteStores
	if o.PostgreSQL != nil {
		open = postgresStores
	}
	db, err := open(o)
	if err != nil {
		return err
	}
	s.address, s.frontend, s.internal = reach(o.listenOn()), p.frontend, p.internal
	options, err := serverOptions(o, db, p)
	if err != nil {
		return err
	}
	p.release()
	if s.temporal, err = startTemporal(options); err != nil {
		return fmt.Errorf("server: start the Temporal server: %w", err)
	}
	if !o.NoUI {
		s.ui = startUI(o.listenOn(), p.ui, s.HostPort(), o.CodecEndpoint)
	}
	if err := s.ready(ctx, o); err != nil {
		s.stopServices()
		return err
	}
	return nil
}

// startTemporal turns what the server calls fatal, such as a port that another
// process took a moment ago, into an error.
func startTemporal(options []temporal.ServerOption) (s temporal.Server, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*fatalError)
			if !ok {
				panic(r)
			}
			s, err = nil, f
		}
	}()
	if s, err = temporal.NewServer(options...); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// ready waits until the namespace and the UI answer.
func (s *Server) ready(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	frontend := s.HostPort()
	if s.internal != 0 {
		frontend = hostPort(s.internal)
	}
	c, err := client.NewLazyClient(client.Options{
		HostPort: frontend,
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	defer c.Close()
	err = poll(ctx, func() error {
		call, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := c.WorkflowService().DescribeNamespace(call, &workflowservice.DescribeNamespaceRequest{Namespace: Namespace})
		var missing *serviceerror.NamespaceNotFound
		if errors.As(err, &missing) {
			return registerNamespace(call, c, o)
		}
		return err
	})
	if err == nil {
		err = poll(ctx, s.listens)
	}
	if err != nil {
		return fmt.Errorf("server: Temporal does not answer on %s: %w", s.HostPort(), err)
	}
	if err := addAttributes(ctx, c, o.Attributes); err != nil {
		return err
	}
	if s.ui == nil {
		return nil
	}
	return s.ui.ready(ctx)
}

// registerNamespace is for a database that has none yet.
func registerNamespace(ctx context.Context, c client.Client, o Options) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: Namespace, WorkflowExecutionRetentionPeriod: durationpb.New(o.Retention),
	})
	return err
}

// listens is for a frontend that this process itself cannot ask.
func (s *Server) listens() error {
	conn, err := net.Dial("tcp", s.HostPort())
	if err != nil {
		return err
	}
	return conn.Close()
}

// addAttributes registers the search attributes that a namespace of an earlier
// start does not have yet. A new one is made with them: what is registered later
// becomes usable only when the services have looked at the namespace again.
func addAttributes(ctx context.Context, c client.Client, wanted map[string]enumspb.IndexedValueType) error {
	err := poll(ctx, func() error {
		there, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: Namespace})
		if err != nil {
			return err
		}
		missing := maps.Clone(wanted)
		for name := range there.GetCustomAttributes() {
			delete(missing, name)
		}
		if len(missing) == 0 {
			return nil
		}
		_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: Namespace, SearchAttributes: missing})
		return err
	})
	if err != nil {
		return fmt.Errorf("server: register the search attributes: %w", err)
	}
	return nil
}

// poll calls f until it succeeds or ctx ends, and returns f's last error then.
func poll(ctx context.Context, f func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// HostPort is the address of the gRPC frontend for this machine,
// "127.0.0.1:7233".
func (s *Server) HostPort() string {
	return net.JoinHostPort(s.address, strconv.Itoa(s.frontend))
}

// UIAddress is the URL of the Web UI without a slash at its end,
// "http://127.0.0.1:8233"; empty where there is none.
func (s *Server) UIAddress() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.address()
}

// Client connects to the server; o's address and namespace are overwritten,
// and its connection options must fit the server's TLS.
// The caller closes it before Stop.
func (s *Server) Client(o client.Options) (client.Client, error) {
	o.HostPort = s.HostPort()
	o.Namespace = Namespace
	if o.Logger == nil {
		o.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	}
	c, err := client.Dial(o)
	if err != nil {
		return nil, fmt.Errorf("server: connect to %s: %w", s.HostPort(), err)
	}
	return c, nil
}

// Stop ends the UI and all services, and returns when their ports are closed.
// What they were told is on disk. It may be called more than once.
func (s *Server) Stop() error {
	var err error
	s.stop.Do(func() {
		err = errors.Join(s.stopServices(), s.release())
	})
	return err
}

func (s *Server) stopServices() error {
	var err error
	if s.ui != nil {
		s.ui.stop()
		s.ui = nil
	}
	if s.temporal != nil {
		err = s.temporal.Stop()
		s.temporal = nil
	}
	return err
}

func (s *Server) release() error {
	var errs []error
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	if s.logFile != nil {
		errs = append(errs, s.logFile.Close())
		s.logFile = nil
	}
	return errors.Join(errs...)
}
