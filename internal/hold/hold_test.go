package hold

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/hook"
	"canvasback/internal/hotcopy"
)

var _ hotcopy.Hold = (*Hold)(nil)

const database = "/srv/shop.duckdb"

func options(change config.Hold) config.Hold {
	change.Timeout = max(change.Timeout, config.Duration(20*time.Second))
	change.Deadline = config.Duration(10 * time.Minute)
	return change
}

// owner serves the protocol and keeps what it was sent.
type owner struct {
	*httptest.Server
	calls   []string
	bodies  []map[string]any
	answers map[string]func(w http.ResponseWriter, body map[string]any) // by path; none: the right one
}

func newOwner(t *testing.T) *owner {
	o := &owner{answers: map[string]func(http.ResponseWriter, map[string]any){}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
		o.calls = append(o.calls, r.Method+" "+r.URL.Path)
		o.bodies = append(o.bodies, body)
		if answer := o.answers[r.URL.Path]; answer != nil {
			answer(w, body)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": body["token"], "engine_version": "v1.5.6", "more": 1})
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *owner) hold() *Hold {
	return New(options(config.Hold{Mode: config.HoldHTTP, URL: o.URL + "/hold/"}), database)
}

func TestNone(t *testing.T) {
	assert.Nil(t, New(config.Hold{Mode: config.HoldNone}, database))
}

func TestHTTP(t *testing.T) {
	o := newOwner(t)
	h := o.hold()
	var tokens []string
	for range 2 {
		held, err := h.Begin(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "1.5.6", held.EngineVersion)
		assert.Regexp(t, `^[0-9a-f]{32}$`, held.Token)
		require.NoError(t, h.End(t.Context()))
		tokens = append(tokens, held.Token)
	}
	assert.NotEqual(t, tokens[0], tokens[1], "each hold has a token of its own")
	assert.Equal(t, []string{"POST /hold/begin", "POST /hold/end", "POST /hold/begin", "POST /hold/end"}, o.calls)
	assert.Equal(t, map[string]any{"token": tokens[0], "deadline_seconds": 600.0}, o.bodies[0])
	assert.Equal(t, map[string]any{"token": tokens[0]}, o.bodies[1])
	assert.Equal(t, tokens[1], o.bodies[3]["token"])
	err := h.End(t.Context())
	assert.EqualError(t, err, "end a hold of /srv/shop.duckdb by http: none was begun")
	assert.Len(t, o.calls, 4)
}

func TestHTTPRefuses(t *testing.T) {
	status := func(code int, text string) func(http.ResponseWriter, map[string]any) {
		return func(w http.ResponseWriter, _ map[string]any) { http.Error(w, text, code) }
	}
	o := newOwner(t)
	o.answers["/hold/begin"] = status(http.StatusConflict, "held since noon")
	_, err := o.hold().Begin(t.Context())
	require.EqualError(t, err, `begin a hold of /srv/shop.duckdb by http: another hold is active: `+o.URL+`/hold/begin answers 409 Conflict: "held since noon\n"`)
	assert.Same(t, failure.Hook, failure.Of(err))

	o = newOwner(t)
	o.answers["/hold/end"] = status(http.StatusGone, "it expired")
	h := o.hold()
	_, err = h.Begin(t.Context())
	require.NoError(t, err)
	err = h.End(t.Context())
	require.EqualError(t, err, `end a hold of /srv/shop.duckdb by http: the hold was not in force any more: `+o.URL+`/hold/end answers 410 Gone: "it expired\n"`)
	assert.Same(t, failure.Hook, failure.Of(err))
}

// lies are answers to a begin that may not pass; TOKEN stands for the right
// token.
var lies = []struct{ name, answer, want string }{
	{"garbage", `<html>`, `its answer "<html>" is not the JSON that is wanted: `},
	{"two documents", `{"token":"TOKEN"} {}`, `is not the JSON that is wanted: `},
	{"wrong type", `{"token":"TOKEN","engine_version":1.5}`, `is not the JSON that is wanted: `},
	{"no token", `{}`, `its answer is about the hold "", not "TOKEN"`},
	{"wrong token", `{"token":"0123"}`, `its answer is about the hold "0123", not "TOKEN"`},
	{"no version", `{"token":"TOKEN","engine_version":"newest"}`, `its answer names the engine version "newest", which is not one such as 1.5.6`},
	{"half a version", `{"token":"TOKEN","engine_version":"1.4"}`, `its answer names the engine version "1.4", which is not one such as 1.5.6`},
	{"version and more", `{"token":"TOKEN","engine_version":"1.4.1\n"}`, `which is not one such as 1.5.6`},
	{"endless", strings.Repeat("x", hook.MaxAnswer+1), "its answer is longer than 4096 bytes"},
}

func TestLiesOverHTTP(t *testing.T) {
	for _, lie := range append(lies, struct{ name, answer, want string }{"silence", "", `its answer "" is not the JSON that is wanted: `}) {
		t.Run(lie.name, func(t *testing.T) {
			o := newOwner(t)
			var token string
			o.answers["/hold/begin"] = func(w http.ResponseWriter, body map[string]any) {
				token = body["token"].(string)
				_, _ = io.WriteString(w, strings.ReplaceAll(lie.answer, "TOKEN", token))
			}
			h := o.hold()
			_, err := h.Begin(t.Context())
			require.ErrorContains(t, err, strings.ReplaceAll(lie.want, "TOKEN", token))
			assert.Same(t, failure.Hook, failure.Of(err))
			assert.Less(t, len(err.Error()), 600)
			require.NoError(t, h.End(t.Context()))
			assert.Equal(t, []string{"POST /hold/begin", "POST /hold/end"}, o.calls, "the owner is told to let go")
			assert.Equal(t, token, o.bodies[1]["token"])
		})
	}
}

func TestVersionOfAnUnreleasedBuildIsNotPassedOn(t *testing.T) {
	o := newOwner(t)
	o.answers["/hold/begin"] = func(w http.ResponseWriter, body map[string]any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"token": body["token"], "engine_version": "v1.4.0-dev123"})
	}
	held, err := o.hold().Begin(t.Context())
	require.NoError(t, err)
	assert.Empty(t, held.EngineVersion)
}

