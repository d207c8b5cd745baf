package codec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"
)

// serverKeeps is what a server keeps of a failure of a step that is tried again, in
// bytes, before it cuts: limit.mutableStateActivityFailureSize.error.
const serverKeeps = 4 << 10

func failureOf(message, stack string, cause *failurepb.Failure) *failurepb.Failure {
	return &failurepb.Failure{Source: "GoSDK", Message: message, StackTrace: stack, Cause: cause, FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
		ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: "RepoNotWritable"},
	}}
}

// TestFailuresFit seals failures of all sizes: none is more than the server keeps,
// and those that are read again begin as they did.
func TestFailuresFit(t *testing.T) {
	keys := keysOf(t, 1)
	for what, piece := range map[string]string{"letters": "abcdefg ", "escapes": "<&>", "runes": "\u00e9\U0001f986", "controls": "\x01\n"} {
		for _, n := range []int{0, 1, 10, 100, 300, 1000, 3000, 5000, 100000} {
			text := strings.Repeat(piece, n/len(piece)+1)
			var deep *failurepb.Failure
			for range 12 {
				deep = failureOf("copy: "+text, text, deep)
			}
			for _, f := range []*failurepb.Failure{failureOf(text, "", nil), failureOf("short", text, nil), failureOf(text, text, failureOf(text, text, nil)), deep} {
				req := &workflowservice.RespondActivityTaskFailedRequest{Failure: proto.Clone(f).(*failurepb.Failure)}
				var kept *failurepb.Failure
				require.NoError(t, connection(t, keys, func(got, _ any) error {
					kept = got.(*workflowservice.RespondActivityTaskFailedRequest).Failure
					return nil
				})("Fail", req, &workflowservice.RespondActivityTaskFailedResponse{}))
				assert.True(t, proto.Equal(f, req.Failure), "what the SDK has is left alone")
				assert.LessOrEqual(t, proto.Size(kept), serverKeeps, "%s, %d", what, n)

				fit(req.Failure, "k1")
				require.NotEmpty(t, req.Failure.Message)
				assert.True(t, strings.HasPrefix(f.Message, strings.TrimSuffix(req.Failure.Message, cutMark)))
				if len(text) < 100 {
					assert.Equal(t, f.Message, req.Failure.Message)
				}
			}
		}
	}
}

// A failure that fits is sealed as it is.
func TestFailuresThatFitAreWhole(t *testing.T) {
	f := failureOf("copy: the disk is full", "a.go:7", failureOf("the disk is full", "b.go:8", nil))
	same := proto.Clone(f).(*failurepb.Failure)
	fit(same, "k1")
	assert.True(t, proto.Equal(f, same))
	fit(nil, "k1")
	final := failureOf(strings.Repeat("long ", 10000), "", nil)
	final.GetApplicationFailureInfo().NonRetryable = true
	same = proto.Clone(final).(*failurepb.Failure)
	fit(same, "k1")
	assert.True(t, proto.Equal(final, same), "the history keeps it")
	text := strings.Repeat("\xff", 10000)
	assert.LessOrEqual(t, jsonLen(fitted(text, 1000)), 1000, "no UTF-8")
}
