package hook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommandAnswers(t *testing.T) {
	t.Setenv("HOME", "/home/here")
	t.Setenv("SECRET", "hidden")
	for _, test := range []struct {
		name, script, want string
		wantLen            int
	}{
		{"standard output only", `echo answer; echo words >&2`, "answer\n", 7},
		{"nothing", `:`, "", 0},
		{"a clean environment", `echo "$GIVEN|$HOME|$SECRET"`, "this|/home/here|\n", 17},
		{"more than is read", `yes | head -c 1000000`, "y\ny\n", MaxAnswer + 1},
		{"as much as is read", `yes | head -c 4096`, "y\ny\n", MaxAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Command(t.Context(), []string{"/bin/sh", "-c", test.script}, []string{"GIVEN=this"})
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(string(got), test.want), "%q", got)
			assert.Len(t, got, test.wantLen)
		})
	}
}

func TestCommandQuotesBothStreams(t *testing.T) {
	got, err := Command(t.Context(), []string{"/bin/sh", "-c", `echo two >&2; echo one; exit 3`}, nil)
	assert.Nil(t, got)
	require.EqualError(t, err, `/bin/sh: exit status 3; it said "one\ntwo\n"`)

	_, err = Command(t.Context(), []string{"/bin/sh", "-c", `echo no space >&2; yes | head -c 1000000; exit 3`}, nil)
	require.ErrorContains(t, err, `y\nno space\n"`, "output does not crowd the fault out")
	assert.Less(t, len(err.Error()), 2*MaxOutput)
}

func TestPost(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		wantLen int
		wantErr string // with URL for the server's address
	}{
		{"body and answer", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
			_, _ = io.WriteString(w, r.Header.Get("Content-Type"))
		}, len(`{"a":1}application/json`), ""},
		{"more than is read", func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		}, MaxAnswer + 1, ""},
		{"breaks off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, 0, "URL answers 200 OK and then breaks off: unexpected EOF"},
		{"refuses", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "not now", http.StatusConflict) }, 0, `URL answers 409 Conflict: "not now\n"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			got, err := Post(t.Context(), server.URL, "", []byte(`{"a":1}`))
			assert.Len(t, got, test.wantLen)
			if test.wantErr == "" {
				require.NoError(t, err)
				return
			}
			assert.EqualError(t, err, strings.ReplaceAll(test.wantErr, "URL", server.URL))
		})
	}
}

func TestPostTellsTheStatus(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer server.Close()
	_, err := Post(t.Context(), server.URL, "", nil)
	var status *StatusError
	require.ErrorAs(t, err, &status)
	assert.Equal(t, http.StatusGone, status.Code)
}

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type"))
	}))
	defer server.Close()
	got, err := Get(t.Context(), server.URL+"/status", "")
	require.NoError(t, err)
	assert.Equal(t, "GET /status ", string(got))
}
