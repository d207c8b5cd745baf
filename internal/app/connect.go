package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"

	"canvasback/internal/failure"
)

// ConnectOptions override what Temporal's environment variables and profile
// file say; empty fields leave it.
type ConnectOptions struct {
	Address   string
	Namespace string
	Identity  string
	Logger    *slog.Logger
	// Metrics count what the SDK does; nil: nothing does. Interceptors are those
	// of the client, and of the workers that use it.
	Metrics      client.MetricsHandler
	Interceptors []interceptor.ClientInterceptor
	// Wait goes on trying until the server answers; without it one failed try
	// is TemporalUnreachable.
	Wait bool
}

const (
	dialTimeout = 5 * time.Second
	dialPause   = 2 * time.Second
)

// Connect dials Temporal the way its own tools do: TEMPORAL_ADDRESS and its
// relatives, then the profile file, then localhost:7233 and "default".
func Connect(ctx context.Context, o ConnectOptions) (client.Client, error) {
	opts, err := o.settings()
	if err != nil {
		return nil, err
	}
	opts.Identity = o.Identity
	opts.MetricsHandler = o.Metrics
	opts.Interceptors = append(opts.Interceptors, o.Interceptors...)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	opts.Logger = log.NewStructuredLogger(o.Logger)
	for {
		c, err := dial(ctx, opts)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, failure.Errorf(failure.Interrupted, "interrupted while connecting to Temporal at %s", opts.HostPort)
		}
		if !o.Wait {
			return nil, failure.Errorf(failure.TemporalUnreachable, "Temporal does not answer at %s: %w", opts.HostPort, err)
		}
		o.Logger.Warn("Temporal does not answer yet, trying again", "address", opts.HostPort, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(dialPause):
		}
	}
}

// settings are what Connect goes by.
func (o ConnectOptions) settings() (client.Options, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return opts, failure.Errorf(failure.InvalidConfig, "Temporal's connection settings: %w", err)
	}
	if o.Address != "" {
		opts.HostPort = o.Address
	}
	if opts.HostPort == "" {
		opts.HostPort = client.DefaultHostPort
	}
	if o.Namespace != "" {
		opts.Namespace = o.Namespace
	}
	if opts.Namespace == "" {
		opts.Namespace = client.DefaultNamespace
	}
	return opts, nil
}

// Server is where Connect looks: the address, the namespace and whether TLS is
// used.
func (o ConnectOptions) Server() (address, namespace string, tls bool, err error) {
	opts, err := o.settings()
	return opts.HostPort, opts.Namespace, opts.ConnectionOptions.TLS != nil, err
}

// NoNamespace tells an error of Connect that a server answers and does not have
// the namespace.
func NoNamespace(err error) bool {
	var missing *serviceerror.NamespaceNotFound
	return errors.As(err, &missing)
}

func dial(ctx context.Context, opts client.Options) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("namespace %q: %w", opts.Namespace, err)
	}
	// Who may not look at the namespace may still work in it.
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: opts.Namespace})
	var missing *serviceerror.NamespaceNotFound
	if errors.As(err, &missing) {
		c.Close()
		return nil, fmt.Errorf("there is no namespace %q: %w", opts.Namespace, err)
	}
	return c, nil
}
