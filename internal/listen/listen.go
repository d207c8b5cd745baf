// Package listen says where the small servers of a host listen: on loopback,
// unless they are told otherwise.
package listen

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Address is HOST:PORT as net.Listen takes it. Without a host it is this machine's
// loopback. Text of another form is a *net.AddrError.
func Address(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Loopback tells whether only this machine reaches a server that listens there.
func Loopback(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// LoopbackName tells a host, without its port, that is this machine by its name or
// by its address.
func LoopbackName(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}

// Close ends a server; requests that are being answered have a second left. s is
// nil for one that has not begun to answer on l.
func Close(s *http.Server, l net.Listener) error {
	if s == nil {
		return l.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		return s.Close()
	}
	return nil
}
