package codec

import (
	"encoding/json"
	"unicode/utf8"

	failurepb "go.temporal.io/api/failure/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// maxFailure bounds the failure of a step as it is sealed, in bytes. A server
	// cuts a longer one than 4 KiB (limit.mutableStateActivityFailureSize.error)
	// while the step is to be tried again: it keeps what it takes for the message,
	// and nothing of what is sealed.
	maxFailure = 4000
	// sealing is by how much a failure grows when it is sealed, at most, but for the
	// name of the key.
	sealing = 300
	// cutMark ends a text that was cut.
	cutMark = " ..."
)

// fit shortens a failure that would be cut. One that is final is not: it is kept in
// the history, whole. The causes go first, whose texts are
// in that of the failure as a rule, then the stack trace, then the message's end.
func fit(f *failurepb.Failure, keyID string) {
	if f.GetApplicationFailureInfo().GetNonRetryable() {
		return
	}
	left := maxFailure
	for ; f != nil; f = f.Cause {
		left -= sealing + len(keyID) + rest(f)
		f.Message = fitted(f.Message, left)
		left -= jsonLen(f.Message)
		f.StackTrace = fitted(f.StackTrace, left)
		left -= jsonLen(f.StackTrace)
		if c := f.Cause; c != nil && left < sealing+len(keyID)+rest(c)+jsonLen(c.Message) {
			f.Cause = nil
		}
	}
}

// rest is the size of what is neither text nor cause.
func rest(f *failurepb.Failure) int {
	return proto.Size(&failurepb.Failure{Source: f.Source, FailureInfo: f.FailureInfo})
}

// fitted is as much of the text as n bytes of JSON hold; nothing where they hold
// no more than a mark.
func fitted(text string, n int) string {
	if jsonLen(text) <= n {
		return text
	}
	n -= jsonLen(cutMark)
	for i := 0; i < len(text); {
		_, size := utf8.DecodeRuneInString(text[i:])
		if n -= jsonLen(text[i : i+size]); n < 0 {
			if i == 0 {
				return ""
			}
			return text[:i] + cutMark
		}
		i += size
	}
	return text
}

// jsonLen is the length of the text in JSON, as the SDK writes it, without the
// quotes.
func jsonLen(text string) int {
	if text == "" {
		return 0
	}
	if len(text) > 6*maxFailure {
		return len(text) // whatever is in it, it is too long
	}
	data, _ := json.Marshal(text) // a text has no error
	return len(data) - len(`""`)
}
