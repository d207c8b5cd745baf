package hook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a query or a password may hold is in no error: errors travel.
func TestErrorsQuoteNoSecret(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) },
		"moved":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"broken": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "less")
		},
	}
	var urls []string
	for _, answer := range answers {
		s := httptest.NewServer(answer)
		defer s.Close()
		urls = append(urls, s.URL)
	}
	urls = append(urls, "http://127.0.0.1:1", "http://[::1", "http://203.0.113.1")
	for _, url := range urls {
		secret := strings.Replace(url, "http://", "http://user:hunter2@", 1) + "/checkpoint?token=hunter2#hunter2"
		_, err := Post(t.Context(), secret, "", nil)
		if assert.Error(t, err, url) {
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}
