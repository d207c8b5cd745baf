package codec

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// connection is what DialOption makes of calls, with a server that is a function.
func connection(t *testing.T, k *Keys, server func(req, reply any) error) func(method string, req, reply proto.Message) error {
	t.Helper()
	failures, err := converter.NewFailureGRPCClientInterceptor(converter.NewFailureGRPCClientInterceptorOptions{EncodeCommonAttributes: true})
	require.NoError(t, err)
	payloads, err := proxy.NewPayloadVisitorInterceptor(visits(k, k.receive))
	require.NoError(t, err)
	lists, err := proxy.NewPayloadVisitorInterceptor(visits(k, k.receiveSome))
	require.NoError(t, err)
	i := around(k, failures, payloads, lists)
	return func(method string, req, reply proto.Message) error {
		return i(t.Context(), method, req, reply, nil, func(_ context.Context, _ string, req, reply any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			return server(req, reply)
		})
	}
}

func listOf(p ...*commonpb.Payload) *commonpb.Payloads { return &commonpb.Payloads{Payloads: p} }

func TestRequestsAreSealedAndStayAsTheyAre(t *testing.T) {
	k := keysOf(t, 1)
	req := &workflowservice.StartWorkflowExecutionRequest{
		WorkflowId: "canvasback-backup-shop", Input: listOf(payloadOf(t, "secret")),
		Memo:             &commonpb.Memo{Fields: map[string]*commonpb.Payload{"canvasback": payloadOf(t, "secret")}},
		Header:           &commonpb.Header{Fields: map[string]*commonpb.Payload{"trace": payloadOf(t, "secret")}},
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"Database": payloadOf(t, "shop")}},
	}
	before, sent := proto.Clone(req), 0
	call := connection(t, k, func(got, _ any) error {
		sent++
		m := got.(*workflowservice.StartWorkflowExecutionRequest)
		for _, p := range []*commonpb.Payload{m.Input.Payloads[0], m.Memo.Fields["canvasback"], m.Header.Fields["trace"]} {
			assert.True(t, sealed(p))
			out, err := k.Decode([]*commonpb.Payload{p})
			require.NoError(t, err)
			assert.True(t, proto.Equal(payloadOf(t, "secret"), out[0]), "it is sealed once")
		}
		assert.True(t, proto.Equal(payloadOf(t, "shop"), m.SearchAttributes.IndexedFields["Database"]))
		return nil
	})
	for range 2 { // as the SDK does after an error
		require.NoError(t, call("Start", req, &workflowservice.StartWorkflowExecutionResponse{}))
		assert.True(t, proto.Equal(before, req))
	}
	assert.Equal(t, 2, sent)
}

func TestFailuresAreSealed(t *testing.T) {
	req := &workflowservice.RespondActivityTaskFailedRequest{Failure: &failurepb.Failure{
		Message: "/var/lib/shop: no such file", StackTrace: "main.go:7", Cause: &failurepb.Failure{Message: "a cause", FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
			ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: "NoSuchFile", Details: listOf(payloadOf(t, "more"))},
		}},
	}}
	var kept *failurepb.Failure
	require.NoError(t, connection(t, keysOf(t, 1), func(got, _ any) error {
		kept = got.(*workflowservice.RespondActivityTaskFailedRequest).Failure
		return nil
	})("Fail", req, &workflowservice.RespondActivityTaskFailedResponse{}))
	for _, f := range []*failurepb.Failure{kept, kept.Cause} {
		assert.Equal(t, "Encoded failure", f.Message)
		assert.Empty(t, f.StackTrace)
		assert.True(t, sealed(f.EncodedAttributes))
	}
	assert.Equal(t, "NoSuchFile", kept.Cause.GetApplicationFailureInfo().Type, "that stays readable")
	assert.True(t, sealed(kept.Cause.GetApplicationFailureInfo().Details.Payloads[0]))

	answer := func(_, reply any) error {
		proto.Merge(reply.(proto.Message), &workflowservice.DescribeWorkflowExecutionResponse{PendingActivities: []*workflowpb.PendingActivityInfo{{LastFailure: kept}}})
		return nil
	}
	reply := &workflowservice.DescribeWorkflowExecutionResponse{}
	require.NoError(t, connection(t, keysOf(t, 1), answer)("Describe", &workflowservice.DescribeWorkflowExecutionRequest{}, reply))
	seen := reply.PendingActivities[0].LastFailure
	assert.Equal(t, "/var/lib/shop: no such file", seen.Message)
	assert.Equal(t, "main.go:7", seen.StackTrace)
	assert.Equal(t, "a cause", seen.Cause.Message)

	err := connection(t, nil, answer)("Describe", &workflowservice.DescribeWorkflowExecutionRequest{}, &workflowservice.DescribeWorkflowExecutionResponse{})
	assert.ErrorContains(t, err, "encrypted with the key k1, and no key file is named")
}

