package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// webUI is Temporal's Web UI on a port of its own.
type webUI struct {
	server *uiserver.Server
	listen string
	port   int
	done   chan struct{}
}

// startUI serves in a goroutine that ends with stop. A port that is taken ends
// the process: the UI's own Start does that, so the port is chosen before.
func startUI(listen string, port int, frontend, codecEndpoint string) *webUI {
	u := &webUI{listen: listen, port: port, done: make(chan struct{})}
	u.server = uiserver.NewServer(server_options.WithConfigProvider(&uiconfig.Config{
		Host:                listen,
		Port:                port,
		TemporalGRPCAddress: frontend,
		EnableUI:            true,
		DefaultNamespace:    Namespace,
		CORS:                uiconfig.CORS{CookieInsecure: true},
		DisableNewsFetch:    true,
		HideLogs:            true,
		Codec:               uiconfig.Codec{Endpoint: codecEndpoint},
	}))
	go func() {
		defer close(u.done)
		u.server.Start()
	}()
	return u
}

func (u *webUI) address() string {
	return "http://" + net.JoinHostPort(reach(u.listen), strconv.Itoa(u.port))
}

func (u *webUI) ready(ctx context.Context) error {
	// Not the default client: its idle connection would outlive the server.
	transport := &http.Transport{DisableKeepAlives: true}
	c := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	err := poll(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.address()+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("server: the Web UI does not answer on %s: %w", u.address(), err)
	}
	return nil
}

func (u *webUI) stop() {
	u.server.Stop()
	<-u.done
}
