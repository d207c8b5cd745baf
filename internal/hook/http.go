package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	neturl "net/url"
	"syscall"
)

// StatusError is an answer that is not 2xx. URL is without its query; Body is its beginning, at most
// MaxOutput bytes.
type StatusError struct {
	URL, Status string
	Code        int
	Body        []byte
}

func (e *StatusError) Error() string {
	if e.Code >= 300 && e.Code < 400 {
		return fmt.Sprintf("%s answers with a redirect (%s), which is not followed", e.URL, e.Status)
	}
	return fmt.Sprintf("%s answers %s: %q", e.URL, e.Status, e.Body)
}

// Post sends a POST to a URL on this machine, or to whatever serves the unix
// socket, with body as JSON, or without one if it is nil. It returns the
// beginning of the answer, at most MaxAnswer bytes and one more if there was
// more. Any 2xx is success, everything else a *StatusError. Redirects are
// refused, and so is a name that turns out to be another machine's.
func Post(ctx context.Context, url, socket string, body []byte) ([]byte, error) {
	return send(ctx, http.MethodPost, url, socket, body)
}

// Get is Post of a GET without a body.
func Get(ctx context.Context, url, socket string) ([]byte, error) {
	return send(ctx, http.MethodGet, url, socket, nil)
}

func send(ctx context.Context, method, url, socket string, body []byte) ([]byte, error) {
	dialer := &net.Dialer{Control: onlyLoopback}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	if socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: not a URL", Shown(url))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*neturl.Error](err); ok {
			err = u.Err // its text has the whole URL
		}
		return nil, fmt.Errorf("%s %s: %w", method, Shown(url), err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	switch {
	case res.StatusCode < 200 || res.StatusCode >= 300:
		return nil, &StatusError{URL: Shown(url), Status: res.Status, Code: res.StatusCode, Body: answer[:min(len(answer), MaxOutput)]}
	case err != nil:
		return nil, fmt.Errorf("%s answers %s and then breaks off: %w", Shown(url), res.Status, err)
	}
	return answer, nil
}

// Shown is what errors may say of a URL: they travel to Temporal, and a query or
// a password may be a secret.
func Shown(url string) string {
	u, err := neturl.Parse(url)
	if err != nil {
		return "the hook's URL"
	}
	return (&neturl.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// onlyLoopback sees every address before it is dialled.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !addr.Addr().IsLoopback() {
		return fmt.Errorf("%s is not on this machine", address)
	}
	return nil
}