// command answers by the script, which finds its own directory in $1 and
// "begin" or "end" in $2.
func command(t *testing.T, script string) (h *Hold, dir string) {
	dir = t.TempDir()
	return New(options(config.Hold{Mode: config.HoldCommand, Command: []string{"/bin/sh", "-c", script, "sh", dir}}), database), dir
}

func TestCommand(t *testing.T) {
	h, dir := command(t, `echo "$# $2 $CANVASBACK_DATABASE $CANVASBACK_HOLD_TOKEN $CANVASBACK_HOLD_DEADLINE_SECONDS" >> "$1/calls"`)
	held, err := h.Begin(t.Context())
	require.NoError(t, err, "silence is an answer")
	assert.Empty(t, held.EngineVersion)
	require.NoError(t, h.End(t.Context()))
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	assert.Equal(t, "2 begin /srv/shop.duckdb "+held.Token+" 600\n2 end /srv/shop.duckdb "+held.Token+" 600\n", string(calls))

	h, _ = command(t, `[ "$2" = end ] || echo "{\"token\":\"$CANVASBACK_HOLD_TOKEN\",\"engine_version\":\"1.1.3\"}"`)
	held, err = h.Begin(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "1.1.3", held.EngineVersion)

	h, _ = command(t, `[ "$2" = begin ] || { echo gone >&2; exit 4; }`)
	_, err = h.Begin(t.Context())
	require.NoError(t, err)
	err = h.End(t.Context())
	require.EqualError(t, err, `end a hold of /srv/shop.duckdb by command: /bin/sh: exit status 4; it said "gone\n"`)
	assert.Same(t, failure.Hook, failure.Of(err))
}

func TestLiesOfACommand(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			h, dir := command(t, `[ "$2" = end ] || sed "s/TOKEN/$CANVASBACK_HOLD_TOKEN/" "$1/answer"`)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "answer"), []byte(lie.answer), 0o600))
			_, err := h.Begin(t.Context())
			require.ErrorContains(t, err, strings.ReplaceAll(lie.want, "TOKEN", h.token))
			assert.Same(t, failure.Hook, failure.Of(err))
			assert.NoError(t, h.End(t.Context()))
		})
	}
}

func TestTimeout(t *testing.T) {
	h, _ := command(t, `exec sleep 1000`)
	h.options.Timeout = config.Duration(100 * time.Millisecond)
	_, err := h.Begin(t.Context())
	require.ErrorContains(t, err, "begin a hold of /srv/shop.duckdb by command: no end within 100ms: ")
	assert.Same(t, failure.Hook, failure.Of(err))
}

// A cancelled copy ends its hold with a context of its own.
func TestCancellation(t *testing.T) {
	o := newOwner(t)
	h := o.hold()
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := h.Begin(ctx)
	require.NoError(t, err)
	stop := errors.New("the worker stops")
	cancel(stop)
	require.NoError(t, h.End(context.WithoutCancel(ctx)))
	_, err = h.Begin(ctx)
	require.ErrorIs(t, err, stop)
	assert.NotSame(t, failure.Hook, failure.Of(err))
}
