package notify

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzState reads any record of what was told: what comes of it can be written, and
// is read as the same.
func FuzzState(f *testing.F) {
	s := newState()
	s.condition("backup").count("r1")
	data, err := s.encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"schema":1,"tasks":{"backup":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := decode(data)
		require.NotNil(t, s.Tasks)
		for _, c := range s.Tasks {
			require.NotNil(t, c)
		}
		text, err := s.encode()
		require.NoError(t, err)
		back, err := decode(text).encode()
		require.NoError(t, err)
		require.Equal(t, string(text), string(back))
	})
}

// FuzzRetryAfter: a server can ask for no more than five minutes.
func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		after := retryAfter(value, time.Unix(1e9, 0))
		require.GreaterOrEqual(t, after, time.Duration(0))
		require.LessOrEqual(t, after, longestAfter)
	})
}

// FuzzConceal: a URL as a whole is in no text.
func FuzzConceal(f *testing.F) {
	f.Add("dial ", "https://u:p@hc.example/ab/c?k=v#f")
	f.Fuzz(func(t *testing.T, text, secret string) {
		u, err := url.Parse(secret)
		if err != nil || u.Host == "" || len(u.EscapedPath()) < 5 {
			return
		}
		got := conceal(text+secret, secret)
		require.NotContains(t, got, secret)
	})
}
