package server

import (
	"errors"
	"fmt"
	"net"

	"go.temporal.io/server/common/config"
)

// TLS is what the frontend proves itself with. The other services, and an
// internal frontend for them, listen on loopback ports of their own without it,
// which is what Temporal advises where callers have to prove who they are.
type TLS struct {
	// CertFile and KeyFile are PEM files: the frontend's certificate and its key.
	CertFile, KeyFile string
	// ClientCAFile holds the authorities one of which must have signed a caller's
	// certificate (mutual TLS). Empty: callers need none.
	ClientCAFile string
}

// secured tells whether callers of the frontend have to do more than to reach it.
func (o Options) secured() bool { return o.TLS != nil || len(o.TokenKeys) > 0 }

func (o Options) check() error {
	if o.secured() && !o.NoUI {
		return errors.New("server: there is no Web UI for a server with TLS or tokens")
	}
	if ip := net.ParseIP(o.listenOn()); ip == nil || ip.To4() == nil {
		return fmt.Errorf("server: %s is no IPv4 address to listen on", o.Listen)
	}
	if o.PostgreSQL != nil && o.DBFile != "" {
		return errors.New("server: the state is in PostgreSQL or in a SQLite file, not in both")
	}
	return nil
}

// secure has the frontend ask for what o says.
func secure(conf *config.Config, o Options) {
	if o.TLS != nil {
		conf.Global.TLS.Frontend.Server = config.ServerTLS{CertFile: o.TLS.CertFile, KeyFile: o.TLS.KeyFile}
		if o.TLS.ClientCAFile != "" {
			conf.Global.TLS.Frontend.Server.RequireClientAuth = true
			conf.Global.TLS.Frontend.Server.ClientCAFiles = []string{o.TLS.ClientCAFile}
		}
	}
	if len(o.TokenKeys) > 0 {
		conf.Global.Authorization = config.Authorization{
			JWTKeyProvider: config.JWTKeyProvider{KeySourceURIs: o.TokenKeys}, Authorizer: "default", ClaimMapper: "default",
		}
	}
}
