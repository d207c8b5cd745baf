package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScrub(t *testing.T) {
	env := map[string]string{
		"TEMPORAL_API_KEY":           "eyJhbGciOi",
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret%3D%3D, x-other = two words",
	}
	s := newScrubber(func(name string) string { return env[name] })
	tests := []struct{ text, want string }{
		{"copy block 7", "copy block 7"},
		{"401 for eyJhbGciOi", "401 for xxxxx"},
		{"header s3cret%3D%3D or s3cret==", "header xxxxx or xxxxx"},
		{"header two words", "header xxxxx"},
		{`Post "http://127.0.0.1:8080/checkpoint?token=abc": connection refused`, `Post "http://127.0.0.1:8080/checkpoint?xxxxx": connection refused`},
		{`Post "http://localhost/checkpoint": EOF`, `Post "http://localhost/checkpoint": EOF`},
		{"http://[::1]:80/a#frag,", "http://[::1]:80/a#xxxxx"},
		{"https://me:pw@127.0.0.1/x", "https://xxxxx@127.0.0.1/x"},
		{"https://me:p@w@example.org/x?y", "https://xxxxx@example.org/xxxxx"},
		{"https://hooks.example.org/services/T0/B0/key said no", "https://hooks.example.org/xxxxx said no"},
		{"https://example.org", "https://example.org"},
		{"https://example.org/", "https://example.org/"},
		{"smtp://user:pass@mail.example.org:25", "smtp://xxxxx@mail.example.org:25"},
		{"two: http://a/b?c and http://d?e", "two: http://a/xxxxx and http://d/xxxxx"},
		{"http://%zz/secret", "http://%zz/xxxxx"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, s.text(tt.text), tt.text)
	}
}

func TestLogHoldsNoSecret(t *testing.T) {
	t.Setenv("TEMPORAL_API_KEY", "KEY-hunter2")
	const secret = "hunter2"
	url := "https://bot:" + secret + "@example.org/hook/" + secret + "?token=" + secret
	for _, form := range []string{"text", "json"} {
		var out bytes.Buffer
		log, err := NewLogger(&out, form)
		require.NoError(t, err)
		log = log.With("with", url).WithGroup("g")
		err = errors.New(url)
		log.Info(url, "string", url, "error", err, "wrapped", fmt.Errorf("x: %w", err), "list", []string{url}, "any", struct{ URL string }{url}, "stringer", stringer(url), "key", "KEY-hunter2")
		ForTemporal(log).Warn("m", "Error", err)
		assert.NotContains(t, out.String(), secret, form)
		assert.Contains(t, out.String(), "example.org", form)
		assert.Equal(t, 2, strings.Count(out.String(), "\n"))
	}
	_, err := NewLogger(nil, "xml")
	assert.ErrorContains(t, err, "text or json")
}

type stringer string

func (s stringer) String() string { return string(s) }
