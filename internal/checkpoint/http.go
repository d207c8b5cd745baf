package checkpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// post sends an empty POST to a URL on this machine, or to whatever serves the
// unix socket. Any 2xx is success. Redirects are refused, and so is a name
// that turns out to be another machine's.
func post(ctx context.Context, url, socket string) error {
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxOutput))
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return fmt.Errorf("%s answers with a redirect (%s), which is not followed", url, res.Status)
	case res.StatusCode < 200 || res.StatusCode >= 300:
		return fmt.Errorf("%s answers %s: %q", url, res.Status, body)
	case err != nil:
		return fmt.Errorf("%s answers %s and then breaks off: %w", url, res.Status, err)
	}
	return nil
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
