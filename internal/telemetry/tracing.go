package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/sdk/interceptor"

	"canvasback/internal/failure"
)

// flushTimeout bounds how long a program that ends waits for its last spans to
// be delivered.
const flushTimeout = 5 * time.Second

// Tracing delivers spans. The nil one delivers none.
type Tracing struct {
	provider *sdktrace.TracerProvider
	scrub    func(string) string
}

// NewTracing sets tracing up as OpenTelemetry's environment variables say:
// OTEL_TRACES_EXPORTER (otlp, console, which is standard error, or none), OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL
// and their relatives, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
// OTEL_BSP_*, OTEL_SDK_DISABLED. It is nil where none of them asks for traces.
// What a service name that is not set becomes is service. A value that makes no
// sense is InvalidConfig.
func NewTracing(ctx context.Context, getenv func(string) string, service string, log *slog.Logger) (*Tracing, error) {
	kind := exporterKind(getenv)
	if kind == "none" {
		return nil, nil
	}
	exporter, err := newExporter(ctx, kind, protocol(getenv))
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "tracing by OTEL_*: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, failure.Errorf(failure.InvalidConfig, "tracing by OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	complain := &complaints{log: log}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(complain.about))
	return &Tracing{
		provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about), sdktrace.WithIDGenerator(ids{})),
		scrub:    newScrubber(getenv).text,
	}, nil
}

// exporterKind is what OTEL_TRACES_EXPORTER says, or otlp where an endpoint
// asks for it.
func exporterKind(getenv func(string) string) string {
	if strings.EqualFold(strings.TrimSpace(getenv("OTEL_SDK_DISABLED")), "true") {
		return "none"
	}
	if kind := strings.TrimSpace(getenv("OTEL_TRACES_EXPORTER")); kind != "" {
		return kind
	}
	if getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		return "otlp"
	}
	return "none"
}

// protocol is how OTLP is spoken; http/protobuf by default.
func protocol(getenv func(string) string) string {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := strings.TrimSpace(getenv(name)); p != "" {
			return p
		}
	}
	return "http/protobuf"
}

func newExporter(ctx context.Context, kind, protocol string) (sdktrace.SpanExporter, error) {
	switch {
	case kind == "console":
		return stdouttrace.New(stdouttrace.WithWriter(os.Stderr))
	case kind != "otlp":
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER %q: otlp, console or none is wanted", kind)
	case protocol == "http/protobuf":
		return otlptracehttp.New(ctx)
	case protocol == "grpc":
		return otlptracegrpc.New(ctx)
	}
	return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL %q: http/protobuf or grpc is wanted", protocol)
}

// Client are the interceptors of a client of Temporal and of the workers that
// use it.
func (t *Tracing) Client() []interceptor.ClientInterceptor {
	if t == nil {
		return nil
	}
	return []interceptor.ClientInterceptor{interceptor.NewTracingInterceptor(&tracer{
		tracer: t.provider.Tracer("canvasback"), propagator: propagation.TraceContext{}, scrub: t.scrub,
	})}
}

// Worker are interceptors that a worker of such a client needs besides.
func (t *Tracing) Worker() []interceptor.WorkerInterceptor {
	if t == nil {
		return nil
	}
	return []interceptor.WorkerInterceptor{&ends{}}
}

// Close delivers what is left, within seconds, also when the context of the
// program has ended.
func (t *Tracing) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("deliver the last traces: %w", err)
	}
	return nil
}

// complaints logs that traces are not delivered, once a minute at most.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex // guards last
	last time.Time
}

func (c *complaints) about(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.last) > time.Minute {
		c.last = now
		c.log.Warn("Traces are not delivered", "error", err)
	}
}
