package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"canvasback/internal/failure"
	"canvasback/internal/listen"
)

// Server answers GET of /metrics, /healthz and /readyz.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Health answers what a probe asks. An error says what is wrong, for people.
type Health struct {
	Alive func() error // the process does what it does by itself; else it is to be started anew
	Ready func() error // it takes backups if it is asked to
}

// Listen takes the address, HOST:PORT, for a server that answers once Serve is
// called. Without a host it is this machine's loopback. An address of another
// form is InvalidConfig; one that is taken is not. The port may be 0, for any.
func Listen(address string) (*Server, error) {
	at, err := listen.Address(address)
	if err != nil {
		return nil, failure.Errorf(failure.InvalidConfig, "metrics address %s: %w", address, err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("metrics address %s: %w", address, err)
	}
	return &Server{listener: l}, nil
}

// Address is where it listens, with the port that was chosen.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Serve answers in the background until Close.
func (s *Server) Serve(m *Metrics, h Health, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: errorLog{log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 20 * time.Second, Registry: m.ours,
	}))
	mux.Handle("GET /healthz", probe(h.Alive))
	mux.Handle("GET /readyz", probe(h.Ready))
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if !listen.Loopback(s.listener.Addr()) {
		log.Warn("Metrics are open to the network, without a password", "address", s.Address())
	}
	log.Info("Serving metrics", "address", s.Address())
	go func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("Metrics are served no more", "address", s.Address(), "error", err)
		}
	}()
}

// Close ends it; requests that are being answered have a second left.
func (s *Server) Close() error { return listen.Close(s.http, s.listener) }

// probe answers 200 "ok", or 503 and what is wrong.
func probe(check func() error) http.Handler {
	scrub := environment()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, scrub.text(err.Error()))
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// errorLog is the logger that promhttp asks for. It is told of each family of
// metrics that could not be sent, hundreds for one reader that went away, which
// says nothing about the metrics.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) {
	for _, part := range v {
		err, ok := part.(error)
		if ok && (errors.Is(err, context.Canceled) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
			return
		}
	}
	l.log.Error("Metrics are not whole", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}
