package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// spanKey is where a workflow's context holds its span.
type spanKey struct{}

// traceHeader is the header in which all of Temporal's SDKs hand spans on.
const traceHeader = "_tracer-data"

// tracer makes one trace of each run. A run that nobody with a span began, as
// those of a schedule, has a trace of its own, the ID of which follows from the
// run's: a worker that takes the run over from one that died goes on in it.
type tracer struct {
	interceptor.BaseTracer
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	scrub      func(string) string
}

func (t *tracer) Options() interceptor.TracerOptions {
	// What asks a run or tells it something is not part of it.
	return interceptor.TracerOptions{
		SpanContextKey: spanKey{}, HeaderKey: traceHeader, AllowInvalidParentSpans: true,
		DisableQueryTracing: true, DisableUpdateTracing: true, DisableSignalTracing: true,
	}
}

// span is a trace.Span as the interceptor handles it.
type span struct {
	trace.Span
	scrub func(string) string
	// run: of a workflow. Those end only with it: one that leaves this worker's
	// memory ends elsewhere.
	run, ended bool
	// alone: what it starts is in no trace with it.
	alone bool
}

func (t *tracer) UnmarshalSpan(data map[string]string) (interceptor.TracerSpanRef, error) {
	ctx := t.propagator.Extract(context.Background(), propagation.MapCarrier(data))
	parent := trace.SpanContextFromContext(ctx)
	if !parent.IsValid() {
		return nil, nil
	}
	return parent, nil
}

func (t *tracer) MarshalSpan(of interceptor.TracerSpan) (map[string]string, error) {
	data := propagation.MapCarrier{}
	if s := of.(*span); !s.alone {
		t.propagator.Inject(trace.ContextWithSpan(context.Background(), s.Span), data)
	}
	return data, nil
}

func (t *tracer) SpanFromContext(ctx context.Context) interceptor.TracerSpan {
	if s := trace.SpanFromContext(ctx); s.SpanContext().IsValid() {
		return &span{Span: s, scrub: t.scrub}
	}
	return nil
}

func (t *tracer) ContextWithSpan(ctx context.Context, of interceptor.TracerSpan) context.Context {
	return trace.ContextWithSpan(ctx, of.(*span).Span)
}

func (t *tracer) StartSpan(o *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	ctx := context.Background()
	switch parent := o.Parent.(type) {
	case nil:
	case *span:
		ctx = trace.ContextWithSpanContext(ctx, parent.SpanContext())
	case trace.SpanContext:
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	default:
		return nil, fmt.Errorf("a span below a %T", parent)
	}
	kind := trace.SpanKindServer
	if o.ToHeader {
		kind = trace.SpanKindClient
	}
	s := &span{scrub: t.scrub}
	switch o.Operation {
	case "RunWorkflow":
		s.run = true
		ctx = context.WithValue(ctx, idKey{}, o.IdempotencyKey)
	case "CreateSchedule":
		// Its header goes to every run of the schedule, and each is a trace.
		s.alone = true
	}
	attributes := make([]attribute.KeyValue, 0, len(o.Tags))
	for k, v := range o.Tags {
		attributes = append(attributes, attribute.String(k, v))
	}
	_, s.Span = t.tracer.Start(ctx, o.Operation+":"+o.Name, trace.WithTimestamp(o.Time), trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return s, nil
}

func (t *tracer) GetLogger(l log.Logger, of interceptor.TracerSpanRef) log.Logger {
	if s, ok := of.(*span); ok {
		return log.With(l, "trace", s.SpanContext().TraceID())
	}
	return l
}

// Finish ends the span, but not that of a workflow that goes on.
func (s *span) Finish(o *interceptor.TracerFinishSpanOptions) {
	if s.run && !s.ended {
		return
	}
	fail(s.Span, o.Error, s.scrub)
	s.End()
}

// fail marks a span as failed, unless the failure is none, as that of a step
// that gives way to the next worker's.
func fail(s trace.Span, err error, scrub func(string) string) {
	if err == nil || workflow.IsContinueAsNewError(err) {
		return
	}
	text := scrub(err.Error())
	s.AddEvent("exception", trace.WithAttributes(attribute.String("exception.message", text)))
	if app, ok := err.(*temporal.ApplicationError); ok {
		s.SetAttributes(attribute.String("canvasback.kind", app.Type()))
		if app.Category() == temporal.ApplicationErrorCategoryBenign {
			return
		}
	}
	s.SetStatus(codes.Error, text)
}

// ends notes when a workflow has ended, and did not only leave this worker's
// memory, which unwinds its coroutine too.
type ends struct {
	interceptor.WorkerInterceptorBase
}

func (*ends) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &endsWorkflow{}
	in.Next = next
	return in
}

type endsWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (e *endsWorkflow) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := e.Next.ExecuteWorkflow(ctx, in)
	if s, ok := ctx.Value(spanKey{}).(*span); ok {
		s.ended = true
	}
	return result, err
}

// idKey is where a context holds what the IDs of a workflow's span follow from.
type idKey struct{}

// ids makes the IDs of spans: of workflows from their run, else at random.
type ids struct{}

func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	if key, ok := ctx.Value(idKey{}).(string); ok {
		sum := sha256.Sum256([]byte("trace " + key))
		copy(id[:], sum[:])
	} else {
		rand.Read(id[:])
	}
	return id, g.NewSpanID(ctx, id)
}

func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	var id trace.SpanID
	if key, ok := ctx.Value(idKey{}).(string); ok {
		sum := sha256.Sum256([]byte("span " + key))
		copy(id[:], sum[:])
	} else {
		rand.Read(id[:])
	}
	return id
}

var (
	_ interceptor.Tracer   = (*tracer)(nil)
	_ sdktrace.IDGenerator = ids{}
)
