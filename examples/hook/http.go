package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 4096

// refusal is an answer that is not 2xx and not the database's own error.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(code int, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// ServeHTTP answers in JSON. A refusal is {"error":"..."}: 409 where another
// hold is active, 410 where a hold to be ended was not in force, 503 where the
// same request can succeed later, 400 and 403 where it cannot, 500 where
// DuckDB fails.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// serve makes a handler of a function that returns what to answer.
func (h *Hook) serve(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		body, err := h.answer(w, r, answer)
		if err != nil {
			code = http.StatusInternalServerError
			var known *refusal
			if errors.As(err, &known) {
				code = known.code
			}
			body = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		if code == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (h *Hook) answer(w http.ResponseWriter, r *http.Request, answer func(*http.Request) (any, error)) (any, error) {
	if r.Header.Get("Origin") != "" {
		return nil, refuse(http.StatusForbidden, "web pages are not served")
	}
	if err := h.enter(); err != nil {
		return nil, err
	}
	defer h.leave()
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return answer(r)
}

func (h *Hook) serveCheckpoint(r *http.Request) (any, error) {
	return struct{}{}, h.checkpoint(r.Context())
}

// holdRequest is the body of POST /begin and POST /end.
type holdRequest struct {
	Token           string `json:"token"`            // 32 lower-case hexadecimal digits
	DeadlineSeconds int64  `json:"deadline_seconds"` // of a hold to begin
}

var tokenPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

func readHold(r *http.Request) (holdRequest, error) {
	var in holdRequest
	// Read to its end, so that the server notices when the client goes away.
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return in, refuse(http.StatusBadRequest, "the body is not the JSON that is wanted: %v", err)
	}
	if !tokenPattern.MatchString(in.Token) {
		return in, refuse(http.StatusBadRequest, "token must be 32 hexadecimal digits")
	}
	return in, nil
}

// begun is the answer to POST /begin. DeadlineSeconds is what was granted.
type begun struct {
	Token           string `json:"token"`
	EngineVersion   string `json:"engine_version"`
	DeadlineSeconds int64  `json:"deadline_seconds"`
}

func (h *Hook) serveBegin(r *http.Request) (any, error) {
	in, err := readHold(r)
	if err != nil {
		return nil, err
	}
	if in.DeadlineSeconds <= 0 {
		return nil, refuse(http.StatusBadRequest, "deadline_seconds must be at least 1")
	}
	granted := min(in.DeadlineSeconds, int64(h.options.MaxHold/time.Second))
	version, err := h.begin(r.Context(), in.Token, time.Duration(granted)*time.Second)
	if err != nil {
		return nil, err
	}
	return begun{Token: in.Token, EngineVersion: version, DeadlineSeconds: granted}, nil
}

func (h *Hook) serveEnd(r *http.Request) (any, error) {
	in, err := readHold(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, h.end(in.Token)
}

// status is the answer to GET /status.
type status struct {
	Holding       bool       `json:"holding"`
	Since         *time.Time `json:"since,omitempty"`
	Deadline      *time.Time `json:"deadline,omitempty"`
	EngineVersion string     `json:"engine_version"`
}

func (h *Hook) serveStatus(r *http.Request) (any, error) {
	h.mu.Lock()
	var s status
	if a := h.active; a != nil && a.begun {
		since, deadline := a.since.UTC(), a.deadline.UTC()
		s.Holding, s.Since, s.Deadline = true, &since, &deadline
	}
	s.EngineVersion = h.version
	h.mu.Unlock()
	if s.EngineVersion != "" {
		return s, nil
	}
	conn, err := h.connect(r.Context())
	if err != nil {
		return nil, err
	}
	s.EngineVersion, err = h.engineVersion(r.Context(), conn)
	return s, errors.Join(err, conn.Close())
}
