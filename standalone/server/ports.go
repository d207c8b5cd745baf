package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Free ports are taken from this range. It lies below the ports that the
// kernel hands to outgoing connections, so that a connection made between the
// choice and the use cannot sit on one.
const (
	firstPort = 18000
	lastPort  = 31999
)

// PortError says that a port that was asked for cannot be listened on.
type PortError struct {
	Port int
	UI   bool // the Web UI's port, not the frontend's
	Err  error
}

func (e *PortError) Error() string {
	what := "Temporal"
	if e.UI {
		what = "the Web UI"
	}
	return fmt.Sprintf("port %d for %s cannot be used: %v", e.Port, what, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }

// ports are held open until release, so that no two of them are the same and
// no other process gets one meanwhile.
type ports struct {
	frontend, history, matching, worker int
	internal, ui                        int // 0: there is none
	held                                []net.Listener
}

func choosePorts(o Options) (*ports, error) {
	p := &ports{}
	err := errors.Join(
		p.hold(&p.frontend, o.listenOn(), o.FrontendPort, false),
		p.hold(&p.history, loopback, 0, false),
		p.hold(&p.matching, loopback, 0, false),
		p.hold(&p.worker, loopback, 0, false),
	)
	if o.secured() {
		err = errors.Join(err, p.hold(&p.internal, loopback, 0, false))
	}
	if !o.NoUI {
		err = errors.Join(err, p.hold(&p.ui, o.listenOn(), o.UIPort, true))
	}
	if err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (p *ports) hold(port *int, address string, wanted int, ui bool) error {
	if wanted != 0 {
		l, err := listen(address, wanted)
		if err != nil {
			return &PortError{Port: wanted, UI: ui, Err: err}
		}
		*port, p.held = wanted, append(p.held, l)
		return nil
	}
	for range 1000 {
		n := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := listen(address, n)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return fmt.Errorf("server: no free port: %w", err)
		}
		*port, p.held = n, append(p.held, l)
		return nil
	}
	return fmt.Errorf("server: no free port between %d and %d", firstPort, lastPort)
}

func (p *ports) release() {
	for _, l := range p.held {
		l.Close()
	}
	p.held = nil
}

func listen(address string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
}