func TestRefusalsGoThroughTheSDK(t *testing.T) {
	p := encoded(t, keysOf(t, 1), payloadOf(t, "x"))
	answer := func(_, reply any) error {
		proto.Merge(reply.(proto.Message), &workflowservice.PollActivityTaskQueueResponse{Input: listOf(p)})
		return nil
	}
	err := connection(t, keysOf(t, 2), answer)("Poll", &workflowservice.PollActivityTaskQueueRequest{}, &workflowservice.PollActivityTaskQueueResponse{})
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "which the SDK does not repeat, nor end a worker for")
	text, refused := Refused(serviceerror.FromStatus(status.Convert(err)))
	assert.True(t, refused)
	assert.Contains(t, text, "a payload of Temporal is encrypted with the key k1, which is not in the key file")

	for _, other := range []error{nil, errors.New("codec: x"), serviceerror.NewFailedPrecondition("no"), serviceerror.NewNotFound("codec: x")} {
		_, refused := Refused(other)
		assert.False(t, refused, "%v", other)
	}
}

// TestListsLeaveSealedWhatIsOthers: a namespace may have hosts with other keys.
func TestListsLeaveSealedWhatIsOthers(t *testing.T) {
	ours, theirs := encoded(t, keysOf(t, 1), payloadOf(t, "ours")), encoded(t, keysOf(t, 2), payloadOf(t, "theirs"))
	answer := func(_, reply any) error {
		run := func(p *commonpb.Payload) *workflowpb.WorkflowExecutionInfo {
			return &workflowpb.WorkflowExecutionInfo{Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{"m": p}}}
		}
		proto.Merge(reply.(proto.Message), &workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflowpb.WorkflowExecutionInfo{run(ours), run(theirs), run(payloadOf(t, "plain"))}})
		return nil
	}
	got := func(k *Keys) (memos [3]*commonpb.Payload) {
		reply := &workflowservice.ListWorkflowExecutionsResponse{}
		require.NoError(t, connection(t, k, answer)(workflowservice.WorkflowService_ListWorkflowExecutions_FullMethodName, &workflowservice.ListWorkflowExecutionsRequest{}, reply))
		for i, e := range reply.Executions {
			memos[i] = e.Memo.Fields["m"]
		}
		return memos
	}
	memos := got(keysOf(t, 1))
	assert.NoError(t, Sealed(memos[0]))
	assert.Equal(t, `"ours"`, string(memos[0].Data))
	var e *Error
	require.ErrorAs(t, Sealed(memos[1]), &e)
	assert.Equal(t, "k2", e.KeyID)
	assert.NoError(t, Sealed(memos[2]))
	memos = got(nil)
	assert.Error(t, Sealed(memos[0]))
	assert.Error(t, Sealed(memos[1]))
	assert.NoError(t, Sealed(memos[2]))
}

func TestOtherErrorsStay(t *testing.T) {
	down := status.Error(codes.Unavailable, "down")
	for _, k := range []*Keys{nil, keysOf(t, 1)} {
		err := connection(t, k, func(_, _ any) error { return down })("Start", &workflowservice.StartWorkflowExecutionRequest{}, &workflowservice.StartWorkflowExecutionResponse{})
		assert.Equal(t, codes.Unavailable, status.Code(err))
		assert.ErrorContains(t, err, "down")
	}
}

func TestWithoutKeysMessagesStayAsTheyAre(t *testing.T) {
	req := &workflowservice.RespondActivityTaskFailedRequest{Failure: &failurepb.Failure{Message: "plain"}}
	require.NoError(t, connection(t, nil, func(got, _ any) error {
		assert.Same(t, req, got)
		assert.Equal(t, "plain", req.Failure.Message)
		return nil
	})("Fail", req, &workflowservice.RespondActivityTaskFailedResponse{}))
}

func TestTheServersOwnCommandsStayAsTheyAre(t *testing.T) {
	req := &workflowservice.RespondNexusTaskCompletedRequest{}
	require.NoError(t, connection(t, keysOf(t, 1), func(got, _ any) error {
		assert.Same(t, req, got)
		return nil
	})(workflowservice.WorkflowService_RespondNexusTaskCompleted_FullMethodName, req, &workflowservice.RespondNexusTaskCompletedResponse{}))
}

func TestWhatIsNotSealedWithThePresentKeyIsMarked(t *testing.T) {
	plain := payloadOf(t, "x")
	old, recent := encoded(t, keysOf(t, 1), plain), encoded(t, keysOf(t, 2), plain)
	k := keysOf(t, 2, 1)
	out, err := k.receive([]*commonpb.Payload{plain, old, recent, nil})
	require.NoError(t, err)
	assert.True(t, Stale(out[0]))
	assert.True(t, Stale(out[1]))
	assert.False(t, Stale(out[2]))
	assert.False(t, Stale(plain), "what was received is not changed")
	for _, p := range out[:3] {
		var text string
		require.NoError(t, converter.GetDefaultDataConverter().FromPayload(p, &text))
		assert.Equal(t, "x", text)
		back, err := k.Decode([]*commonpb.Payload{encoded(t, k, p)})
		require.NoError(t, err)
		assert.True(t, proto.Equal(plain, back[0]), "the mark does not leave this process")
	}
	var none *Keys
	out, err = none.receive([]*commonpb.Payload{plain})
	require.NoError(t, err)
	assert.False(t, Stale(out[0]), "without keys nothing is to be encrypted")
}
