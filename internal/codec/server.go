package codec

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"canvasback/internal/failure"
	"canvasback/internal/listen"
)

const (
	// maxBody bounds a request of the UI: it asks for the payloads of one event.
	maxBody = 8 << 20
	// answering is how many requests are worked on at once.
	answering = 4
	// answerTime bounds one request.
	answerTime = 20 * time.Second
)

// Server opens payloads for those who may see them, such as the browser that shows
// the Temporal UI: POST /decode, of Temporal's codec server protocol. It seals
// nothing.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Access says whom a Server answers.
type Access struct {
	// Origins are those whose pages may ask, such as https://temporal.example.com.
	// What asks without an origin is no browser.
	Origins []string
	// Token is what a request must bear; empty: none is asked for.
	Token string
}

// Origin checks that text is an origin: scheme, host and port, and nothing else.
func Origin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", failure.Errorf(failure.Usage, "the origin %q: want the address of the Temporal UI as a browser has it, such as http://127.0.0.1:8233", text)
	}
	return strings.ToLower(u.Scheme + "://" + u.Host), nil
}

// Listen takes the address, HOST:PORT, for a server that answers once Serve is
// called. Without a host it is this machine's loopback; the port may be 0, for any.
// An address that is taken, or is none, is Usage.
func Listen(address string) (*Server, error) {
	at, err := listen.Address(address)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "codec server address %s: %w", address, err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "codec server address %s: %w", address, err)
	}
	return &Server{listener: l}, nil
}

// Address is where it listens, with the port that was chosen.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Loopback tells whether only this machine reaches it.
func (s *Server) Loopback() bool { return listen.Loopback(s.listener.Addr()) }

// Serve answers in the background until Close. What it answers is not logged.
func (s *Server) Serve(k *Keys, a Access, log *slog.Logger) {
	h := &handler{keys: k, access: a, local: s.Loopback(), slots: make(chan struct{}, answering)}
	s.http = &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: answerTime, WriteTimeout: 2 * answerTime, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if !s.Loopback() {
		log.Warn("The codec server is open to the network: whoever reaches it can have payloads decrypted, without TLS", "address", s.Address(), "token", a.Token != "")
	}
	go func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("Payloads are decrypted no more", "address", s.Address(), "error", err)
		}
	}()
}

// Close ends it; requests that are being answered have a second left.
func (s *Server) Close() error { return listen.Close(s.http, s.listener) }

type handler struct {
	keys   *Keys
	access Access
	local  bool
	slots  chan struct{}
}

// ServeHTTP answers POST /decode, and what browsers ask before it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Vary", "Origin")
	if r.URL.Path != "/decode" {
		http.Error(w, "there is /decode only", http.StatusNotFound)
		return
	}
	if !h.mayAsk(w, r) {
		return
	}
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		if h.authorized(w, r) {
			h.decode(w, r)
		}
	default:
		w.Header().Set("Allow", "OPTIONS, POST")
		http.Error(w, "POST is wanted", http.StatusMethodNotAllowed)
	}
}

// mayAsk refuses pages of other origins, and names that somebody else has pointed
// at this machine.
func (h *handler) mayAsk(w http.ResponseWriter, r *http.Request) bool {
	if h.local && !loopbackName(r.Host) {
		http.Error(w, "not the name of this server", http.StatusForbidden)
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if !slices.Contains(h.access.Origins, origin) {
		http.Error(w, "this origin may not ask", http.StatusForbidden)
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	return true
}

// loopbackName takes the Host of a request, with a port or without.
func loopbackName(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	return listen.LoopbackName(host)
}

func (h *handler) authorized(w http.ResponseWriter, r *http.Request) bool {
	if h.access.Token == "" {
		return true
	}
	got, want := sha256.Sum256([]byte(r.Header.Get("Authorization"))), sha256.Sum256([]byte("Bearer "+h.access.Token))
	if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
		return true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	http.Error(w, "a token is wanted", http.StatusUnauthorized)
	return false
}

func (h *handler) decode(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "application/json is wanted", http.StatusUnsupportedMediaType)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		http.Error(w, "the request is too large", http.StatusRequestEntityTooLarge)
		return
	}
	var asked commonpb.Payloads
	// The decoder's errors quote what they are about.
	if err != nil || (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &asked) != nil {
		http.Error(w, `{"payloads":[...]} is wanted`, http.StatusBadRequest)
		return
	}
	payloads, err := h.keys.Decode(asked.GetPayloads())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	if err != nil {
		http.Error(w, "what is inside is no text", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // the browser may be gone
}
