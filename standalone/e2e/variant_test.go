package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"canvasback/internal/tlstest"
	"canvasback/standalone/server"
	"canvasback/standalone/server/pgtest"
)

// The environment says what Temporal is like in all tests:
// CANVASBACK_E2E_STORE=postgres keeps its state in PostgreSQL instead of
// SQLite, CANVASBACK_E2E_TLS=mtls has its frontend speak TLS and ask for
// client certificates. Workers and starters learn of the latter as those of
// a user do, from Temporal's own variables.
type variant struct {
	postgres *pgtest.Cluster // nil: SQLite
	tls      *server.TLS     // nil: none
}

// setting is the variant that the tests run with.
var setting variant

func newVariant(ctx context.Context, dir string) (variant, error) {
	var v variant
	switch store := os.Getenv("CANVASBACK_E2E_STORE"); store {
	case "", "sqlite":
	case "postgres":
		var err error
		if v.postgres, err = pgtest.Start(ctx); err != nil {
			return v, err
		}
	default:
		return v, fmt.Errorf("CANVASBACK_E2E_STORE=%s: sqlite or postgres", store)
	}
	switch mode := os.Getenv("CANVASBACK_E2E_TLS"); mode {
	case "", "off":
	case "mtls":
		return v, v.certify(dir)
	default:
		return v, fmt.Errorf("CANVASBACK_E2E_TLS=%s: off or mtls", mode)
	}
	return v, nil
}

// certify makes the certificates of all servers and of all clients.
func (v *variant) certify(dir string) error {
	authority, err := tlstest.NewAuthority(dir, "authority")
	if err != nil {
		return err
	}
	frontend, err := authority.Sign(tlstest.Leaf{Name: "frontend", Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return err
	}
	client, err := authority.Sign(tlstest.Leaf{Name: "client"})
	if err != nil {
		return err
	}
	v.tls = &server.TLS{CertFile: frontend.CertFile, KeyFile: frontend.KeyFile, ClientCAFile: authority.File}
	for name, value := range map[string]string{
		"TEMPORAL_TLS_CLIENT_CERT_PATH": client.CertFile, "TEMPORAL_TLS_CLIENT_KEY_PATH": client.KeyFile, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority.File,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (v *variant) close() error {
	if v.postgres == nil {
		return nil
	}
	return v.postgres.Stop()
}

// options adds what the variant says to those of a server.
func (v *variant) options(ctx context.Context, o server.Options) (server.Options, error) {
	o.NoUI = true
	if o.TLS == nil {
		o.TLS = v.tls
	}
	var err error
	if v.postgres != nil && o.PostgreSQL == nil {
		o.PostgreSQL, err = v.postgres.Databases(ctx)
	}
	return o, err
}

// ownServer is one of a test, which can be stopped and started again on the
// same state and port.
type ownServer struct {
	*server.Server
	t       *testing.T
	options server.Options
}

// startServer starts one that is stopped after the test.
func startServer(t *testing.T, o server.Options) *ownServer {
	t.Helper()
	o, err := setting.options(t.Context(), o)
	require.NoError(t, err)
	if o.PostgreSQL == nil {
		o.DBFile = filepath.Join(t.TempDir(), server.FileName())
	}
	s := &ownServer{t: t, options: o}
	s.start()
	t.Cleanup(func() { assert.NoError(t, s.Stop()) })
	return s
}

func (s *ownServer) start() {
	s.t.Helper()
	var err error
	s.Server, err = server.Start(s.t.Context(), s.options)
	require.NoError(s.t, err)
	_, port, err := net.SplitHostPort(s.HostPort())
	require.NoError(s.t, err)
	s.options.FrontendPort, err = strconv.Atoi(port)
	require.NoError(s.t, err)
}
