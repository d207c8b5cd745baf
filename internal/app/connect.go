package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"

	"canvasback/internal/codec"
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
	// Codec encrypts what the server keeps; nil: nothing is, and what was is refused.
	Codec *codec.Keys
	// Wait goes on trying until the server answers and takes the client, with a
	// line in the log for each try: certificates are renewed and namespaces made
	// while it waits. Without it the first failed try is the failure:
	// TemporalUnreachable, TemporalTLS, TemporalDenied or NoNamespace.
	Wait bool
}

const (
	dialTimeout = 5 * time.Second
	dialPause   = 2 * time.Second
	// refusedPause is how far the pause grows while a server that answers does
	// not take the client: a person has to do something.
	refusedPause = 30 * time.Second
)

// Connect dials Temporal the way its own tools do: TEMPORAL_ADDRESS and its
// relatives, then the profile file, then localhost:7233 and "default".
func Connect(ctx context.Context, o ConnectOptions) (client.Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if plain := o.Plain(); plain != "" {
		o.Logger.Warn("The connection to Temporal is not protected: " + plain)
	}
	opts, err := o.options()
	if err != nil {
		return nil, err
	}
	for pause := dialPause; ; {
		c, err := dial(ctx, opts)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, failure.Errorf(failure.Interrupted, "interrupted while connecting to Temporal at %s", opts.HostPort)
		}
		if err = refusal(ctx, opts, err); !o.Wait {
			return nil, err
		}
		if kind := failure.Of(err); kind.Retry {
			o.Logger.Warn("Temporal does not answer yet, trying again", "address", opts.HostPort, "error", err)
			pause = dialPause
		} else {
			o.Logger.Error("Temporal does not take this client, trying again", "address", opts.HostPort, "error", err, "hint", kind.Hint)
			pause = min(2*pause, refusedPause)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		// What was wrong may have been mended in the files meanwhile.
		if mended, err := o.options(); err == nil {
			opts = mended
		}
	}
}

// options are the settings with what o adds to them.
func (o ConnectOptions) options() (client.Options, error) {
	opts, err := o.settings()
	if err != nil {
		return opts, err
	}
	opts.Identity = o.Identity
	opts.MetricsHandler = o.Metrics
	opts.Interceptors = append(opts.Interceptors, o.Interceptors...)
	opts.Logger = log.NewStructuredLogger(o.Logger)
	Patient(&opts)
	return opts, Encrypt(&opts, o.Codec)
}

// Encrypt has a client of the options seal what it sends with the keys, and open
// what it receives; with nil keys it only refuses what is sealed.
func Encrypt(opts *client.Options, keys *codec.Keys) error {
	dialing, err := codec.DialOption(keys)
	if err != nil {
		return err
	}
	opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions, dialing)
	return nil
}

// Server is where Connect looks: the address, the namespace and whether TLS is
// used.
func (o ConnectOptions) Server() (address, namespace string, tls bool, err error) {
	opts, err := o.settings()
	return opts.HostPort, opts.Namespace, opts.ConnectionOptions.TLS != nil, err
}

func dial(ctx context.Context, opts client.Options) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, opts)
	if err != nil {
		return nil, err
	}
	if err := admitted(ctx, c, opts.Namespace); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// admitted tells whether the namespace is there for this client. Who may not
// look at it may still work in it, which listing shows. Any other error is for
// the calls to come.
func admitted(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil && denied(err) {
		_, err = c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 1})
	}
	var missing *serviceerror.NamespaceNotFound
	if err != nil && (denied(err) || errors.As(err, &missing)) {
		return err
	}
	return nil
}
