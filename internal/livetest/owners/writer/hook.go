package writer

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"canvasback/examples/hook"
)

// serveHook serves the hook of the database at the address, which is HOST:PORT
// or, with a slash in it, the path of a unix socket. It prints where on a line
// of its own, {"hook":"127.0.0.1:12345"}. What it returns ends the service and
// the hold that there may be.
func serveHook(db *sql.DB, address string, lines *printer) (stop func() error, err error) {
	network := "tcp"
	if strings.Contains(address, "/") {
		network = "unix"
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	h := hook.New(db, hook.Options{})
	server := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	stop = func() error {
		err := errors.Join(h.Close(), server.Close())
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		return err
	}
	if err := lines.println(fmt.Sprintf(`{"hook":%q}`, listener.Addr())); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}
