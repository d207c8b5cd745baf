package codec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// DialOption has a connection to a server seal all payloads and failures that it
// sends, and open all that it receives. Search attributes are left as they are:
// the server has to read them. With nil keys it only opens, that is, refuses what
// is sealed.
func DialOption(k *Keys) (grpc.DialOption, error) {
	// A failure's message becomes a payload first, which is sealed then.
	failures, err := converter.NewFailureGRPCClientInterceptor(converter.NewFailureGRPCClientInterceptorOptions{EncodeCommonAttributes: true})
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	payloads, err := proxy.NewPayloadVisitorInterceptor(visits(k, k.receive))
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	lists, err := proxy.NewPayloadVisitorInterceptor(visits(k, k.receiveSome))
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	return grpc.WithChainUnaryInterceptor(around(k, failures, payloads, lists)), nil
}

// visits seal what goes out, and open what comes in.
func visits(k *Keys, receive func([]*commonpb.Payload) ([]*commonpb.Payload, error)) proxy.PayloadVisitorInterceptorOptions {
	return proxy.PayloadVisitorInterceptorOptions{
		Outbound: &proxy.VisitPayloadsOptions{SkipSearchAttributes: true, Visitor: func(_ *proxy.VisitPayloadsContext, p []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return k.Encode(p)
		}},
		Inbound: &proxy.VisitPayloadsOptions{SkipSearchAttributes: true, Visitor: func(_ *proxy.VisitPayloadsContext, p []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return receive(p)
		}},
	}
}

// around calls the interceptors, on messages that are theirs to change: lists in
// the place of payloads for those that name many things, of which some may be
// others', who have keys of their own.
func around(k *Keys, failures, payloads, lists grpc.UnaryClientInterceptor) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if strings.Contains(method, "Nexus") { // commands of the server itself to a worker, and their answers
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		visit := payloads
		if strings.Contains(method, "/List") {
			visit = lists
		}
		within := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
			return visit(ctx, method, req, reply, cc, invoke, opts...)
		}
		var err error
		if k == nil {
			err = opened(failures)(ctx, method, req, reply, cc, within, opts...)
		} else {
			// The SDK sends a message again after an error, and keeps parts of others.
			if m, ok := req.(proto.Message); ok {
				req = proto.Clone(m)
			}
			if m, ok := req.(*workflowservice.RespondActivityTaskFailedRequest); ok {
				fit(m.Failure, k.keys[0].id)
			}
			err = failures(ctx, method, req, reply, cc, within, opts...)
		}
		return refusal(err)
	}
}

// opened is a failure interceptor that leaves requests alone.
func opened(failures grpc.UnaryClientInterceptor) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return failures(ctx, method, nil, reply, cc, func(ctx context.Context, method string, _, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
			return invoke(ctx, method, req, reply, cc, opts...)
		}, opts...)
	}
}

// mark is in the text of a refusal on its way through the SDK, which makes errors
// of its own of what comes from a connection.
const mark = "codec: "

// refusal is the form in which an Error leaves a connection: a status that the SDK
// does not try again at once, and that does not end a worker.
func refusal(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return status.Error(codes.FailedPrecondition, mark+e.Error())
}

// Refused returns what an error of a call says of a payload that could not be
// opened; false if it is about something else.
func Refused(err error) (text string, refused bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.Error(), true
	}
	var failed *serviceerror.FailedPrecondition
	if !errors.As(err, &failed) {
		return "", false
	}
	return strings.CutPrefix(failed.Message, mark)
}

// staleEntry marks a payload, within this process only, that the server keeps in
// another form than it would get today.
const staleEntry = "canvasback-stale"

// receive is Decode that marks what was not sealed with the first key.
func (k *Keys) receive(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out, err := k.Decode(payloads)
	if err != nil || k == nil {
		return out, err
	}
	for i, p := range payloads {
		if p == nil || string(p.Metadata[idEntry]) == k.keys[0].id {
			continue
		}
		metadata := maps.Clone(out[i].Metadata)
		if metadata == nil {
			metadata = map[string][]byte{}
		}
		metadata[staleEntry] = []byte{1}
		out[i] = &commonpb.Payload{Metadata: metadata, Data: out[i].Data, ExternalPayloads: out[i].ExternalPayloads}
	}
	return out, nil
}

// receiveSome is receive that leaves sealed what it cannot open: see Sealed.
func (k *Keys) receiveSome(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		out[i] = p
		if opened, err := k.receive([]*commonpb.Payload{p}); err == nil {
			out[i] = opened[0]
		}
	}
	return out, nil
}

// Sealed is the error of a payload of a list that could not be opened, an *Error;
// nil of any other payload.
func Sealed(p *commonpb.Payload) error {
	if !sealed(p) {
		return nil
	}
	id, err := checked(p)
	if err != nil {
		return err
	}
	return locked(id, "which is not at hand here")
}

// Stale tells of a payload that came over a connection with keys that the server
// keeps it in plain, or sealed with a key that is not the first.
func Stale(p *commonpb.Payload) bool { return p.GetMetadata()[staleEntry] != nil }

// unmarked is a payload without the mark.
func unmarked(p *commonpb.Payload) *commonpb.Payload {
	if !Stale(p) {
		return p
	}
	metadata := maps.Clone(p.Metadata)
	delete(metadata, staleEntry)
	return &commonpb.Payload{Metadata: metadata, Data: p.Data, ExternalPayloads: p.ExternalPayloads}
}
